"""Report tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_app.i18n import Translator
from stream_app.report.charts.common import SILENCE

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """A cell's text, with an optional bar behind it (share of the width, 0 to 1) and an optional style class."""

    text: str
    bar: float | None = None
    mark: str = ""  # a CSS class from style.css


@dataclass(frozen=True)
class Table:
    """A table with column headings. The first cell of each row is the row's heading."""

    head: list[str]
    rows: list[list[str | Cell]]
    strong: set[int] = field(default_factory=set)  # highlighted rows
    text_columns: set[int] = field(default_factory=lambda: {0})  # left-aligned columns


def score_table(m: Figures, translator: Translator) -> Table:
    """Return the table of stream-app, the baseline and all experts, sorted by AUC."""
    experts = sorted(m["experts"].items(), key=lambda item: (-(item[1]["auc"] or 0), item[0]))
    scores = {"product": m["product"], SILENCE: m["longest_silence_first"], **dict(experts)}
    keys = ("auc", "pr", "lift", "loss", "brier", "ece")
    head = [translator.text("trust.col_name"), *(translator.text(f"trust.col_{k}") for k in keys)]
    rows = [[translator.name("expert", name), *score_row(s, translator)] for name, s in scores.items()]
    return Table(head, rows, strong={0})


def score_row(s: Figures, translator: Translator) -> list[str | Cell]:
    """Return the cells of one score."""
    low, high = s.get("auc_low"), s.get("auc_high")
    interval = f" ({translator.number(low, 3)}–{translator.number(high, 3)})" if low is not None else ""
    return [
        translator.number(s["auc"], 3) + interval,
        translator.number(s["pr_auc"], 3),
        translator.number(s["lift10"], 2),
        *(translator.number(s.get(name), 3) for name in ("log_loss", "brier", "ece")),
    ]


def calibration_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the reliability diagram."""
    head = [translator.text(f"calibration.col_{key}") for key in ("promised", "left", "interval", "n")]
    rows: list[list[str | Cell]] = [
        [
            translator.percent(b["promised"], 1),
            translator.percent(b["churned"], 1),
            f"{translator.percent(b['churned_low'], 1)}–{translator.percent(b['churned_high'], 1)}",
            translator.number(b["n"]),
        ]
        for b in m["calibration"]
    ]
    return Table(head, rows)


def segment_table(rows: Sequence[Figures], m: Figures, translator: Translator) -> Table:
    """Return a table of customer segments, with amounts if the log has them and losses if calls are planned."""
    known, planned, currency = m["money"]["known"], m["money"]["expected_lost"] is not None, m["money"]["currency"]
    keys = ["segment", "customers", *(["worth"] if known else []), *(["lost"] if planned else [])]
    keys += ["risk", "promised", "left"]
    most = max((row["monthly_worth"] for row in rows), default=0) or 1
    crowd = max((row["customers"] for row in rows), default=0) or 1
    body: list[list[str | Cell]] = []
    for row in rows:
        cells: dict[str, str | Cell] = {
            "segment": segment_name(row["segment"], translator),
            "customers": Cell(translator.number(row["customers"]), row["customers"] / crowd),
            "worth": Cell(translator.money(row["monthly_worth"], currency), row["monthly_worth"] / most),
            "lost": translator.percent(row["lost_probability"]),
            "risk": translator.percent(row["risk"]),
            "promised": translator.percent(row["promised"]),
            "left": translator.percent(row["churned"]),
        }
        body.append([cells[key] for key in keys])
    days = translator.number(m["protocol"]["horizon_days"])
    return Table([translator.text(f"customers.col_{key}", days=days) for key in keys], body)


def segment_name(key: str, translator: Translator) -> str:
    """Return the name of an RFM segment or of a stage."""
    return capitalized(translator.name("rfm" if key in translator.group("rfm") else "stages", key))


def capitalized(text: str) -> str:
    """Return a text with its first letter in upper case, as in the first column of a table."""
    return text[:1].upper() + text[1:]


def churn_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the monthly churn rate."""
    head = [translator.text(f"cohorts.col_{key}") for key in ("calendar", "customers", "lost", "rate")]
    rows: list[list[str | Cell]] = [
        [
            r["month"],
            translator.number(r["customers"]),
            translator.number(r["lost"]),
            translator.percent(r["churn_rate"], 1),
        ]
        for r in m["monthly_churn"]
    ]
    return Table(head, rows)


