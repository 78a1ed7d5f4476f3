"""Speed and scale of the replay: `python -m benchmarks`, results in docs/benchmarks.md and build/benchmarks.json."""
