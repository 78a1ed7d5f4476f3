"""Chart of the comparison of contact policies."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from stream_app.i18n import Translator
from stream_app.report.charts.common import PERCENT
from stream_app.report.drawing import ACCENT, INK, Picture, Plot, data, picture

NAME_PIXELS = 170  # longer names of policies are cut off


def share_chart(names: Sequence[str], shares: Sequence[float], translator: Translator, *, of_money: bool) -> Picture:
    """Return the chart of the share of the lost that each policy reaches in time."""
    texts = [translator.percent(share, 1) for share in shares]
    bars = [
        {"place": place, "name": name, "share": share, "text": text, "tip": f"{name}¦{text}"}
        for place, (name, share, text) in enumerate(zip(names, shares, texts, strict=True))
    ]

    def draw(width: int) -> Plot:
        y = alt.Y("name:N", title=None, sort=list(names), axis=alt.Axis(labelColor=INK, labelLimit=NAME_PIXELS))
        most = min(max([*shares, 0.01]) * 1.25, 1.0)
        x = alt.X(
            "share:Q",
            title=None,
            stack=None,
            scale=alt.Scale(domain=[0, most]),
            axis=alt.Axis(format=PERCENT, tickCount=4, grid=True),
        )
        base = alt.Chart(data(bars)).encode(x=x, y=y)
        mark = base.mark_bar(color=ACCENT, cornerRadiusEnd=2, height=18)
        values = base.mark_text(aria=False, align="left", dx=5, color=INK, fontSize=12).encode(text="text:N")
        layers = alt.layer(mark.encode(description=alt.Description("tip:N")), values)
        return layers.properties(width=width, height=34 * len(bars) + 40)

    listed = translator.join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    measure = "money" if of_money else "people"
    description = translator.text("trial.chart_alt", listed=listed)
    return picture(translator.text(f"trial.chart_{measure}"), description, draw, half=True)
