"""Kafka: the Faust transport, topics, offsets, placement and access rights."""
