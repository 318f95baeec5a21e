"""The whole platform on one machine: real Kafka, the real ClickHouse engine, and every service under one supervisor."""
