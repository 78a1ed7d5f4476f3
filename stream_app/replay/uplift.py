"""Holdout of a replay: the drawn customers with what they did afterwards, and the figures of the experiment."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.settings import Settings
from stream_app.core.uplift.figures import Subject, UpliftFigures, figures
from stream_app.notifications.playbook.measures import Playbook
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.replay.outputs import instant
from stream_app.replay.runner import Outcome

MoneyChange = tuple[str, int, float, bool]  # customer, microseconds, amount, whether it is an order
DRAWN_FILE: Final = "holdout.csv"
FIGURES_FILE: Final = "uplift.json"
_COLUMNS: Final = (
    *("customer_id", "drawn_at", "arm", "share", "lost_probability", "monthly_worth", "cause", "measure", "channel"),
    *("ordered", "revenue"),
)


def recommended(playbook: Playbook, cause: str, segments: Sequence[str], monthly_worth: float) -> tuple[str, str]:
    """Return the measure and the channel that the playbook recommends; empty if it does not know the cause.

    They depend only on what was known at the draw, so they are known for both arms, whatever the staff did.
    """
    try:
        measure = playbook.measure(cause, *segments)
    except KeyError:
        return "", ""
    return playbook.key(cause, *segments), playbook.channel(measure, monthly_worth).value


def subjects(outcome: Outcome, settings: Settings) -> list[Subject]:
    """Return the customers of a replay who were drawn in an experiment, with their orders and money within its window.

    Args:
        outcome: of the replay.
        settings: of the experiment.
    """
    playbook, experiment = load_playbook(), settings.holdout.experiment
    drawn = [
        _subject(alert, playbook) for alert in outcome.opened if alert.candidate.arm and alert.experiment == experiment
    ]
    places = {outcome.columns.customer_index(one.customer): one.customer for one in drawn}
    changes = zip(*(column.tolist() for column in outcome.money.changes()), strict=True)
    known = ((places[place], *change) for place, *change in changes if place in places)
    return with_money(drawn, known, settings.uplift_window)


def _subject(alert: Alert, playbook: Playbook) -> Subject:
    candidate, cause = alert.candidate, alert.likeliest_cause
    measure, channel = recommended(playbook, cause, candidate.explanation.segments, candidate.monthly_worth)
    return Subject(
        customer=alert.customer,
        arm=candidate.arm,
        drawn_at=alert.opened_at,
        lost_probability=candidate.lost_probability,
        monthly_worth=candidate.monthly_worth,
        family=cause,
        share=candidate.share,
        measure=measure,
        channel=channel,
    )


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
    """Write the drawn customers of an experiment and its figures; return the figures.

    Args:
        outcome: of the replay.
        settings: of the experiment.
        until: end of the log, microseconds.
        folder: for the files.
    """
    window = settings.uplift_window
    drawn = subjects(outcome, settings)
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
            f"{one.share:g}",
            f"{one.lost_probability:.6f}",
            f"{one.monthly_worth:.2f}",
            one.family,
            one.measure,
            one.channel,
            str(int(one.ordered)) if known else "",
            f"{one.revenue:.2f}" if known else "",
        )
