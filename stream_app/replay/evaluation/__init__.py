"""Evaluation of a replay: the content of metrics.json and of the report."""

from __future__ import annotations

from stream_app.replay.evaluation.record import metrics

__all__ = ["metrics"]
