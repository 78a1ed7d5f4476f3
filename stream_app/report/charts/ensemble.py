"""Chart of the experts' weights in the ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT, Figures, hover
from stream_app.report.drawing import INK, SERIES, Picture, Plot, data, picture


def weight_chart(m: Figures, translator: Translator) -> Picture | None:
    """Return the chart of the experts' weights over time, with drift days marked; None for fewer than two versions."""
    course = m["models"]["course"]
    if len(course) < 2:
        return None
    names = expert_order(m)
    rows = [
        {"from": v["from"], "share": v["weights"].get(name, 0), "name": name, "place": i}
        for v in course
        for i, name in enumerate(names)
    ]
    tips = [{"from": v["from"], "tip": version_tip(v, names, translator)} for v in course]
    drift = [{"from": d["on"]} for d in m["models"]["drift"]]

    def draw(width: int) -> Plot:
        axis = alt.Axis(format="%Y-%m", tickCount=max(3, width // 110), labelOverlap=True, labelSeparation=8)
        x = alt.X("from:T", title=None, axis=axis, scale=alt.Scale(nice=False))
        y = alt.Y("share:Q", title=None, axis=alt.Axis(format=PERCENT, tickCount=4), scale=alt.Scale(domain=[0, 1]))
        fill = alt.Color("name:N", scale=alt.Scale(domain=names, range=list(SERIES[: len(names)])), legend=None)
        area = alt.Chart(data(rows)).mark_area(aria=False, opacity=1)
        return alt.layer(
            area.encode(x=x, y=y, color=fill, order="place:O"),
            alt.Chart(data(drift)).mark_rule(aria=False, color=INK, strokeDash=[3, 3]).encode(x=x),
            hover(tips, x, 220, size=alt.value(max(3, width / (len(course) + 1)))),
        ).properties(width=width, height=240)

    last = ", ".join(
        f"{translator.name('expert', n)} {translator.percent(course[-1]['weights'].get(n, 0))}" for n in names
    )
    return picture(translator.text("models.chart"), translator.text("models.alt", last=last), draw)


def expert_order(m: Figures) -> list[str]:
    """Return the experts by descending final weight, at most as many as there are colours."""
    last = m["models"]["course"][-1]["weights"]
    names = {name for version in m["models"]["course"] for name in version["weights"]}
    return sorted(names, key=lambda name: (-last.get(name, 0), name))[: len(SERIES)]


def version_tip(version: Figures, names: Sequence[str], translator: Translator) -> str:
    """Return the hover text of a model version with its weights."""
    lines = [f"{translator.name('expert', n)}: {translator.percent(version['weights'].get(n, 0))}" for n in names]
    return translator.text(
        "models.tip",
        since=translator.day(version["from"]),
        number=version["number"],
        examples=translator.number(version["examples"]),
        lines="¦".join(lines),
    )
