"""Checks the imported models of the settings when a service starts, and logs what they cost."""

from __future__ import annotations

import logging
import time

from stream_app.core.model.expert_checks import check_experts
from stream_app.core.settings import Settings

_log = logging.getLogger(__name__)


def require_experts(settings: Settings) -> None:
    """Raise ContradictorySettings if an imported model cannot be used. Takes seconds if there is a forest."""
    for name, cost in check_experts(settings.experts, time.perf_counter).items():
        facts = {"decision_us": round(cost.decision, 1), "label_us": round(cost.label, 1), "bytes": cost.stored_bytes}
        _log.info("Expert checked", extra={"expert": name, **facts})
