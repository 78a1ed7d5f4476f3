"""Scheduling of alert deliveries to channels: routing, digests, quiet hours and retries. Time is an argument."""
