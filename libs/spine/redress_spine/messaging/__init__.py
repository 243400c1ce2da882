"""Kafka: what a record is, sending the journal, reading the log, where the log ends."""
