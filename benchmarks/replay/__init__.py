"""Benchmarks of the replay."""
