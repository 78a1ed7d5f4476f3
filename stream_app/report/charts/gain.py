"""Charts of the reach and the lead time of calls."""

from __future__ import annotations

import math

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT, Figures, hover
from stream_app.report.drawing import ACCENT, INK, MUTED, SECOND, Picture, Plot, data, picture


def capacity_chart(m: Figures, translator: Translator, field: str, title: str, description: str) -> Picture:
    """Return the chart of a share by calls per day, for stream-app and "longest silence first"."""
    curve, own = m["capacity"], m["protocol"]["capacity"]
    rows = [
        {"calls": row["capacity"], "share": row[field], "who": who}
        for who in ("product", "recency")
        for row in curve[who]
        if row[field] is not None
    ]
    tips = [
        {
            "calls": a["capacity"],
            "tip": translator.text(
                "gain.tip",
                calls=translator.number(a["capacity"]),
                product=translator.percent(a[field]),
                recency=translator.percent(b[field]),
            ),
        }
        for a, b in zip(curve["product"], curve["recency"], strict=True)
    ]
    ticks = [row["capacity"] for row in curve["product"]]

    def draw(width: int) -> Plot:
        scale = alt.Scale(type="log", domain=[min(ticks), max(ticks)], padding=14)
        axis = alt.Axis(values=ticks, labelOverlap=True, labelSeparation=8, format=",d")
        x = alt.X("calls:Q", scale=scale, title=translator.text("gain.axis_calls"), axis=axis)
        y = alt.Y("share:Q", title=None, axis=alt.Axis(format=PERCENT, tickCount=5), scale=alt.Scale(domain=[0, 1]))
        base = alt.Chart(data(rows)).encode(x=x, y=y)
        who = alt.Color("who:N", scale=alt.Scale(domain=["recency", "product"], range=[SECOND, ACCENT]), legend=None)
        mine = alt.Chart(data([{"calls": own, "label": translator.text("gain.capacity", n=translator.number(own))}]))
        late = own > math.sqrt(min(ticks) * max(ticks))
        return alt.layer(
            mine.mark_rule(aria=False, strokeDash=[3, 3], color=MUTED).encode(x=x),
            mine.mark_text(
                aria=False,
                align="right" if late else "left",
                dx=-6 if late else 6,
                baseline="bottom",
                fontSize=12,
                color=INK,
            ).encode(x=x, y=alt.value(236), text="label:N"),
            base.mark_line(aria=False, strokeWidth=2.5).encode(color=who),
            base.mark_point(aria=False, filled=True, size=36, opacity=1).encode(color=who),
            hover(tips, x, 240, size=alt.value(width / (len(ticks) + 2))),
        ).properties(width=width, height=290)

    return picture(title, description, draw, half=True)


def lead_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the histogram of lead times, or None if no departing customer was reached."""
    lead = m["capacity"]["lead"]
    if not lead["n"]:
        return None
    gap = 0.04 * (lead["histogram"][0]["to_days"] - lead["histogram"][0]["from_days"])
    bars = [
        {
            "from": bar["from_days"] + gap,
            "to": bar["to_days"] - gap,
            "n": bar["n"],
            "tip": translator.text(
                "early.tip",
                since=translator.number(bar["from_days"]),
                until=translator.number(bar["to_days"]),
                n=translator.number(bar["n"]),
            ),
        }
        for bar in lead["histogram"]
    ]
    median = [
        {
            "at": lead["median_days"],
            "label": translator.text("early.median", days=translator.number(lead["median_days"])),
        }
    ]

    def draw(width: int) -> Plot:
        x = alt.X(
            "from:Q",
            bin="binned",
            title=translator.text("early.axis"),
            axis=alt.Axis(tickMinStep=1, tickCount=width // 90),
        )
        bar = alt.Chart(data(bars)).mark_rect(color=ACCENT)
        chosen = alt.Chart(data(median))
        ticks = alt.Axis(tickMinStep=1, tickCount=5)
        room = alt.Scale(domainMax=1.15 * max(bar["n"] for bar in bars), nice=False)  # room for the median's label
        height = alt.Y("n:Q", title=translator.text("early.count"), axis=ticks, scale=room)
        late = lead["median_days"] > bars[-1]["to"] / 2
        return alt.layer(
            bar.encode(
                x=x,
                x2="to:Q",
                y2=alt.datum(0),
                y=height,
                description=alt.Description("tip:N"),
            ),
            chosen.mark_rule(aria=False, strokeWidth=1.5, color=INK).encode(x="at:Q"),
            chosen.mark_text(
                aria=False, align="right" if late else "left", dx=-6 if late else 6, fontSize=13, color=INK
            ).encode(x="at:Q", y=alt.value(8), text="label:N"),
        ).properties(width=width, height=250)

    words = {name: translator.number(lead[f"{name}_days"]) for name in ("median", "q25", "q75")}
    return picture(translator.text("early.chart"), translator.text("early.alt", **words), draw)
