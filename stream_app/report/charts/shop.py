"""Charts of the shop: monthly churn, and what drives the risk."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT, Figures
from stream_app.report.drawing import ACCENT, FULL, INK, NARROW, Picture, Plot, data, picture

NAME_CHARS = {FULL: 48, NARROW: 20}  # maximum characters of a feature name, by chart width


def churn_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of the churn rate by calendar month, or None if no month is complete."""
    months = m["monthly_churn"]
    if not months:
        return None
    bars = [
        {
            "month": row["month"],
            "rate": row["churn_rate"],
            "tip": translator.text(
                "cohorts.churn_tip",
                month=row["month"],
                lost=translator.number(row["lost"]),
                customers=translator.number(row["customers"]),
                rate=translator.percent(row["churn_rate"], 1),
            ),
        }
        for row in months
    ]

    def draw(width: int) -> Plot:
        x = alt.X("month:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True, labelSeparation=8))
        y = alt.Y(
            "rate:Q",
            stack=None,
            title=translator.text("cohorts.churn_axis"),
            axis=alt.Axis(format=PERCENT, tickCount=4),
        )
        mark = alt.Chart(data(bars)).mark_bar(color=ACCENT, cornerRadiusEnd=2)
        return mark.encode(x=x, y=y, description=alt.Description("tip:N")).properties(width=width, height=220)

    words = {
        "first": translator.percent(months[0]["churn_rate"], 1),
        "first_month": months[0]["month"],
        "last": translator.percent(months[-1]["churn_rate"], 1),
        "last_month": months[-1]["month"],
    }
    return picture(translator.text("cohorts.churn"), translator.text("cohorts.churn_alt", **words), draw)


def importance_chart(rows: Sequence[Figures], translator: Translator) -> Picture | None:
    """Return the chart of the most important features, or None if there are none."""
    if not rows:
        return None
    bars = [
        {
            "place": i,
            "weight": row["weight"],
            "tip": translator.text(
                "drivers.features_tip",
                name=row["label"],
                value=translator.number(row["weight"], 3),
                meaning=row["meaning"],
            ).rstrip("¦"),
        }
        for i, row in enumerate(rows)
    ]

    def draw(width: int) -> Plot:
        names = [wrapped(row["label"], NAME_CHARS[width], translator) for row in rows]
        axis = alt.Axis(labelColor=INK, labelLimit=400, labelExpr=f"{json.dumps(names)}[datum.value]")
        y = alt.Y("place:O", title=None, axis=axis)
        x = alt.X(
            "weight:Q",
            stack=None,
            title=translator.text("drivers.features_axis"),
            axis=alt.Axis(tickCount=4, grid=True),
        )
        mark = alt.Chart(data(bars)).mark_bar(color=ACCENT, cornerRadiusEnd=2, height=13)
        encoded = mark.encode(x=x, y=y, description=alt.Description("tip:N"))
        return encoded.properties(width=width, height=38 * len(bars) + 50)

    first = rows[0]["label"]
    return picture(translator.text("drivers.features"), translator.text("drivers.features_alt", first=first), draw)


def wrapped(text: str, chars: int, translator: Translator) -> list[str]:
    """Wrap a label to at most two lines. A Chinese character is as wide as two Latin ones.

    >>> wrapped("days since the customer's last order", 20, Translator("en", "report"))
    ['days since the', "customer's last …"]
    """
    return textwrap.wrap(text, chars // 2 if translator.lang == "zh" else chars, max_lines=2, placeholder=" …")
