"""Allocator: service around `core.allocation`. It merges the candidates of all partitions and opens alerts."""
