"""Publishes a recorded log to Kafka, with ticks in event time. An interrupted run can be resumed."""

from stream_app.publish.feed import Summary
from stream_app.publish.pace import speed_factor
from stream_app.publish.session import Request, publish_log

__all__ = ["Request", "Summary", "publish_log", "speed_factor"]
