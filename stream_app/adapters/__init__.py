"""Adapters: implementations of the ports, and clients of Kafka, Redis and HTTP."""
