"""Benchmarks of the services, as processes of the real command on a real Kafka and Redis."""
