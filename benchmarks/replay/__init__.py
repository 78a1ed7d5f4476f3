"""Benchmarks of the replay: speed against a floor, memory, growth, and how often the true cause is found."""
