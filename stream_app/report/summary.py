"""Texts at the top of the report: headline, verdict and tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_app.i18n import Translator

Figures = Mapping[str, Any]
CALL_LIST: Final = "call-list.xlsx"  # beside the report


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


def own_row(m: Figures) -> Figures | None:
    """Return the step of the ladder at the shop's capacity, or None if too few customers were lost."""
    return next((row for row in m["calls"]["ladder"] if row["from_alerts"]), None)


def share_of(m: Figures, figures: Figures, end: str = "") -> float | None:
    """Return the share reached in time by the report's measure: of money or of people; `end` is _low or _high."""
    share: float | None = figures.get(f"{m['calls']['measure']}_share{end}")
    return share


def best_of(m: Figures, row: Figures) -> tuple[str, Figures]:
    """Return the name and the figures of the best rule at one capacity."""
    name: str = row["best_rule"][m["calls"]["measure"]]
    return name, row["rules"][name]


def against_of(m: Figures, row: Figures) -> Figures:
    """Return how the product compares with the best rule at one capacity."""
    found: Figures = row["against_best_rule"][m["calls"]["measure"]]
    return found


def money_text(m: Figures, translator: Translator, amount: float | None) -> str:
    """Format an amount in the currency of the log."""
    return translator.money(amount, m["money"]["currency"])


def headline(m: Figures, translator: Translator) -> str:
    """Return the main result: what is lost per month, and how much of it the calls reach in time."""
    calls, own, p = m["calls"], own_row(m), m["protocol"]
    if own is None:
        values = {"n": calls["lost"]["silences"], "rule": p["lost_after_days"], "need": calls["lost"]["needed"]}
        return translator.text("headline.too_few", **{k: translator.number(v) for k, v in values.items()})
    numbers = {"calls": p["capacity"], "people": calls["lost"]["per_month"], "active": m["money"]["active_customers"]}
    return translator.text(
        "headline.everyone" if calls["everyone_callable"] else f"headline.{calls['measure']}",
        lost=money_text(m, translator, calls["lost"]["monthly_worth_per_month"]),
        share=translator.percent(share_of(m, own["product"])),
        best=translator.percent(share_of(m, best_of(m, own)[1])),
        **{name: translator.number(number) for name, number in numbers.items()},
    )


def caution(m: Figures, translator: Translator) -> str:
    """Return what reached in time means, and what it does not."""
    return translator.text("headline.caution", days=translator.number(m["calls"]["act_before_days"]))


def against(m: Figures, translator: Translator) -> str:
    """Return a sentence on the best rule that needs no model; empty if too few customers were lost."""
    if (own := own_row(m)) is None:
        return ""
    found = {name: translator.number(against_of(m, own)[name], 2) for name in ("ratio", "low", "high")}
    rule = translator.text(f"rule.{best_of(m, own)[0]}")
    said = translator.text("headline.against", rule=rule, **found)
    if m["protocol"]["rank_by"] == "risk" and (against_of(m, own)["ratio"] or 1.0) < 1:
        said += translator.sentence_gap + translator.text("headline.plan")
    return said


def pays(m: Figures, translator: Translator) -> str:
    """Return what a call must achieve to pay; empty if the log has no amounts or no lost customer was reached."""
    one = m["calls"]["per_call"]
    if one is None:
        return ""
    worth, month = one["monthly_worth_reached_per_call"], one["pays_if_kept_for_a_month"]
    if month is None:
        tenth = money_text(m, translator, worth / 10)
        return translator.text("headline.pays_unknown", worth=money_text(m, translator, worth), tenth=tenth)
    return translator.text(
        "headline.pays",
        cost=money_text(m, translator, one["contact_cost"]),
        worth=money_text(m, translator, worth),
        month=translator.percent(month, 1),
        year=translator.percent(month / 12, 1),
    )


def meaning(m: Figures, translator: Translator) -> str:
    """Return the definitions of lost, of the label, and of the monthly worth."""
    p, money = m["protocol"], m["money"]
    days = {"lost": translator.number(p["lost_after_days"]), "horizon": translator.number(p["horizon_days"])}
    sentences = [translator.text("headline.meaning", **days), complaints(m, translator)]
    if money["known"]:
        sentences.append(translator.text("headline.worth_means", horizon=days["horizon"]))
        if len(money["currencies"]) > 1:
            sentences.append(translator.text("headline.several", currencies=translator.join(money["currencies"])))
    return translator.sentence_gap.join(filter(None, sentences))


