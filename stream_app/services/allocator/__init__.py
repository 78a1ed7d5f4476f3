"""Allocator: a service that wraps `core.allocation`. It merges the candidates of all partitions and opens alerts."""
