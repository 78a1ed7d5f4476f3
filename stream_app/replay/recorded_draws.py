"""Holdout of a live shop: from an archive of its alerts, and its log."""

from __future__ import annotations

import tempfile
from datetime import datetime
from itertools import chain
from pathlib import Path

import msgspec

from stream_app.core.causes.explanation import Explanation
from stream_app.core.model.labels import counts_as_order
from stream_app.core.policy.exchange import in_shop_currency
from stream_app.core.settings import Settings
from stream_app.core.units import micros
from stream_app.core.uplift.figures import Subject, UpliftFigures, figures
from stream_app.core.uplift.holdout import HELD_OUT, TREATED
from stream_app.errors import BadOption
from stream_app.ingest import LogFormat, open_log
from stream_app.notifications.playbook.measures import Playbook
from stream_app.replay.money import Money
from stream_app.replay.uplift import recommended, with_money

_ARMS = {"opened": TREATED, "held_out": HELD_OUT}  # kind of an alert -> arm


class _Line(msgspec.Struct):
    """What is read of a line of alerts.jsonl, or of a message on `shop.alerts`."""

    customer_id: str
    kind: str = ""  # alerts.jsonl
    type: str = ""  # shop.alerts
    at: datetime | None = None  # alerts.jsonl
    opened_at: datetime | None = None  # shop.alerts
    experiment: str = ""
    holdout_share: float = 0.0  # 0 in records of earlier releases
    lost_probability: float | None = None
    monthly_worth: float = 0.0
    causes: dict[str, float] = {}  # alerts.jsonl, most likely first
    segment: str = ""  # alerts.jsonl
    also: tuple[str, ...] = ()  # alerts.jsonl
    explanation: Explanation = Explanation()  # shop.alerts, if the customer is called
    cause: str = ""  # shop.alerts, if they are held out
    segments: tuple[str, ...] = ()  # shop.alerts, if they are held out

    @property
    def likeliest_cause(self) -> str:
        """Empty for a blind alert of `shop.alerts`."""
        causes = (*self.causes, *(one.key for one in self.explanation.causes), self.cause)
        return causes[0] if causes else ""

    @property
    def all_segments(self) -> tuple[str, ...]:
        own = (self.segment, *self.also) if self.segment else ()
        return self.segments or self.explanation.segments or own


def recorded_draws(path: Path, experiment: str, playbook: Playbook) -> list[Subject]:
    """Return the draws of an experiment in order of time. Raises BadOption.

    Args:
        path: alerts.jsonl of a replay, or messages of `shop.alerts`, one per line.
        experiment: its name.
        playbook: which recommends a measure and a channel.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        remedy = f"It cannot be opened: {error.strerror}. Check the path."
        raise BadOption(option="--alerts", value=str(path), remedy=remedy) from error
    found: list[Subject] = []
    for number, text in enumerate(lines, start=1):
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError as error:
            remedy = f"Line {number} is not an alert: {error}."
            raise BadOption(option="--alerts", value=str(path), remedy=remedy) from error
        arm, at = _ARMS.get(line.kind or line.type), line.at or line.opened_at
        if arm and at and line.experiment == experiment:
            found.append(_subject(line, arm, micros(at), playbook))
    return sorted(found, key=lambda one: one.drawn_at)


def _subject(line: _Line, arm: str, at: int, playbook: Playbook) -> Subject:
    cause = line.likeliest_cause
    measure, channel = recommended(playbook, cause, line.all_segments, line.monthly_worth)
    return Subject(
        customer=line.customer_id,
        arm=arm,
        drawn_at=at,
        lost_probability=line.lost_probability or 0.0,
        monthly_worth=line.monthly_worth,
        family=cause,
        share=line.holdout_share,
        measure=measure,
        channel=channel,
    )


def recorded_uplift(
    alerts: Path, logs: list[str], form: LogFormat, settings: Settings, playbook: Playbook
) -> UpliftFigures:
    """Return the figures of an experiment from recorded alerts and the shop's log.

    Raises:
        BadOption: the alerts cannot be read.
        UnusableLog: the log cannot be read.
        BadMapping: the mapping is invalid.
    """
    drawn, window, last = recorded_draws(alerts, settings.holdout.experiment, playbook), settings.uplift_window, 0
    places: dict[str, int] = {}  # customer -> place
    money = Money(lambda name: places.setdefault(name, len(places)))
    with tempfile.TemporaryDirectory() as workdir, open_log(logs, form, Path(workdir)) as log:
        for event in chain.from_iterable(log.batches()):
            last = event.at
            counts = counts_as_order(event, settings)
            money.record(in_shop_currency(event, settings.policy.currency), last, counts=counts)
    names, columns = list(places), (column.tolist() for column in money.changes())
    found = with_money(drawn, ((names[place], *change) for place, *change in zip(*columns, strict=True)), window)
    return figures(found, settings.holdout, window, last)