def complaints(m: Figures, translator: Translator) -> str:
    """Return which lost customers are left out of what calls reach, since staff worked on a complaint; or nothing."""
    found = m["calls"]["complaints"]
    if not found["silences"]:
        return ""
    key = "gain.complaints" if found["worth_share"] is not None else "gain.complaints_people"
    share = translator.percent(found["worth_share"])
    return translator.text(key, n=translator.number(found["silences"]), share=share)


def about(m: Figures, translator: Translator, kind: str) -> str:
    """Return what a figure is about: lost, reach, label, orders or model."""
    p = m["protocol"]
    days = {"lost": translator.number(p["lost_after_days"]), "horizon": translator.number(p["horizon_days"])}
    return translator.text(f"about.{kind}", **days)


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
    return Condition(condition_text(c, m, translator), c["met"], wait)


def condition_text(c: Figures, m: Figures, translator: Translator) -> str:
    """Return a condition of the verdict in words, without whether it is met."""
    if c["name"] not in {"better_than_recency", "better_than_rules"}:
        days = translator.number(m["protocol"]["horizon_days"])
        have, need = translator.number(c["have"]), translator.number(c["need"])
        return translator.text(f"verdict.{c['name']}", have=have, need=need, days=days)
    rules = c["name"] == "better_than_rules"
    if c["have"] is None or c["low"] is None:
        return translator.text("verdict.rules_unknown" if rules else "verdict.better_unknown")
    if rules:
        found = {key: translator.number(c[key], 2) for key in ("have", "low", "high")}
        return translator.text(f"verdict.rules_{c['measure']}", **found)
    found = {key: signed(c[key], translator) for key in ("have", "low", "high")}
    return translator.text("verdict.better_than_recency", **found)


def signed(value: float | None, translator: Translator, digits: int = 3) -> str:
    """Format a difference with its sign.

    >>> signed(0.0163, Translator("en", "report"))
    '+0.016'
    """
    return ("+" if value is not None and value > 0 else "") + translator.number(value, digits)


def tiles(m: Figures, translator: Translator) -> list[Tile]:
    """Return the tiles shown below the headline; none if too few customers were lost or everybody can be called."""
    own, calls = own_row(m), m["calls"]
    if own is None or calls["everyone_callable"]:
        return []
    mine, against_rule = own["product"], against_of(m, own)
    low, high = (translator.percent(share_of(m, mine, end)) for end in ("_low", "_high"))
    counts = {name: translator.number(mine[name]) for name in ("reached", "of")}
    interval = {name: translator.number(against_rule[name], 2) for name in ("low", "high")}
    return [
        lost_tile(m, translator),
        Tile(
            translator.percent(share_of(m, mine)),
            translator.text("tile.reached"),
            translator.text("tile.reached_note", low=low, high=high, **counts),
        ),
        Tile(
            f"{translator.number(against_rule['ratio'], 2)} ×",
            translator.text("tile.rule"),
            translator.text("tile.rule_note", **interval),
        ),
        call_tile(m, translator),
    ]


def lost_tile(m: Figures, translator: Translator) -> Tile:
    """Return the tile for what is lost per month: money, or customers."""
    calls, lost = m["calls"], m["calls"]["lost"]
    people = translator.number(lost["per_month"])
    if calls["measure"] == "worth":
        worth = money_text(m, translator, lost["monthly_worth_per_month"])
        return Tile(worth, translator.text("tile.lost_worth"), translator.text("tile.lost_worth_note", people=people))
    n, months = translator.number(lost["silences"]), translator.number(calls["months"], 1)
    return Tile(
        people, translator.text("tile.lost_people"), translator.text("tile.lost_people_note", n=n, months=months)
    )


def call_tile(m: Figures, translator: Translator) -> Tile:
    """Return the tile for what one call reaches: money, or customers."""
    own, one = own_row(m), m["calls"]["per_call"]
    mine: Figures = own["product"] if own else {"calls": 0, "reached": 0}
    n = translator.number(mine["calls"])
    if m["calls"]["measure"] == "worth" and one is not None:
        worth = money_text(m, translator, one["monthly_worth_reached_per_call"])
        return Tile(worth, translator.text("tile.call"), translator.text("tile.call_note", n=n))
    per_hundred = translator.number(100 * mine["reached"] / mine["calls"] if mine["calls"] else None)
    return Tile(per_hundred, translator.text("tile.call_people"), translator.text("tile.call_people_note", n=n))


def unknown_words(m: Figures, translator: Translator) -> list[tuple[str, str]]:
    """Return (field, unknown values with their counts) for each field with unknown values."""
    return [
        (field, ", ".join(f"{word} ({translator.number(count)})" for word, count in words.items()))
        for field, words in m["log"]["unknown_words"].items()
    ]
