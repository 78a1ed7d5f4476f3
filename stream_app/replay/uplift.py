"""Holdout of a replay: the drawn customers with what they did afterwards, and the figures of the experiment."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from stream_app.core.settings import Settings
from stream_app.core.uplift.figures import Subject, UpliftFigures, figures
from stream_app.replay.outputs import instant
from stream_app.replay.runner import Outcome

MoneyChange = tuple[str, int, float, bool]  # customer, microseconds, amount, whether it is an order
DRAWN_FILE: Final = "holdout.csv"
FIGURES_FILE: Final = "uplift.json"
_COLUMNS: Final = (
    *("customer_id", "drawn_at", "arm", "lost_probability", "monthly_worth", "cause"),
    *("ordered", "revenue"),
)


def subjects(outcome: Outcome, window: int) -> list[Subject]:
    """Return the drawn customers of a replay, with their orders and money within the window.

    Args:
        outcome: of the replay.
        window: time within which they count, microseconds.
    """
    drawn = [
        Subject(
            customer=alert.customer,
            arm=alert.candidate.arm,
            drawn_at=alert.opened_at,
            lost_probability=alert.candidate.lost_probability,
            monthly_worth=alert.candidate.monthly_worth,
            family=alert.likeliest_cause,
        )
        for alert in outcome.opened
        if alert.candidate.arm
    ]
    places = {outcome.columns.customer_index(one.customer): one.customer for one in drawn}
    changes = zip(*(column.tolist() for column in outcome.money.changes()), strict=True)
    return with_money(drawn, ((places[place], *change) for place, *change in changes if place in places), window)


def with_money(drawn: Iterable[Subject], changes: Iterable[MoneyChange], window: int) -> list[Subject]:
    """Return the drawn customers in order of time, each at their first draw, with what they did within the window.

    Their revenue is what their orders brought, less what was taken back within the window.

    Args:
        drawn: draws in order of time.
        changes: of the money of these customers and others.
        window: time within which orders and returns count, microseconds.
    """
    first: dict[str, Subject] = {}
    for one in drawn:
        first.setdefault(one.customer, one)
    revenue: defaultdict[str, float] = defaultdict(float)
    buyers = set[str]()
    for name, at, amount, is_order in changes:
        if name in first and first[name].drawn_at < at <= first[name].drawn_at + window:
            revenue[name] += amount
            buyers.update((name,) if is_order else ())
    found = (replace(one, ordered=name in buyers, revenue=revenue[name]) for name, one in first.items())
    return sorted(found, key=lambda one: (one.drawn_at, one.customer))


def write_uplift(outcome: Outcome, settings: Settings, until: int, folder: Path) -> UpliftFigures:
    """Write the drawn customers of a replay and the figures of the experiment; return the figures.

    Args:
        outcome: of the replay.
        settings: of the replay.
        until: end of the log, microseconds.
        folder: for the files.
    """
    window = settings.uplift_window
    drawn = subjects(outcome, window)
    with (folder / DRAWN_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(_rows(drawn, window, until))
    found = figures(drawn, settings.holdout, window, until)
    (folder / FIGURES_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return found


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