def cause_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the causes that the log can show, and the fields missing for the others."""
    head = [translator.text(f"data.col_{key}") for key in ("cause", "support", "missing")]
    rows: list[list[str | Cell]] = [
        [
            capitalized(translator.cause(row["cause"])),
            Cell(translator.text(f"data.{row['support']}"), mark=f"support-{row['support']}"),
            ", ".join(missing_field(name, translator) for name in row["missing"]) or translator.dash,
        ]
        for row in m["support"]["causes"]
    ]
    return Table(head, rows, text_columns={0, 1, 2})


def missing_field(name: str, translator: Translator) -> str:
    """Return the display name of a missing field such as `order.amount`, or of a missing kind of event."""
    return name if "." in name else translator.text("data.whole_kind", kind=translator.name("kind", name))


def log_table(m: Figures, translator: Translator) -> Table:
    """Return the table of the log's contents."""
    log = m["log"]
    rows: list[list[str | Cell]] = [[translator.text("data.events"), translator.number(log["events"]), ""]]
    rows += [
        [translator.text(f"data.{key}"), translator.number(log[key]), translator.text(f"data.{key}_note")]
        for key in ("rejected", "skipped", "duplicates", "late")
    ]
    rows += [[translator.text(f"data.{key}"), translator.number(log[key]), ""] for key in ("customers", "buyers")]
    kinds = translator.text("data.kinds")
    rows += [
        [f"{kinds}{translator.colon}{translator.name('kind', kind)}", translator.number(n), ""]
        for kind, n in log["kinds"].items()
    ]
    return Table([], rows, text_columns={0, 2})


def feature_table(rows: Sequence[Figures], translator: Translator) -> Table:
    """Return the table of the most important features."""
    head = [translator.text(f"drivers.col_{key}") for key in ("feature", "meaning", "unit", "weight")]
    body: list[list[str | Cell]] = [
        [Cell(row["name"], mark="code"), row["meaning"] or translator.dash, row["unit"] or translator.dash,
         translator.number(row["weight"], 3)]
        for row in rows
    ]  # fmt: skip
    return Table(head, body, text_columns={0, 1, 2})


def code_table(values: Mapping[str, object], head: list[str]) -> Table:
    """Return a table of names and values, both as code."""
    rows: list[list[str | Cell]] = [
        [Cell(name, mark="code"), Cell(setting_text(value), mark="code")] for name, value in values.items()
    ]
    return Table(head, rows, text_columns={0, 1})


def setting_text(value: object) -> str:
    """Format the value of a setting; whole numbers have no decimals.

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


def alert_table(m: Figures, translator: Translator) -> Table:
    """Return the table of alerts: opened, closed by reason and still open, so that the numbers add up."""
    a, before = m["alerts"], m["alerts"]["warm_up"]
    why = translator.text("alerts.closed")
    rows: list[list[str | Cell]] = [[translator.text("alerts.opened"), translator.number(a["opened"])]]
    rows += [
        [f"– {why}{translator.colon}{translator.name('alerts', reason)}", translator.number(n)]
        for reason, n in a["closed"].items()
    ]
    rows += [
        [f"– {translator.text('alerts.still_open')}", translator.number(a["still_open"])],
        [translator.text("alerts.density"), translator.number(a["per_1000_customers_and_day"], 2)],
        [translator.text("alerts.flap"), translator.percent(a["flap_rate"], 1)],
    ]
    numbers = {"closed": sum(before["closed"].values()), "open": before["still_open"]}
    note = translator.text("alerts.warm_up_note", **{k: translator.number(n) for k, n in numbers.items()})
    warm_up = f"{translator.text('alerts.warm_up')}{translator.colon}{note}"
    rows.append([warm_up, translator.number(before["opened"])])
    return Table([], rows)
