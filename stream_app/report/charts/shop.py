"""Charts of the shop: monthly churn, and what drives the risk."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT, Figures
from stream_app.report.drawing import ACCENT, FULL, INK, MUTED, NARROW, SECOND, Picture, Plot, data, picture

NAME_CHARS = {FULL: 48, NARROW: 20}  # maximum characters of a feature name, by chart width


def churn_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of the churn rate by calendar month, or None if no month is complete."""
    months = m["churn_by_month"]
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


def effect_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of the factors by which events change the odds of leaving, or None if there are none."""
    effects = m["models"]["effects"]
    if not effects:
        return None
    bars = [
        {
            "name": translator.name("drivers", kind),
            "factor": math.exp(e["log_odds"]),
            "one": 1,
            "side": "up" if e["log_odds"] > 0 else "down",
            "label": f"×{math.exp(e['log_odds']):.2f}",
            "tip": translator.text(
                "drivers.effects_tip",
                name=translator.name("drivers", kind),
                factor=f"{math.exp(e['log_odds']):.2f}",
                n=translator.number(e["n"]),
            ),
        }
        for kind, e in effects.items()
    ]

    def draw(width: int) -> Plot:
        reach = (1.35 if width == FULL else 2.2) * math.exp(max(abs(e["log_odds"]) for e in effects.values()))
        scale = alt.Scale(type="log", domain=[1 / reach, reach], nice=False)
        y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=180, labelColor=INK))
        axis = alt.Axis(tickCount=3, format="~r")
        x = alt.X("factor:Q", title=translator.text("drivers.effects_axis"), scale=scale, axis=axis)
        base = alt.Chart(data(bars)).encode(y=y)
        side = alt.Color("side:N", scale=alt.Scale(domain=["up", "down"], range=[SECOND, ACCENT]), legend=None)

        def labels(which: str) -> alt.Chart:
            return base.transform_filter(alt.datum.side == which)

        return alt.layer(
            base.mark_bar(height=13).encode(x=x, x2="one:Q", color=side, description=alt.Description("tip:N")),
            labels("up").mark_text(aria=False, align="left", dx=6, fontSize=12, color=INK).encode(x=x, text="label:N"),
            labels("down")
            .mark_text(aria=False, align="right", dx=-6, fontSize=12, color=INK)
            .encode(x=x, text="label:N"),
            alt.Chart(data([{"factor": 1}])).mark_rule(aria=False, color=MUTED).encode(x=x),
        ).properties(width=width, height=34 * len(bars) + 60)

    described = ", ".join(f"{b['name']} {b['label']}" for b in bars)
    return picture(translator.text("drivers.effects"), translator.text("drivers.effects_alt", list=described), draw)
