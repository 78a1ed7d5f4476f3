"""Texts at the top of the report: headline, verdict and tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream_app.i18n import Translator

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Tile:
    """A large number with its meaning."""

    value: str
    what: str
    note: str


@dataclass(frozen=True)
class Condition:
    """A condition of the verdict."""

    text: str
    met: bool
    wait: str


@dataclass(frozen=True)
class Verdict:
    """Whether the scores are reliable."""

    ready: bool
    title: str
    text: str
    conditions: list[Condition]


def own_row(m: Figures, who: str = "product") -> Figures:
    """Return the point of the capacity curve at the shop's capacity."""
    capacity = m["protocol"]["capacity"]
    return next(row for row in m["capacity"][who] if row["capacity"] == capacity)


def headline(m: Figures, translator: Translator) -> str:
    """Return the main result: the share of leavers that calls would have reached, and how early."""
    own = own_row(m)
    if not own["reached"]:
        return translator.text("headline.reach_none")
    return translator.text(
        "headline.reach",
        calls=translator.number(own["capacity"]),
        share=translator.percent(own["reached_share"]),
        days=translator.number(own["lead_median_days"]),
        rule=translator.number(m["protocol"]["lost_after_days"]),
    )


def reach_note(m: Figures, translator: Translator) -> str:
    """Return a note on why the chart shows less than the headline; empty if no leaver was reached."""
    own, rule = own_row(m), m["protocol"]["lost_after_days"]
    if not own["reached"]:
        return ""
    return translator.text(
        "gain.note",
        calls=translator.number(own["capacity"]),
        rule=translator.number(rule),
        days=translator.number(m["capacity"]["early_days"]),
        reached=translator.percent(own["reached_share"]),
        early=translator.percent(own["early_share"]),
    )


def against(m: Figures, translator: Translator) -> str:
    """Return a sentence on the result of the baseline that needs no model; empty if no customer left."""
    if not m["protocol"]["departures"]:
        return ""
    rival = own_row(m, "recency")
    if not rival["reached"]:
        return translator.text("headline.against_none")
    share, days = translator.percent(rival["reached_share"]), translator.number(rival["lead_median_days"])
    return translator.text("headline.against", share=share, days=days)


def money(m: Figures, translator: Translator) -> str:
    """Return a sentence on what is at risk: an amount, or a number of customers if the log has no amounts."""
    figures, active = m["money"], translator.number(m["money"]["active_customers"])
    if not figures["known"]:
        leavers, days = translator.number(figures["expected_leavers"]), translator.number(m["protocol"]["horizon_days"])
        return translator.text("headline.no_money", active=active, leavers=leavers, days=days)
    return translator.text(
        "headline.money",
        active=active,
        worth=translator.money(figures["monthly_worth"], figures["currency"]),
        risk=translator.money(figures["monthly_worth_at_risk"], figures["currency"]),
        share=translator.percent(figures["at_risk_share"]),
    )


def meaning_of_left(m: Figures, translator: Translator) -> str:
    """Return the definition of "left" used in the report."""
    p = m["protocol"]
    rule = translator.number(p["lost_after_days"])
    if p["departure_means"] == "lost_after":
        return translator.text("headline.left_lost_after", days=rule)
    return translator.text("headline.left_horizon", days=translator.number(p["horizon_days"]), rule=rule)


def verdict(m: Figures, translator: Translator) -> Verdict:
    """Return the verdict on whether the scores are ready for use, with all conditions."""
    r = m["readiness"]
    if r["ready"]:
        title, text = translator.text("verdict.ready"), translator.text("verdict.ready_text")
    else:
        title = translator.text("verdict.not_yet")
        on = r["expected_on"]
        text = (
            translator.text("verdict.not_yet_on", date=translator.day(on))
            if on
            else translator.text("verdict.not_yet_open")
        )
    return Verdict(r["ready"], title, text, [condition(c, m, translator) for c in r["conditions"]])


def condition(c: Figures, m: Figures, translator: Translator) -> Condition:
    """Return a condition of the verdict in words."""
    wait = translator.text("verdict.in_days", days=translator.number(c["days_to_go"])) if c["days_to_go"] else ""
    if c["name"] != "better_than_recency":
        days = translator.number(m["protocol"]["horizon_days"])
        have, need = translator.number(c["have"]), translator.number(c["need"])
        text = translator.text(f"verdict.{c['name']}", have=have, need=need, days=days)
        return Condition(text, c["met"], wait)
    if c["have"] is None or c["low"] is None:
        return Condition(translator.text("verdict.better_unknown"), c["met"], wait)
    difference, low, high = (signed(c[name], translator) for name in ("have", "low", "high"))
    return Condition(
        translator.text("verdict.better_than_recency", have=difference, low=low, high=high), c["met"], wait
    )


def signed(value: float | None, translator: Translator, digits: int = 3) -> str:
    """Format a difference with its sign.

    >>> signed(0.0163, Translator("en", "report"))
    '+0.016'
    """
    return ("+" if value is not None and value > 0 else "") + translator.number(value, digits)


def tiles(m: Figures, translator: Translator) -> list[Tile]:
    """Return the tiles shown below the headline."""
    own, auc = own_row(m), m["product"]["auc"]
    calls, horizon = translator.number(own["capacity"]), translator.number(m["protocol"]["horizon_days"])
    recency, rule = (
        translator.percent(m["longest_silence_first"]["auc"]),
        translator.number(m["protocol"]["lost_after_days"]),
    )
    return [
        risk_tile(m, translator),
        Tile(
            translator.percent(own["reached_share"]),
            translator.text("tile.reached"),
            translator.text("tile.reached_note", calls=calls),
        ),
        Tile(
            translator.number(own["lead_median_days"]),
            translator.text("tile.early"),
            translator.text("tile.early_note", rule=rule),
        ),
        Tile(
            translator.percent(own["precision"]),
            translator.text("tile.right"),
            translator.text("tile.right_note", days=horizon),
        ),
        Tile(translator.percent(auc), translator.text("tile.auc"), translator.text("tile.auc_note", recency=recency)),
    ]


def risk_tile(m: Figures, translator: Translator) -> Tile:
    """Return the tile for what is at risk: an amount, or a number of customers if the log has no amounts."""
    figures = m["money"]
    if figures["known"]:
        worth = translator.money(figures["monthly_worth"], figures["currency"])
        risk = translator.money(figures["monthly_worth_at_risk"], figures["currency"])
        return Tile(risk, translator.text("tile.risk"), translator.text("tile.risk_note", worth=worth))
    active, days = translator.number(figures["active_customers"]), translator.number(m["protocol"]["horizon_days"])
    note = translator.text("tile.leavers_note", active=active, days=days)
    return Tile(translator.number(figures["expected_leavers"]), translator.text("tile.leavers"), note)


def unknown_words(m: Figures, translator: Translator) -> list[tuple[str, str]]:
    """Return (field, unknown values with their counts) for each field with unknown values."""
    return [
        (field, ", ".join(f"{word} ({translator.number(count)})" for word, count in words.items()))
        for field, words in m["log"]["unknown_words"].items()
    ]
