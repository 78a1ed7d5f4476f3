"""The tables of the report: figures as text, in the reader's language."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_app.report.charts.common import SILENCE
from stream_app.report.voice import Voice

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """Text with a bar behind it (share of the cell's width, 0 to 1), or a mark of its own."""

    text: str
    bar: float | None = None
    mark: str = ""  # a class of style.css


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column is the name of its row."""

    head: list[str]
    rows: list[list[str | Cell]]
    strong: set[int] = field(default_factory=set)  # rows to stand out
    text_columns: set[int] = field(default_factory=lambda: {0})  # not numbers: aligned to the left


def score_table(m: Figures, voice: Voice) -> Table:
    """The product, the longest silence first, and every expert, the best AUC first after the product."""
    experts = sorted(m["experts"].items(), key=lambda item: (-(item[1]["auc"] or 0), item[0]))
    scores = {"product": m["product"], SILENCE: m["longest_silence_first"], **dict(experts)}
    keys = ("auc", "pr", "lift", "precision", "loss", "brier", "ece")
    capacity = voice.number(m["protocol"]["capacity"])
    head = [voice.say("trust.col_name"), *(voice.say(f"trust.col_{k}", n=capacity) for k in keys)]
    rows = [[voice.name("expert", name), *score_row(s, voice)] for name, s in scores.items()]
    return Table(head, rows, strong={0})


def score_row(s: Figures, voice: Voice) -> list[str | Cell]:
    """The figures of one score."""
    low, high = s.get("auc_low"), s.get("auc_high")
    interval = f" ({voice.number(low, 3)}–{voice.number(high, 3)})" if low is not None else ""
    return [
        voice.number(s["auc"], 3) + interval,
        voice.number(s["pr_auc"], 3),
        voice.number(s["lift10"], 2),
        voice.percent(s["precision_at_capacity"], 1),
        *(voice.number(s.get(name), 3) for name in ("log_loss", "brier", "ece")),
    ]


def capacity_table(m: Figures, voice: Voice) -> Table:
    """The capacity curve."""
    keys = ("calls", "reached", "early", "lead", "right", "baseline", "baseline_early")
    head = [voice.say(f"gain.col_{key}", days=m["capacity"]["early_days"]) for key in keys]
    rows: list[list[str | Cell]] = [
        [
            voice.number(a["capacity"]),
            voice.percent(a["reached_share"], 1),
            voice.percent(a["early_share"], 1),
            voice.number(a["lead_median_days"]),
            voice.percent(a["precision"], 1),
            voice.percent(b["reached_share"], 1),
            voice.percent(b["early_share"], 1),
        ]
        for a, b in zip(m["capacity"]["product"], m["capacity"]["recency"], strict=True)
    ]
    own = {i for i, a in enumerate(m["capacity"]["product"]) if a["capacity"] == m["protocol"]["capacity"]}
    return Table(head, rows, strong=own)


def calibration_table(m: Figures, voice: Voice) -> Table:
    """The points of the reliability diagram."""
    head = [voice.say(f"calibration.col_{key}") for key in ("promised", "left", "interval", "n")]
    rows: list[list[str | Cell]] = [
        [
            voice.percent(b["promised"], 1),
            voice.percent(b["churned"], 1),
            f"{voice.percent(b['churned_low'], 1)}–{voice.percent(b['churned_high'], 1)}",
            voice.number(b["n"]),
        ]
        for b in m["calibration"]
    ]
    return Table(head, rows)


def segment_table(rows: Sequence[Figures], m: Figures, voice: Voice) -> Table:
    """One way to cut the customers; money columns only where the log has amounts."""
    known, currency = m["money"]["known"], m["money"]["currency"]
    keys = ["segment", "customers", "risk", *(["worth", "at_risk"] if known else []), "promised", "left"]
    most = max((row["monthly_worth_at_risk"] for row in rows), default=0) or 1
    crowd = max((row["customers"] for row in rows), default=0) or 1
    body: list[list[str | Cell]] = []
    for row in rows:
        worth: list[str | Cell] = [
            voice.money(row["monthly_worth"], currency),
            Cell(voice.money(row["monthly_worth_at_risk"], currency), row["monthly_worth_at_risk"] / most),
        ]
        body.append(
            [
                voice.name("segments", row["segment"]),
                Cell(voice.number(row["customers"]), row["customers"] / crowd),
                voice.percent(row["risk"]),
                *(worth if known else []),
                voice.percent(row["promised"]),
                voice.percent(row["churned"]),
            ]
        )
    return Table([voice.say(f"segments.col_{key}") for key in keys], body)


def churn_table(m: Figures, voice: Voice) -> Table:
    """The churn rate by month."""
    head = [voice.say(f"cohorts.col_{key}") for key in ("calendar", "customers", "lost", "rate")]
    rows: list[list[str | Cell]] = [
        [r["month"], voice.number(r["customers"]), voice.number(r["lost"]), voice.percent(r["churn_rate"], 1)]
        for r in m["churn_by_month"]
    ]
    return Table(head, rows)


def cause_table(m: Figures, voice: Voice) -> Table:
    """Which causes the log can show, and which fields are missing for the rest."""
    head = [voice.say(f"data.col_{key}") for key in ("cause", "support", "missing")]
    rows: list[list[str | Cell]] = [
        [
            voice.name("cause", row["cause"]),
            Cell(voice.say(f"data.{row['support']}"), mark=f"support-{row['support']}"),
            ", ".join(missing_field(name, voice) for name in row["missing"]) or voice.dash,
        ]
        for row in m["support"]["causes"]
    ]
    return Table(head, rows, text_columns={0, 1, 2})


def missing_field(name: str, voice: Voice) -> str:
    """A field as it is sent, `order.amount`; a whole kind in words."""
    return name if "." in name else voice.say("data.whole_kind", kind=voice.name("kind", name))


def log_table(m: Figures, voice: Voice) -> Table:
    """What was in the log."""
    log = m["log"]
    rows: list[list[str | Cell]] = [[voice.say("data.events"), voice.number(log["events"]), ""]]
    rows += [
        [voice.say(f"data.{key}"), voice.number(log[key]), voice.say(f"data.{key}_note")]
        for key in ("rejected", "skipped", "duplicates", "late")
    ]
    rows += [[voice.say(f"data.{key}"), voice.number(log[key]), ""] for key in ("customers", "buyers")]
    kinds = voice.say("data.kinds")
    rows += [
        [f"{kinds}{voice.colon}{voice.name('kind', kind)}", voice.number(n), ""] for kind, n in log["kinds"].items()
    ]
    return Table([], rows, text_columns={0, 2})


def feature_table(rows: Sequence[Figures], voice: Voice) -> Table:
    """The features that count most, in words."""
    head = [voice.say(f"drivers.col_{key}") for key in ("feature", "meaning", "unit", "weight")]
    body: list[list[str | Cell]] = [
        [Cell(row["name"], mark="code"), row["meaning"] or voice.dash, row["unit"] or voice.dash,
         voice.number(row["weight"], 3)]
        for row in rows
    ]  # fmt: skip
    return Table(head, body, text_columns={0, 1, 2})


def effect_table(m: Figures, voice: Voice) -> Table:
    """What each kind of event does to the odds."""
    head = [voice.say(f"drivers.col_{key}") for key in ("event", "factor", "count")]
    rows: list[list[str | Cell]] = [
        [voice.name("drivers", kind), voice.number(math.exp(e["log_odds"]), 2), voice.number(e["n"])]
        for kind, e in m["models"]["effects"].items()
    ]
    return Table(head, rows)


def setting_table(m: Figures, voice: Voice) -> Table:
    """All settings by name."""
    rows: list[list[str | Cell]] = [
        [Cell(name, mark="code"), Cell(setting_text(value), mark="code")] for name, value in m["settings"].items()
    ]
    return Table([voice.say("method.col_setting"), voice.say("method.col_value")], rows, text_columns={0, 1})


def setting_text(value: object) -> str:
    """A setting's value, whole numbers without a point.

    >>> setting_text(60.0), setting_text([0, 1]), setting_text(None)
    ('60', '0, 1', '–')
    """
    match value:
        case None:
            return "–"
        case float() if value.is_integer():
            return str(int(value))
        case list() | tuple():
            return ", ".join(setting_text(v) for v in value) or "–"
        case _:
            return str(value) or "–"


def version_table(m: Figures, voice: Voice) -> Table:
    """The packages that took part."""
    rows: list[list[str | Cell]] = [
        [Cell(name, mark="code"), Cell(version, mark="code")] for name, version in m["run"]["versions"].items()
    ]
    return Table([voice.say("method.col_package"), voice.say("method.col_version")], rows, text_columns={0, 1})


def alert_table(m: Figures, voice: Voice) -> Table:
    """How the alerts did, and why episodes closed."""
    a, horizon = m["alerts"], voice.number(m["protocol"]["horizon_days"])
    rows: list[list[str | Cell]] = [
        [voice.say("alerts.opened"), voice.number(a["opened"])],
        [voice.say("alerts.density"), voice.number(a["per_1000_customers_and_day"], 2)],
        [voice.say("alerts.precision", days=horizon), voice.percent(a["precision"], 1)],
        [voice.say("alerts.reached"), voice.percent(a["reached_share"], 1)],
        [voice.say("alerts.early"), voice.number(a["lead"]["median_days"])],
        [voice.say("alerts.flap"), voice.percent(a["flap_rate"], 1)],
    ]
    why = voice.say("alerts.closed")
    rows += [
        [f"{why}{voice.colon}{voice.name('alerts', reason)}", voice.number(n)] for reason, n in a["closed"].items()
    ]
    return Table([], rows)
