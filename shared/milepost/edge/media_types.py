"""Media types of what is posted to an edge service."""

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PLAIN = "application/json"
MEDIA_TYPES = (STRUCTURED, BATCH, PLAIN)
