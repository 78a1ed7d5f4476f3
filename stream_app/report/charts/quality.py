"""Charts of score quality: metrics over time, calibration and lift."""

from __future__ import annotations

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT, SILENCE, Figures, hover
from stream_app.report.drawing import ACCENT, FAINT, INK, MUTED, SECOND, SHADE, Picture, Plot, data, picture


def window_chart(m: Figures, translator: Translator, figure: str, digits: int = 3) -> Picture | None:
    """Return the chart of a metric by 28-day window, for stream-app, "longest silence first" and the experts."""
    windows = [w for w in m["windows"] if any(s[figure] is not None for s in w["scores"].values())]
    if not windows:
        return None
    rows = [
        {"from": w["from"], "value": s[figure], "name": name, "who": kind_of(name)}
        for w in windows
        for name, s in w["scores"].items()
        if s[figure] is not None
    ]
    tips = [{"from": w["from"], "tip": window_tip(w, translator, figure, digits)} for w in windows]
    warm = [w["from"] for w in windows if w["warm_up"]]
    first_counted = next((w["from"] for w in windows if not w["warm_up"]), windows[-1]["from"])
    shaded = [{"from": warm[0], "to": first_counted, "label": translator.text("trust.warm_up")}] if warm else []

    def draw(width: int) -> Plot:
        axis = alt.Axis(format="%Y-%m", tickCount=max(3, width // 110), labelOverlap=True, labelSeparation=8)
        x = alt.X("from:T", title=None, axis=axis, scale=alt.Scale(padding=8, nice=False))
        y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5))
        lines = alt.Chart(data(rows)).encode(x=x, y=y, detail="name:N")
        shade = alt.Chart(data(shaded)).mark_rect(aria=False, color=SHADE, opacity=1).encode(x="from:T", x2="to:T")
        label = alt.Chart(data(shaded)).mark_text(
            aria=False, align="left", baseline="top", dx=6, dy=4, fontSize=11, color=MUTED
        )

        def line(who: str, marker: str, thick: float) -> alt.Chart:
            return lines.transform_filter(alt.datum.who == who).mark_line(aria=False, color=marker, strokeWidth=thick)

        return alt.layer(
            *([shade, label.encode(x="from:T", y=alt.value(0), text="label:N")] if shaded else []),
            line("expert", FAINT, 1.2),
            line("silence", SECOND, 2),
            line("product", ACCENT, 2.8),
            hover(tips, x, 250, size=alt.value(width / (len(windows) + 2))),
        ).properties(width=width, height=280)

    name = {"auc": "auc", "log_loss": "loss"}[figure]
    return picture(translator.text(f"trust.chart_{name}"), translator.text(f"trust.alt_{name}"), draw, half=True)


def kind_of(name: str) -> str:
    """Return the style of a score: product, silence or expert."""
    return {"product": "product", SILENCE: "silence"}.get(name, "expert")


def window_tip(window: Figures, translator: Translator, figure: str, digits: int) -> str:
    """Return the hover text of a window, with the metric of every score."""
    lines = [
        f"{translator.name('expert', name)}: {translator.number(score[figure], digits)}"
        for name, score in window["scores"].items()
        if score[figure] is not None
    ]
    return translator.text(
        "trust.tip",
        since=translator.day(window["from"]),
        until=translator.day(window["to"]),
        n=translator.number(window["n"]),
        base=translator.percent(window["base_rate"]),
        lines="¦".join(lines),
    )


def calibration_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the reliability diagram, or None if there are no labels."""
    bins = m["calibration"]
    if not bins:
        return None
    points = [
        {
            **{k: b[k] for k in ("promised", "churned")},
            "low": b["churned_low"] if b["churned_low"] is not None else b["churned"],
            "high": b["churned_high"] if b["churned_high"] is not None else b["churned"],
            "tip": translator.text(
                "calibration.tip",
                promised=translator.percent(b["promised"], 1),
                churned=translator.percent(b["churned"], 1),
                low=translator.percent(b["churned_low"]),
                high=translator.percent(b["churned_high"]),
                n=translator.number(b["n"]),
            ),
        }
        for b in bins
    ]

    def draw(width: int) -> Plot:
        axis = alt.Axis(format=PERCENT, values=[0, 0.2, 0.4, 0.6, 0.8, 1], grid=True)
        scale = alt.Scale(domain=[0, 1])
        x = alt.X("promised:Q", title=translator.text("calibration.axis_x"), axis=axis, scale=scale)
        y = alt.Y("churned:Q", title=translator.text("calibration.axis_y"), axis=axis, scale=scale)
        diagonal = alt.Chart(data([{"promised": v, "churned": v} for v in (0, 1)]))
        base = alt.Chart(data(points))
        return alt.layer(
            diagonal.mark_line(aria=False, color=MUTED, strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y),
            base.mark_rule(aria=False, color=ACCENT, strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
            base.mark_point(aria=False, filled=True, size=55, opacity=1, color=ACCENT).encode(x=x, y=y),
            base.mark_point(filled=True, size=500, opacity=0, color=INK).encode(
                x=x, y=y, description=alt.Description("tip:N")
            ),
        ).properties(width=width, height=min(width, 400))

    description = translator.text("calibration.alt", ece=translator.number(m["product"]["ece"], 3))
    return picture(translator.text("calibration.chart"), description, draw, half=True)


def lift_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of lift by decile of the ranking, or None if there are no labels."""
    rows = m["deciles"]
    if not rows:
        return None
    bars = [
        {
            **row,
            "tip": translator.text(
                "calibration.lift_tip",
                tenth=row["tenth"],
                lift=translator.number(row["lift"], 2),
                low=translator.number(row["lift_low"], 2),
                high=translator.number(row["lift_high"], 2),
            ),
        }
        for row in rows
    ]

    def draw(width: int) -> Plot:
        x = alt.X("tenth:O", title=translator.text("calibration.lift_axis_x"), axis=alt.Axis(labelAngle=0))
        y = alt.Y("lift:Q", stack=None, title=translator.text("calibration.lift_axis_y"), axis=alt.Axis(tickCount=5))
        base = alt.Chart(data(bars)).encode(x=x)
        one = alt.Chart(data([{"lift": 1}])).mark_rule(aria=False, color=MUTED, strokeDash=[4, 4]).encode(y=y)
        return alt.layer(
            base.mark_bar(color=ACCENT, cornerRadiusEnd=2).encode(y=y, description=alt.Description("tip:N")),
            base.mark_rule(aria=False, color=INK, strokeWidth=1.2).encode(y=alt.Y("lift_low:Q"), y2="lift_high:Q"),
            one,
        ).properties(width=width, height=min(width, 400))

    words = {"first": translator.number(rows[0]["lift"], 2), "last": translator.number(rows[-1]["lift"], 2)}
    return picture(
        translator.text("calibration.lift_chart"), translator.text("calibration.lift_alt", **words), draw, half=True
    )
