"""Evaluation of a replay, which provides the content of metrics.json and the report."""

from __future__ import annotations

from stream_app.replay.evaluation.record import metrics

__all__ = ["metrics"]
