"""Benchmarks of the live system."""
