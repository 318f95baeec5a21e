"""What crosses Milepost's borders: event types, topics, schemas and examples, each defined once."""
