"""Processing of one partition: record merge, event processor, timers, outbox and commit."""
