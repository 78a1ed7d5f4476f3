"""Publishing of recorded logs to Kafka with their own ticks; an interrupted run resumes without duplicates."""

from stream_app.publish.feed import Summary
from stream_app.publish.pace import speed_factor
from stream_app.publish.session import Request, Watcher, publish_log

__all__ = ["Request", "Summary", "Watcher", "publish_log", "speed_factor"]
