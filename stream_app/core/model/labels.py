"""Delayed labels: a decision and its features are kept until the watermark has passed the end of the horizon."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from stream_app.core.events.schema import Event, Order
from stream_app.core.settings import Settings

RETAINED, CHURNED = 0, 1


def counts_as_order(event: Event, settings: Settings) -> bool:
    """Return whether an event counts as an order: an order `placed` or `paid`, depending on the settings."""
    return isinstance(event, Order) and event.action == settings.order_action


class Pending(msgspec.Struct, eq=False, gc=False):
    """A decision that has no label yet, with the features and predictions to learn from later."""

    customer: str
    decided_at: int  # microseconds
    features: bytes = b""  # float16, one per feature
    log_odds: bytes = b""  # see scores.LogOddsColumns
    probability: float = 0.5  # representable exactly as float32
    source: int = 0
    version: int = 0
    returned: bool = False  # whether an order within the horizon has been seen
    counted: bool = False  # whether the step in which the customer returned has been counted (lost_probability.py)
    copies: int = 1  # how often the label counts: not at all after a call, more often for customers who are held out
    index: int = 0  # index among all decisions of a replay


@dataclass(frozen=True, slots=True)
class Matured:
    """A decision with its label."""

    pending: Pending
    label: int
    matured_at: int  # decided_at + horizon, microseconds


class Returned(NamedTuple):
    """A decision and the first order received after it. A late event may turn out to be an earlier order."""

    decided_at: int  # microseconds
    returned_at: int  # microseconds
    copies: int = 1  # see Pending


def repeated(matured: Sequence[Matured]) -> list[Matured]:
    """Return the labels as often as they count; see Pending.copies."""
    return [one for one in matured for _ in range(one.pending.copies)]


def mature(waiting: deque[Pending], horizon: int, watermark: int) -> Iterator[Matured]:
    """Remove and yield the decisions whose horizon has ended by the watermark.

    Both labels are released at decided_at + horizon. Retained customers are known earlier, but learning from them first
    would bias the models towards retention.

    Args:
        waiting: unlabelled decisions, in order of (decided_at, customer).
        horizon: microseconds.
        watermark: microseconds.
    """
    while waiting and (end := waiting[0].decided_at + horizon) <= watermark:
        pending = waiting.popleft()
        yield Matured(pending, RETAINED if pending.returned else CHURNED, end)


def record_order(waiting: list[Pending], at: int, horizon: int, closed: int) -> list[Returned]:
    """Mark a customer's unlabelled decisions as returned after an order. Return those that were newly marked.

    A decision whose horizon ended by `closed` already has a final label, even if it has not been released yet.
    """
    first = []
    for pending in waiting:
        end = pending.decided_at + horizon
        if pending.decided_at < at <= end and end > closed and not pending.returned:
            pending.returned = True
            first.append(Returned(pending.decided_at, at, pending.copies))
    return first
