"""Why customers left, and samples of alerts, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stream_app.i18n import Translator
from stream_app.i18n.translator import Number
from stream_app.report.call_list import measure_text
from stream_app.report.summary import Figures, money_text
from stream_app.report.tables import Cell, Table, capitalized

MAX_CAUSES: Final = 8
WITHIN: Final = 2  # causes and evidence shown with a sample


@dataclass(frozen=True)
class Sample:
    """An alert in words, without its customer."""

    title: str
    facts: list[str]
    causes: str
    evidence: str
    measure: str


def reason_lead(m: Figures, translator: Translator) -> str:
    """Return on how many lost customers the table is based."""
    found = m["reasons"]
    if not found["causes"]:
        return translator.text("why.empty")
    counts = {name: translator.number(found[key]) for name, key in (("n", "explained"), ("of", "of"))}
    lead = [translator.text("why.lead", **counts)]
    if m["money"]["known"]:
        worth = money_text(m, translator, per_month(m, found["monthly_worth"]))
        total = money_text(m, translator, m["calls"]["lost"]["monthly_worth_per_month"])
        lead.append(translator.text("why.lead_worth", worth=worth, total=total))
    return translator.sentence_gap.join([*lead, translator.text("why.lead_note")])


def stopped_measures(m: Figures) -> list[str]:
    """Return the measures that the policy has stopped."""
    found: list[str] = m["settings"].get("stopped_measures", [])
    return found


def per_month(m: Figures, total: float) -> float:
    """Return an amount or a number of customers per month of the time in which the silences were lost."""
    return total / float(m["calls"]["months"] or 1.0)


def reason_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the causes, the dearest first, by one-time and repeat buyers."""
    known, rows = m["money"]["known"], m["reasons"]["causes"][:MAX_CAUSES]
    keys = ["cause", "customers", *(["worth"] if known else []), "one_time", "repeat", "evidence", "measure"]
    most = max((row["monthly_worth" if known else "customers"] for row in rows), default=0) or 1
    body: list[list[str | Cell]] = []
    for row in rows:
        lost = money_text(m, translator, per_month(m, row["monthly_worth"]))
        worth = Cell(lost, row["monthly_worth"] / most)
        body.append(
            [
                capitalized(translator.cause(row["cause"])),
                translator.number(per_month(m, row["customers"]), 1),
                *([worth] if known else []),
                *(group_text(m, row[group], translator) for group in ("one_time", "repeat")),
                evidence_text(row, translator),
                measure_text(row["cause"], row["segment"] or "", translator, stopped_measures(m)) or translator.dash,
            ]
        )
    if rest := other_row(m, translator):
        body.append(rest)
    texts = {0, len(keys) - 2, len(keys) - 1}
    return Table([translator.text(f"why.col_{key}") for key in keys], body, text_columns=texts)


def other_row(m: Figures, translator: Translator) -> list[str | Cell]:
    """Return the row of all other causes, so that the table adds up; empty if it would show less than one customer."""
    found, shown = m["reasons"], m["reasons"]["causes"][:MAX_CAUSES]
    rest = {
        name: total - sum(row[name] for row in shown)
        for name, total in (("customers", found["explained"]), ("monthly_worth", found["monthly_worth"]))
    }
    if rest["customers"] < 1:
        return []
    worth = money_text(m, translator, per_month(m, max(rest["monthly_worth"], 0.0)))
    return [
        translator.text("why.other"),
        translator.number(per_month(m, rest["customers"]), 1),
        *([worth] if m["money"]["known"] else []),
        *[translator.dash] * 4,
    ]


def group_text(m: Figures, group: Figures, translator: Translator) -> str:
    """Return the customers of a group and their worth, per month."""
    customers = translator.number(per_month(m, group["customers"]), 1)
    if not m["money"]["known"]:
        return customers
    worth = money_text(m, translator, per_month(m, group["monthly_worth"]))
    return translator.text("why.cell", customers=customers, worth=worth)


def evidence_text(row: Figures, translator: Translator) -> str:
    """Return the most frequent evidence for a cause and how many customers have it."""
    found = row["evidence"]
    if found is None:
        return translator.dash
    text = translator.evidence(found["rule"], found["numbers"])
    n = translator.number(row["likeliest_for"])
    return translator.text("why.evidence", text=text, share=translator.percent(found["share"]), n=n)


def samples(m: Figures, translator: Translator) -> list[Sample]:
    """Return the sample alerts in words."""
    return [sample(m, one, translator) for one in m["samples"]]


def sample(m: Figures, one: Figures, translator: Translator) -> Sample:
    """Return one alert in words."""
    causes = one["causes"][:WITHIN]
    listed = [f"{translator.cause(c['cause'])} {translator.percent(c['probability'])}" for c in causes]
    evidence = [translator.evidence(e["rule"], e["numbers"]) for e in one["evidence"][:WITHIN]]
    return Sample(
        title=capitalized(translator.segment(one["segment"])),
        facts=facts(m, one, translator),
        causes=translator.join(listed) or translator.dash,
        evidence="; ".join(evidence) if translator.lang == "en" else "；".join(evidence),
        measure=measure_text(causes[0]["cause"], one["segment"], translator, stopped_measures(m)) if causes else "",
    )


def facts(m: Figures, one: Figures, translator: Translator) -> list[str]:
    """Return the facts of an alert: worth, silence, probability and latest time of a call."""
    gap, silent = one["usual_gap_days"], one["silent_days"]
    days, found = translator.number(silent), []
    if m["money"]["known"]:
        found.append(translator.text("samples.worth", worth=money_text(m, translator, one["monthly_worth"])))
    if gap and silent >= gap:
        times = translator.number(silent / gap, 1)
        found.append(translator.text("samples.silent_gap", days=days, times=times))
    else:
        found.append(translator.text("samples.silent", days=days))
    if one["lost_probability"] is None:
        horizon = translator.number(m["protocol"]["horizon_days"])
        found.append(translator.text("samples.risk", days=horizon, share=translator.percent(one["probability"])))
        return found
    found.append(translator.text("samples.lost", share=translator.percent(one["lost_probability"])))
    left = int(one["call_within_days"])
    found.append(
        translator.text("samples.call_within", days=Number(left)) if left else translator.text("samples.call_today")
    )
    return found


def samples_lead(m: Figures, translator: Translator) -> str:
    """Return what the samples are, and where the next list is."""
    following = m["next_list"]
    if not following["calls"]:
        return translator.text("samples.lead_none")
    values = {"on": translator.day(following["on"]), "n": translator.number(following["calls"])}
    if not m["money"]["known"]:
        return translator.text("samples.lead_people", **values)
    return translator.text("samples.lead", worth=money_text(m, translator, following["monthly_worth"]), **values)
