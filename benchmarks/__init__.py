"""Speed and scale of the replay and of the live system: `python -m benchmarks`; results in docs/benchmarks.md."""
