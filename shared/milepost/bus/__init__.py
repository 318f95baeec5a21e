"""Kafka: the producer of the edge, and the topics."""
