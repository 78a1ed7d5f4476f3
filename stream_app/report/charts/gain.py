"""Charts of the reach and the lead time of calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT, Figures, hover
from stream_app.report.drawing import ACCENT, FAINT, INK, MUTED, SECOND, Picture, Plot, data, picture
from stream_app.report.summary import best_of, own_row, share_of

LINES: Final = {"oracle": FAINT, "best": SECOND, "product": ACCENT}


def reach_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of what calls reach in time, by calls per day; None if too few customers were lost."""
    rows, own = m["calls"]["ladder"], own_row(m)
    if own is None:
        return None
    points = [
        Point(
            calls=row["capacity"],
            shares={
                "product": share_of(m, row["product"]),
                "best": share_of(m, best_of(m, row)[1]),
                "oracle": share_of(m, row["oracle"]),
            },
            rule=best_of(m, row)[0],
        )
        for row in rows
    ]
    mine = next(point for row, point in zip(rows, points, strict=True) if row is own)
    values = {name: translator.percent(share) for name, share in mine.shares.items()}
    description = translator.text("gain.alt_reach", n=translator.number(own["capacity"]), **values)
    return capacity_chart(m, translator, points, translator.text(f"gain.chart_{m['calls']['measure']}"), description)


def right_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of the calls without an order in the horizon after them; None if too few customers were lost."""
    rows, days = m["calls"]["ladder"], translator.number(m["protocol"]["horizon_days"])
    points = [
        Point(
            calls=row["capacity"],
            shares={"product": row["product"]["right"], "best": best_of(m, row)[1]["right"]},
            rule=best_of(m, row)[0],
        )
        for row in rows
    ]
    if not points:
        return None
    title = translator.text("gain.chart_right", days=days)
    return capacity_chart(m, translator, points, title, translator.text("gain.alt_right"))


@dataclass(frozen=True)
class Point:
    """The shares at one capacity, by line, and the best rule there."""

    calls: int
    shares: dict[str, float | None]
    rule: str


def tip(point: Point, translator: Translator) -> str:
    """Return the hover text of a point."""
    shares = {name: translator.percent(share) for name, share in point.shares.items()}
    key = "gain.tip" if "oracle" in shares else "gain.tip_right"
    rule = translator.text(f"rule.{point.rule}")
    return translator.text(key, calls=translator.number(point.calls), rule=rule, **shares)


def capacity_chart(m: Figures, translator: Translator, points: list[Point], title: str, description: str) -> Picture:
    """Return a chart of shares by calls per day."""
    own = m["protocol"]["capacity"]
    rows = [
        {"calls": point.calls, "share": share, "who": who}
        for point in points
        for who, share in point.shares.items()
        if share is not None
    ]
    tips = [{"calls": point.calls, "tip": tip(point, translator)} for point in points]
    ticks = [point.calls for point in points]

    def draw(width: int) -> Plot:
        scale = alt.Scale(type="log", domain=[min(ticks), max(ticks)], padding=14)
        axis = alt.Axis(values=ticks, labelOverlap=True, labelSeparation=8, format=",d")
        x = alt.X("calls:Q", scale=scale, title=translator.text("gain.axis_calls"), axis=axis)
        y = alt.Y("share:Q", title=None, axis=alt.Axis(format=PERCENT, tickCount=5), scale=alt.Scale(domain=[0, 1]))
        base = alt.Chart(data(rows)).encode(x=x, y=y)
        who = alt.Color("who:N", scale=alt.Scale(domain=list(LINES), range=list(LINES.values())), legend=None)
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
    lead = m["calls"]["lead"]
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
