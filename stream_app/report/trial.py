"""The comparison of contact policies in words and as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.i18n import Translator
from stream_app.report.tables import Cell, Table, capitalized

Figures = Mapping[str, Any]
EQUAL: Final = 0.0005  # shares that differ by less are shown as equal
_NOBODY: Final = {"calls": 0, "people": 0, "money": 0.0}


@dataclass(frozen=True)
class Comparison:
    """What is shown of a comparison.

    Attributes:
        names: of the policies.
        figures: of each policy: the fields of `policy_trial.TrialFigures`.
        settings: of the shop, which the policies share.
        logs: names of the log files.
        rules: name of each rule in which the policies differ, and its values.
    """

    names: Sequence[str]
    figures: Sequence[Figures]
    settings: Settings
    logs: Sequence[str]
    rules: Sequence[tuple[str, ...]] = ()

    @property
    def knows_money(self) -> bool:
        """Whether the log has amounts."""
        return any(one["lost_money"] > 0.0 for one in self.figures)

    @property
    def horizon_days(self) -> float:
        """The horizon, over which the worth of a single order is spread at least."""
        return self.settings.horizon / DAY_US

    def shares(self, *, of_money: bool) -> list[float]:
        """Return the share of the lost that each policy reaches in time: of their money, or of the customers."""
        part, whole = ("money", "lost_money") if of_money else ("people", "lost")
        return [_share(one["total"][part], one[whole]) for one in self.figures]


def where(page: Comparison, translator: Translator) -> str:
    """Return the log and the time in which the customers were lost."""
    first = page.figures[0]
    days = {name: translator.day(day) for name, day in (("since", first["since"]), ("until", first["until"]))}
    return translator.text("trial.where", logs=translator.join(page.logs), **days)


def headline(page: Comparison, translator: Translator) -> str:
    """Return which policy reaches most, and how that compares with the others."""
    measure = "money" if page.knows_money else "people"
    shares = page.shares(of_money=page.knows_money)
    order = sorted(range(len(shares)), key=lambda place: -shares[place])
    best = order[0]
    values = {
        "best": page.names[best],
        "share": translator.percent(shares[best], 1),
        "calls": translator.number(page.figures[best]["total"]["calls"]),
    }
    if len(order) == 1:
        return translator.text(f"trial.headline_one_{measure}", **values)
    if shares[best] - shares[order[-1]] < EQUAL:
        return translator.text(f"trial.headline_equal_{measure}", **values)
    others = [
        translator.text(
            "trial.headline_other",
            name=page.names[place],
            share=translator.percent(shares[place], 1),
            calls=translator.number(page.figures[place]["total"]["calls"]),
        )
        for place in order[1:]
    ]
    return translator.text(f"trial.headline_{measure}", others=translator.join(others), **values)


def caution(page: Comparison, translator: Translator) -> str:
    """Return what reached in time means, and what it does not."""
    lost, lead_days = page.settings.lost_after_or_default, page.settings.act_before_or_default / DAY_US
    days = {"days": translator.number(lead_days), "lost": translator.number(lost / DAY_US)}
    return translator.text("trial.caution", **days)


def lead(page: Comparison, translator: Translator) -> str:
    """Return how many lost customers count for all policies."""
    first = page.figures[0]
    lost, money = translator.number(first["lost"]), translator.money(first["lost_money"], first["currency"])
    return translator.text("trial.lead_money" if page.knows_money else "trial.lead_people", lost=lost, money=money)


def figure_table(page: Comparison, translator: Translator) -> Table:
    """Return the table of the figures of all policies, with the difference if there are two."""
    found, number = page.figures, translator.number
    people, money = page.shares(of_money=False), page.shares(of_money=True)
    per_call = [_share(one["total"]["money"], one["total"]["calls"]) for one in found]

    def amount(value: float) -> str:
        return translator.money(value, found[0]["currency"])

    def share(value: float) -> str:
        return translator.percent(value, 1)

    def points(value: float) -> str:
        return translator.text("trial.points", n=translator.number(100 * value, 1))

    rows = [
        _row("calls", [one["total"]["calls"] for one in found], number, translator),
        _row("people", [one["total"]["people"] for one in found], number, translator),
        _row("of_lost", people, share, translator, points),
    ]
    if page.knows_money:
        rows += [
            _row("money", [one["total"]["money"] for one in found], amount, translator),
            _row("of_money", money, share, translator, points),
            _row("per_call", per_call, amount, translator),
        ]
    rows.append(_row("repeats", [one["repeats"] for one in found], number, translator))
    if any(one["break_even"] for one in found):
        chances = [translator.percent(one["break_even"], 1) for one in found]
        rows.append([translator.text("trial.break_even"), *chances, *([""] if len(found) == 2 else [])])
    return Table([translator.text("trial.col_figure"), *_columns(page, translator)], rows)


def rule_table(page: Comparison, translator: Translator) -> Table:
    """Return the table of the rules in which the policies differ."""
    rows: list[list[str | Cell]] = [
        [Cell(name, mark="code"), *(value or translator.dash for value in values)] for name, *values in page.rules
    ]
    return Table([translator.text("trial.col_rule"), *page.names], rows)


def segment_table(page: Comparison, translator: Translator) -> Table:
    """Return the table of calls, lost customers reached in time and their worth, by segment."""
    segments = sorted({name for one in page.figures for name in one["segments"]})
    most = max((one["segments"][name]["calls"] for one in page.figures for name in one["segments"]), default=0) or 1

    def cell(figures: Figures, name: str) -> Cell:
        reached = figures["segments"].get(name, _NOBODY)
        parts = [translator.number(reached["calls"]), translator.number(reached["people"])]
        parts += [translator.money(reached["money"], figures["currency"])] if page.knows_money else []
        return Cell(" · ".join(parts), reached["calls"] / most)

    rows: list[list[str | Cell]] = [
        [
            capitalized(translator.segment(name) if name else translator.text("trial.unknown")),
            *(cell(one, name) for one in page.figures),
        ]
        for name in segments
    ]
    return Table([translator.text("trial.col_segment"), *page.names], rows)


def excluded_table(page: Comparison, translator: Translator) -> Table:
    """Return the table of customers who were not called, by reason."""
    rows = []
    for reason in sorted({reason for one in page.figures for reason in one["suppressed"]}):
        counts = [one["suppressed"].get(reason, 0) for one in page.figures]
        rows.append(_row(f"excluded_{reason}", counts, translator.number, translator))
    return Table([translator.text("trial.col_reason"), *_columns(page, translator)], rows)


def _columns(page: Comparison, translator: Translator) -> list[str]:
    return [*page.names, *([translator.text("trial.col_difference")] if len(page.names) == 2 else [])]


def _row(
    name: str,
    values: Sequence[float],
    shown: Callable[[float], str],
    translator: Translator,
    shown_change: Callable[[float], str] | None = None,
) -> list[str | Cell]:
    """Return a row of values, followed by their difference if there are two."""
    row: list[str | Cell] = [translator.text(f"trial.{name}"), *(shown(one) for one in values)]
    if len(values) == 2:
        change, show = values[1] - values[0], shown_change or shown
        sign = "" if show(abs(change)) == show(0.0) else "+" if change > 0 else "−"
        row.append(f"{sign}{show(abs(change))}")
    return row


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
