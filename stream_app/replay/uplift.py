"""Holdout of a replay: the drawn customers with what they did afterwards, and the figures of the experiment."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from stream_app.core.settings import Settings
from stream_app.core.uplift.figures import Subject, UpliftFigures, figures
from stream_app.replay.outputs import instant
from stream_app.replay.runner import Outcome

DRAWN_FILE: Final = "holdout.csv"
FIGURES_FILE: Final = "uplift.json"
_COLUMNS: Final = (
    *("customer_id", "drawn_at", "arm", "lost_probability", "monthly_worth", "cause"),
    *("ordered", "revenue"),
)


def subjects(outcome: Outcome, window: int) -> list[Subject]:
    """Return the drawn customers in order of time, each at their first draw, with their orders within the window.

    Args:
        outcome: of the replay.
        window: time within which an order counts, microseconds.
    """
    first = {one.customer: one for one in reversed(outcome.opened) if one.candidate.arm}
    places = {outcome.columns.customer_index(name): name for name in first}
    orders: defaultdict[str, list[float]] = defaultdict(list)
    for place, at, amount in zip(outcome.order_customers, outcome.order_at, outcome.order_amounts, strict=True):
        name = places.get(place)
        if name is not None and first[name].opened_at < at <= first[name].opened_at + window:
            orders[name].append(amount)
    return [
        Subject(
            customer=name,
            arm=alert.candidate.arm,
            drawn_at=alert.opened_at,
            lost_probability=alert.candidate.lost_probability,
            monthly_worth=alert.candidate.monthly_worth,
            family=alert.likeliest_cause,
            ordered=bool(orders[name]),
            revenue=sum(orders[name]),
        )
        for name, alert in sorted(first.items(), key=lambda one: (one[1].opened_at, one[0]))
    ]


def uplift_of(outcome: Outcome, settings: Settings, until: int) -> UpliftFigures:
    """Return the figures of a replay's holdout experiment.

    Args:
        outcome: of the replay.
        settings: of the replay.
        until: end of the log, microseconds.
    """
    window = settings.uplift_window
    return figures(subjects(outcome, window), settings.holdout, window, until)


def write_uplift(outcome: Outcome, settings: Settings, until: int, folder: Path) -> None:
    """Write the drawn customers and the figures of the experiment."""
    window = settings.uplift_window
    drawn = subjects(outcome, window)
    with (folder / DRAWN_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(_rows(drawn, window, until))
    found = msgspec.json.encode(figures(drawn, settings.holdout, window, until))
    (folder / FIGURES_FILE).write_bytes(msgspec.json.format(found, indent=2) + b"\n")


def _rows(drawn: Iterable[Subject], window: int, until: int) -> Iterable[tuple[str, ...]]:
    """Yield rows of the drawn customers; without an outcome as long as the window has not ended."""
    for one in drawn:
        known = one.drawn_at + window <= until
        yield (
            one.customer,
            instant(one.drawn_at),
            one.arm,
            f"{one.lost_probability:.6f}",
            f"{one.monthly_worth:.2f}",
            one.family,
            str(int(one.ordered)) if known else "",
            f"{one.revenue:.2f}" if known else "",
        )
