"""The figures of a replay: everything that metrics.json holds and the report shows."""

from __future__ import annotations

from stream_app.replay.evaluation.record import metrics

__all__ = ["metrics"]
