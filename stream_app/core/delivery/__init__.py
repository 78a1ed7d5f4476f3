"""Scheduling of alert deliveries to channels: routing, digests, quiet hours and retries. The time is passed in."""
