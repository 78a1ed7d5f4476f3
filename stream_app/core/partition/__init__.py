"""Processing of a partition: record merge, event processor, timers, outbox and commit."""
