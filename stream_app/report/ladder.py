"""What more calls bring: the ladder of capacities in words and as tables."""

from __future__ import annotations

from typing import Final

from stream_app.i18n import Translator
from stream_app.report.summary import Figures, against_of, best_of, complaints, money_text, own_row, share_of
from stream_app.report.tables import Cell, Table

EQUAL: Final = 0.001  # shares that differ by less are shown as equal
WORSE: Final = 0.005  # a rule is recommended if it reaches this much more


def lead(m: Figures, translator: Translator) -> str:
    """Return how the calls of the ladder were chosen, and which customers and calls are left out."""
    calls, own = m["calls"], m["protocol"]["capacity"]
    how = translator.text(f"gain.how_{m['protocol']['rank_by']}")
    said = [translator.text("gain.lead", hour=m["settings"].get("nomination_hour", 9), how=how)]
    if reserve := own - calls["planned_per_day"]:
        said.append(translator.text("gain.reserve", n=translator.number(reserve)))
    if calls["held_out_share"]:
        said.append(translator.text("gain.held_out", share=translator.percent(calls["held_out_share"])))
    if left_out := complaints(m, translator):
        said.append(left_out)
    if m["settings"].get("limited_calls"):
        said.append(translator.text("gain.limited"))
    return translator.sentence_gap.join(said)


def comments(m: Figures, translator: Translator) -> list[str]:
    """Return sentences on what the next step brings, on steps where a rule is as good or better, and on the check."""
    rows, own = m["calls"]["ladder"], own_row(m)
    if own is None:
        return []
    found = [more(m, translator), check(m, own, translator)]
    worse = [row for row in rows if (against_of(m, row)["difference"] or 0.0) < -WORSE]
    for row in worse:
        rule = translator.text(f"rule.{best_of(m, row)[0]}")
        found.append(translator.text("gain.worse", n=translator.number(row["capacity"]), rule=rule))
    equal = [row for row in rows if abs(against_of(m, row)["difference"] or 0.0) < EQUAL]
    if equal and equal[-1] is rows[-1] and not worse:
        found.append(translator.text("gain.equal", n=translator.number(equal[0]["capacity"])))
    return [one for one in found if one]


def more(m: Figures, translator: Translator) -> str:
    """Return what the step above the shop's capacity brings; empty if there is none."""
    rows = m["calls"]["ladder"]
    place = next(i for i, row in enumerate(rows) if row["from_alerts"])
    if place + 1 == len(rows):
        return ""
    low, high = rows[place], rows[place + 1]
    gained = (share_of(m, high["product"]) or 0.0) - (share_of(m, low["product"]) or 0.0)
    values = {"a": translator.number(low["capacity"]), "b": translator.number(high["capacity"])}
    values["more"] = translator.percent(gained, 1)
    if m["calls"]["measure"] == "people":
        return translator.text("gain.more_people", **values)
    return translator.text("gain.more", worth=money_text(m, translator, marginal(low, high)), **values)


def check(m: Figures, own: Figures, translator: Translator) -> str:
    """Return how the simulation compares with the alerts, where both are known."""
    simulated = translator.percent(m["calls"]["simulated_at_capacity"][m["calls"]["measure"]], 1)
    return translator.text("gain.check", simulated=simulated, alerts=translator.percent(share_of(m, own["product"]), 1))


def marginal(low: Figures, high: Figures) -> float | None:
    """Return the monthly worth that one more call reaches between two steps."""
    calls = high["product"]["calls"] - low["product"]["calls"]
    worth: float = high["product"]["monthly_worth_reached"] - low["product"]["monthly_worth_reached"]
    return worth / calls if calls else None


def ladder_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the ladder."""
    rows, worth = m["calls"]["ladder"], m["calls"]["measure"] == "worth"
    keys = ["calls", "reached", "rule", "against", "oracle", "people", *(["more"] if worth else [])]
    head = [translator.text(f"gain.col_{key}") for key in keys]
    body = [ladder_row(m, row, rows[i - 1] if i else None, translator, with_worth=worth) for i, row in enumerate(rows)]
    own = {i for i, row in enumerate(rows) if row["from_alerts"]}
    return Table(head, body, strong=own, text_columns={2})


def ladder_row(
    m: Figures, row: Figures, before: Figures | None, translator: Translator, *, with_worth: bool
) -> list[str | Cell]:
    """Return the cells of one step."""
    mine, (name, best), against = row["product"], best_of(m, row), against_of(m, row)
    low, high = (translator.percent(share_of(m, mine, end), 1) for end in ("_low", "_high"))
    ratio = [translator.number(against[key], 2) for key in ("ratio", "low", "high")]
    one_more = money_text(m, translator, marginal(before, row)) if before else translator.dash
    return [
        translator.number(row["capacity"]),
        f"{translator.percent(share_of(m, mine), 1)} ({low}–{high})",
        f"{translator.percent(share_of(m, best), 1)} · {translator.text(f'rule.{name}')}",
        f"{ratio[0]} × ({ratio[1]}–{ratio[2]})",
        translator.percent(share_of(m, row["oracle"]), 1),
        f"{translator.number(mine['reached'])} / {translator.number(mine['of'])}",
        *([one_more] if with_worth else []),
    ]


def rule_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the product and all rules at the shop's capacity, those that reach most first."""
    own = own_row(m)
    if own is None:
        return Table([], [])
    horizon = translator.number(m["protocol"]["horizon_days"])
    keys = ("name", "worth_share", "people_share", "lead", "right")
    rules = sorted(own["rules"].items(), key=lambda item: -(share_of(m, item[1]) or 0.0))
    named = [(translator.text("gain.product"), own["product"])]
    named += [(translator.text(f"rule.{name}"), figures) for name, figures in rules]
    rows: list[list[str | Cell]] = [
        [
            name,
            translator.percent(one["worth_share"], 1),
            translator.percent(one["people_share"], 1),
            translator.number(one["lead_median_days"]),
            f"{translator.percent(one['right'])} ({translator.number(one['right_n'])})",
        ]
        for name, one in named
    ]
    return Table([translator.text(f"gain.col_{key}", days=horizon) for key in keys], rows, strong={0})
