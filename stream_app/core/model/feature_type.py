"""The feature type, and the functions that features are built from."""

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
    """A named number that describes a customer at the time of a decision.

    Attributes:
        name: identifier in code, logs and metrics.
        unit: unit of the value passed to the models.
        meaning: description in English.
        meaning_zh: description in Chinese.
        needs: event kind, or `kind.field`, that the feature depends on.
        value: computes the feature for n customers, shape (n,).
        linear: whether the linear expert uses the feature; features that grow with the age of the log are excluded from
            it.
    """

    name: str
    unit: str
    meaning: str
    meaning_zh: str
    needs: str
    value: Callable[[StateFrame], Floats]
    linear: bool = True


_KIND_WORDS: Final = {
    "order": ("orders", "订单"),
    "browsing": ("page views", "浏览"),
    "cart": ("cart and favourite actions", "加购与收藏"),
    "complaint": ("complaints", "投诉"),
}


def decayed_feature(kind: str, half_life: float) -> Feature:
    """Return a feature for the decayed count of an event kind, with a half-life in days."""
    english, chinese = _KIND_WORDS[kind]
    return Feature(
        f"{kind}_{half_life:g}d",
        "log(1 + count)",
        f"recent {english}, each losing half its weight every {half_life:g} days",
        f"近期{chinese}次数，每 {half_life:g} 天权重减半",
        kind,
        lambda view: np.log1p(view.decayed(kind, half_life)),
    )


def trend(kind: str, short: float, long: float, floor: float) -> Callable[[StateFrame], Floats]:
    """Return a function that computes the log ratio of two rates; `floor` is added to both counts."""
    return lambda view: np.log((view.decayed(kind, short) + floor) / (view.decayed(kind, long) * short / long + floor))


def open_complaint_age(view: StateFrame) -> Floats:
    """Return log(1 + days) for the age of the oldest open complaint, or 0 if there is none."""
    oldest = np.min(np.where(view.complaint_opened > NEVER, view.complaint_opened, np.inf), axis=1)
    return np.log1p(np.where(np.isfinite(oldest), np.maximum(view.now - oldest, 0.0) + 1.0, 0.0))


def rate_recency(view: StateFrame) -> Floats:
    """Return the expected number of orders since the last one, given each customer's own order rate."""
    return view.recency * view.order_days / (view.age + view.horizon)
