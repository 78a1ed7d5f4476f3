"""A feature: a named number on a customer at a moment, and the functions that features are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import NEVER


@dataclass(frozen=True)
class Feature:
    """A named number on a customer.

    Attributes:
        name: identifier in code, logs and metrics.
        unit: unit of the value that the models see.
        meaning: description in English.
        meaning_zh: description in Chinese.
        needs: kind of event, or `kind.field`, without which the feature carries no information.
        value: computes the feature for n customers, shape (n,).
        linear: whether the linear expert uses it; features that grow with the age of the log are left to the others.
    """

    name: str
    unit: str
    meaning: str
    meaning_zh: str
    needs: str
    value: Callable[[StateFrame], Floats]
    linear: bool = True


def _log_decayed(kind: str, half_life: float) -> Callable[[StateFrame], Floats]:
    return lambda view: np.log1p(view.decayed(kind, half_life))


_KIND_WORDS: Final = {
    "order": ("orders", "订单"),
    "browsing": ("page views", "浏览"),
    "cart": ("cart and favourite actions", "加购与收藏"),
    "complaint": ("complaints", "投诉"),
}


def decayed_feature(kind: str, half_life: float) -> Feature:
    """Return the feature of the decayed count of a kind of event, with a half-life in days."""
    english, chinese = _KIND_WORDS[kind]
    return Feature(
        f"{kind}_{half_life:g}d",
        "log(1 + count)",
        f"recent {english}, each losing half its weight every {half_life:g} days",
        f"近期{chinese}次数，每 {half_life:g} 天权重减半",
        kind,
        _log_decayed(kind, half_life),
    )


def trend(kind: str, short: float, long: float, floor: float) -> Callable[[StateFrame], Floats]:
    """Return a function that computes the logarithm of the ratio of two rates; `floor` is added to both counts."""
    return lambda view: np.log((view.decayed(kind, short) + floor) / (view.decayed(kind, long) * short / long + floor))


def log_since(name: str) -> Callable[[StateFrame], Floats]:
    """Return a function that computes the logarithm of the days since a time in the state vector."""
    return lambda view: np.log1p(view.days_since(name))


def open_complaint_age(view: StateFrame) -> Floats:
    """Return the logarithm of the days for which the oldest open complaint has been open, 0 without one."""
    oldest = np.min(np.where(view.complaint_opened > NEVER, view.complaint_opened, np.inf), axis=1)
    return np.log1p(np.where(np.isfinite(oldest), np.maximum(view.now - oldest, 0.0) + 1.0, 0.0))


def rate_recency(view: StateFrame) -> Floats:
    """Return the orders that each customer's own rate predicts for the time since the last order."""
    return view.recency * view.order_days / (view.age + view.horizon)


def share(part: str, whole: str) -> Callable[[StateFrame], Floats]:
    """Return a function that computes a share, shrunk towards 0 by two observations."""
    return lambda view: view[part] / (view[whole] + 2.0)
