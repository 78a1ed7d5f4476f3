"""The top of the report in words: the headline, the verdict, four figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream_app.report.voice import Voice

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Tile:
    """A figure large enough to be read across a table, and what it means."""

    value: str
    what: str
    note: str


@dataclass(frozen=True)
class Condition:
    """One condition of the verdict."""

    text: str
    met: bool
    wait: str


@dataclass(frozen=True)
class Verdict:
    """Whether the scores can be relied on."""

    ready: bool
    title: str
    text: str
    conditions: list[Condition]


def own_row(m: Figures, who: str = "product") -> Figures:
    """The capacity curve at the staff's own capacity."""
    capacity = m["protocol"]["capacity"]
    return next(row for row in m["capacity"][who] if row["capacity"] == capacity)


def headline(m: Figures, voice: Voice) -> str:
    """The one sentence: whom calls would have reached, and how early."""
    own = own_row(m)
    if not own["reached"]:
        return voice.say("headline.reach_none")
    return voice.say(
        "headline.reach",
        calls=voice.number(own["capacity"]),
        share=voice.percent(own["reached_share"]),
        days=voice.number(own["lead_median_days"]),
        rule=voice.number(m["protocol"]["lost_after_days"]),
    )


def reach_note(m: Figures, voice: Voice) -> str:
    """Why the chart of those reached in time shows less than the headline says; empty where nobody was reached."""
    own, rule = own_row(m), m["protocol"]["lost_after_days"]
    if not own["reached"]:
        return ""
    return voice.say(
        "gain.note",
        calls=voice.number(own["capacity"]),
        rule=voice.number(rule),
        days=voice.number(m["capacity"]["early_days"]),
        reached=voice.percent(own["reached_share"]),
        early=voice.percent(own["early_share"]),
    )


def against(m: Figures, voice: Voice) -> str:
    """What could be done today without a model; empty where nothing can be compared."""
    if not m["protocol"]["departures"]:
        return ""
    rival = own_row(m, "recency")
    if not rival["reached"]:
        return voice.say("headline.against_none")
    share, days = voice.percent(rival["reached_share"]), voice.number(rival["lead_median_days"])
    return voice.say("headline.against", share=share, days=days)


def money(m: Figures, voice: Voice) -> str:
    """What is at risk today: in money where the log has amounts, else in customers."""
    figures, active = m["money"], voice.number(m["money"]["active_customers"])
    if not figures["known"]:
        leavers, days = voice.number(figures["expected_leavers"]), voice.number(m["protocol"]["horizon_days"])
        return voice.say("headline.no_money", active=active, leavers=leavers, days=days)
    return voice.say(
        "headline.money",
        active=active,
        worth=voice.money(figures["monthly_worth"], figures["currency"]),
        risk=voice.money(figures["monthly_worth_at_risk"], figures["currency"]),
        share=voice.percent(figures["at_risk_share"]),
    )


def meaning_of_left(m: Figures, voice: Voice) -> str:
    """What counts as having left, in this report."""
    p = m["protocol"]
    rule = voice.number(p["lost_after_days"])
    if p["departure_means"] == "lost_after":
        return voice.say("headline.left_lost_after", days=rule)
    return voice.say("headline.left_horizon", days=voice.number(p["horizon_days"]), rule=rule)


def verdict(m: Figures, voice: Voice) -> Verdict:
    """Ready or not yet, why, and when."""
    r = m["readiness"]
    if r["ready"]:
        title, text = voice.say("verdict.ready"), voice.say("verdict.ready_text")
    else:
        title = voice.say("verdict.not_yet")
        on = r["expected_on"]
        text = voice.say("verdict.not_yet_on", date=voice.day(on)) if on else voice.say("verdict.not_yet_open")
    return Verdict(r["ready"], title, text, [condition(c, m, voice) for c in r["conditions"]])


def condition(c: Figures, m: Figures, voice: Voice) -> Condition:
    """One condition in words."""
    wait = voice.say("verdict.in_days", days=voice.number(c["days_to_go"])) if c["days_to_go"] else ""
    if c["name"] != "better_than_recency":
        days = voice.number(m["protocol"]["horizon_days"])
        have, need = voice.number(c["have"]), voice.number(c["need"])
        text = voice.say(f"verdict.{c['name']}", have=have, need=need, days=days)
        return Condition(text, c["met"], wait)
    if c["have"] is None or c["low"] is None:
        return Condition(voice.say("verdict.better_unknown"), c["met"], wait)
    difference, low, high = (signed(c[name], voice) for name in ("have", "low", "high"))
    return Condition(voice.say("verdict.better_than_recency", have=difference, low=low, high=high), c["met"], wait)


def signed(value: float | None, voice: Voice, digits: int = 3) -> str:
    """A difference with its sign.

    >>> signed(0.0163, Voice("en"))
    '+0.016'
    """
    return ("+" if value is not None and value > 0 else "") + voice.number(value, digits)


def tiles(m: Figures, voice: Voice) -> list[Tile]:
    """The four figures under the headline."""
    own, auc = own_row(m), m["product"]["auc"]
    calls, horizon = voice.number(own["capacity"]), voice.number(m["protocol"]["horizon_days"])
    recency, rule = voice.percent(m["longest_silence_first"]["auc"]), voice.number(m["protocol"]["lost_after_days"])
    return [
        risk_tile(m, voice),
        Tile(
            voice.percent(own["reached_share"]), voice.say("tile.reached"), voice.say("tile.reached_note", calls=calls)
        ),
        Tile(voice.number(own["lead_median_days"]), voice.say("tile.early"), voice.say("tile.early_note", rule=rule)),
        Tile(voice.percent(own["precision"]), voice.say("tile.right"), voice.say("tile.right_note", days=horizon)),
        Tile(voice.percent(auc), voice.say("tile.auc"), voice.say("tile.auc_note", recency=recency)),
    ]


def risk_tile(m: Figures, voice: Voice) -> Tile:
    """What is at risk: money, or customers where no amounts are known."""
    figures = m["money"]
    if figures["known"]:
        worth = voice.money(figures["monthly_worth"], figures["currency"])
        risk = voice.money(figures["monthly_worth_at_risk"], figures["currency"])
        return Tile(risk, voice.say("tile.risk"), voice.say("tile.risk_note", worth=worth))
    active, days = voice.number(figures["active_customers"]), voice.number(m["protocol"]["horizon_days"])
    note = voice.say("tile.leavers_note", active=active, days=days)
    return Tile(voice.number(figures["expected_leavers"]), voice.say("tile.leavers"), note)


def unknown_words(m: Figures, voice: Voice) -> list[tuple[str, str]]:
    """Each field with words that are not understood, and its words with their counts."""
    return [
        (field, ", ".join(f"{word} ({voice.number(count)})" for word, count in words.items()))
        for field, words in m["log"]["unknown_words"].items()
    ]
