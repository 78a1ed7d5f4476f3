"""Benchmarks of speed and scale: `python -m benchmarks` writes docs/benchmarks.md.

`replay/` measures the replay of a log, `live/` the services on a real Kafka and Redis, and `paired` compares either
with another checkout. Both share the modules of this folder.
"""
