"""Feeds a recorded log into Kafka, with the log's own ticks, and goes on where it was stopped without doubling."""

from stream_app.publish.feed import Summary
from stream_app.publish.pace import speed_factor
from stream_app.publish.session import Request, Watcher, publish_log

__all__ = ["Request", "Summary", "Watcher", "publish_log", "speed_factor"]
