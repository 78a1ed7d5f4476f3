"""Panels as SVG and HTML, similar to those of Grafana."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import vl_convert

from grafana.preview.answers import Answered
from grafana.preview.prometheus import Range, Series
from grafana.preview.units import AXIS_LABELS, written
from stream_app.report.drawing import Plot, Values, data

COLOURS: Final = {
    "green": "#73BF69", "dark-green": "#37872D", "light-green": "#96D98D", "yellow": "#F2CC0C", "orange": "#FF9830",
    "red": "#F2495C", "blue": "#5794F2", "dark-blue": "#1F60C4", "light-blue": "#8AB8FF",
    "purple": "#B877D9", "text": "#7B8087",
}  # fmt: skip
_CLASSIC: Final = (
    "#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A",
    "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477", "#B7DBAB",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A series with its name and colour. A fixed colour has a meaning."""

    name: str
    colour: str
    fixed: bool
    series: Series


@dataclass(frozen=True)
class Panel:
    """A panel with its results, time range and size in pixels."""

    answered: Answered
    over: Range
    width: int
    height: int

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Settings for all fields."""
        found: Mapping[str, Any] = self.answered.panel["fieldConfig"]["defaults"]
        return found

    @property
    def custom(self) -> Mapping[str, Any]:
        """Settings for this kind of panel."""
        return self.defaults.get("custom", {})

    def text(self, value: float) -> str:
        """Return a value as text."""
        return written(value, self.defaults["unit"], self.defaults.get("decimals"))

    def x(self, field: str = "at") -> alt.X:
        """Return the time axis."""
        scale = alt.Scale(type="utc", domain=[self.over.start * 1000, self.over.end * 1000], nice=False)
        return alt.X(f"{field}:T", title=None, scale=scale, axis=alt.Axis(format="%H:%M:%S", tickCount=5, grid=False))

    def y(self, **more: Any) -> alt.Y:
        """Return the axis of values, within the limits that the panel sets."""
        limits = {"domainMin": self.defaults.get("min"), "domainMax": self.defaults.get("max")}
        scale = alt.Scale(**{name: limit for name, limit in limits.items() if limit is not None})
        axis = alt.Axis(tickCount=4, labelExpr=AXIS_LABELS[self.defaults["unit"]])
        return alt.Y("value:Q", title=None, scale=scale, axis=axis, **more)


def drawn(answered: Answered, over: Range, width: int, height: int) -> str:
    """Return the content of a panel of this size in pixels."""
    panel = Panel(answered, over, width, height)
    if not any(one.found for one in answered.asked):
        return f'<div class="nothing">{html.escape(panel.defaults["noValue"])}</div>'
    if answered.panel["type"] == "table":
        return _table(panel)
    chart = _KINDS[answered.panel["type"]](panel)
    chart = chart.properties(width=width, height=height, autosize=alt.AutoSizeParams(type="fit", contains="padding"))
    chart = chart.configure_view(stroke=None).configure_axis(
        domain=False, ticks=False, gridColor="#eceef0", labelColor="#6a7078", labelFontSize=11
    )
    return vl_convert.vegalite_to_svg(chart.to_dict())


def lines_of(answered: Answered) -> list[Line]:
    """Return all series with the names and colours of the panel's overrides."""
    lines: list[Line] = []
    for asked in answered.asked:
        for series in asked.found:
            name = asked.name(series)
            own = _overrides(answered, name)
            fixed = own.get("color", {}).get("fixedColor")
            colour = COLOURS[fixed] if fixed else _CLASSIC[len(lines) % len(_CLASSIC)]
            lines.append(Line(own.get("displayName", name), colour, fixed is not None, series))
    return lines


def rows_of(answered: Answered) -> tuple[list[str], list[dict[str, Any]]]:
    """Return headings and rows of a table after its transformations."""
    steps = {one["id"]: one["options"] for one in answered.panel["transformations"]}
    joined: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for asked in answered.asked:
        value = f"Value #{asked.letter}" if len(answered.asked) > 1 else "Value"
        for series in asked.found:
            row = joined.setdefault(tuple(sorted(series.labels.items())), dict(series.labels))
            row[value] = series.last
    titles, order = steps["organize"]["renameByName"], steps["organize"]["indexByName"]
    rows = [{titles[name]: value for name, value in row.items() if name in titles} for row in joined.values()]
    for one in steps.get("sortBy", {}).get("sort", []):
        rows.sort(key=lambda row: row[one["field"]])
    for one in answered.panel.get("options", {}).get("sortBy", []):
        rows.sort(key=lambda row: row.get(one["displayName"], -math.inf), reverse=one["desc"])
    return [titles[name] for name in sorted(order, key=lambda name: order[name])], rows


def _stat(panel: Panel) -> Plot:
    series = next(one for asked in panel.answered.asked for one in asked.found)
    text, colour = panel.text(series.last), _threshold(panel.defaults, series.last)
    size = min(panel.height * 0.42, panel.width / max(len(text), 3) * 1.5)
    below = alt.Scale(range=[panel.height, panel.height * 0.6])
    area = alt.Chart(data(_points(series))).mark_area(color=colour, opacity=0.18)
    figure = alt.Chart(data([{"text": text}])).mark_text(fontSize=size, fontWeight=500, color=colour)
    return alt.layer(
        area.encode(x=panel.x().axis(None), y=alt.Y("value:Q", axis=None, scale=below)),
        figure.encode(x=alt.value(panel.width / 2), y=alt.value(panel.height * 0.36), text="text:N"),
    )


def _trend(panel: Panel) -> Plot:
    lines = lines_of(panel.answered)
    rows = [
        {**row, "name": line.name, "place": place} for place, line in enumerate(lines) for row in _points(line.series)
    ]
    colour = _colour([line.name for line in lines], [line.colour for line in lines], panel.width)
    if panel.custom.get("stacking", {}).get("mode") == "normal":
        return alt.Chart(data(rows)).mark_area().encode(x=panel.x(), y=panel.y(), color=colour, order="place:O")
    steps = panel.custom.get("lineInterpolation") == "stepAfter"
    mark = alt.Chart(data(rows)).mark_line(strokeWidth=1.6, interpolate="step-after" if steps else "linear")
    series = mark.encode(x=panel.x(), y=panel.y(), color=colour)
    dashed = panel.custom.get("thresholdsStyle", {}).get("mode") == "dashed"
    highest = max((row["value"] for row in rows if row["value"] is not None), default=0.0)
    limits = [
        {"value": one["value"], "colour": COLOURS[one["color"]]}
        for one in panel.defaults["thresholds"]["steps"]
        if dashed and one["value"] is not None and one["value"] <= highest
    ]
    rules = (
        alt.Chart(data(limits))
        .mark_rule(strokeDash=[6, 4])
        .encode(y="value:Q", color=alt.Color("colour:N", scale=None))
    )
    return alt.layer(rules, series) if limits else series


def _bars(panel: Panel) -> Plot:
    rows: Values = [
        {
            "name": line.name,
            "value": line.series.last,
            "text": panel.text(line.series.last),
            "colour": line.colour if line.fixed else _threshold(panel.defaults, line.series.last),
        }
        for line in lines_of(panel.answered)
        if math.isfinite(line.series.last)
    ]
    highest = panel.defaults.get("max") or max((row["value"] for row in rows), default=1.0) or 1.0
    names = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=panel.width // 2))
    room = alt.Scale(domain=[0, highest * 1.3], clamp=True)  # for the text beside the longest bar
    base = alt.Chart(data(rows)).encode(x=alt.X("value:Q", axis=None, scale=room), y=names)
    return alt.layer(
        base.mark_bar().encode(color=alt.Color("colour:N", scale=None)),
        base.mark_text(align="left", dx=6).encode(text="text:N"),
    )


def _columns(panel: Panel) -> Plot:
    (of, *titles), found = rows_of(panel.answered)
    rows = [{"of": row[of], "name": title, "value": row[title]} for row in found for title in titles]
    return (
        alt.Chart(data(rows))
        .mark_bar()
        .encode(
            x=alt.X("of:N", title=None, sort=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("name:N", sort=titles),
            y=panel.y(),
            color=_colour(titles, _CLASSIC[: len(titles)], panel.width),
        )
    )


def _heatmap(panel: Panel) -> Plot:
    buckets = sorted(panel.answered.asked[0].found, key=lambda one: float(one.labels["le"]))
    rows, before, edges = Values(), dict[float, float](), list[str]()
    for one in buckets:
        edge = float(one.labels["le"])
        edges.insert(0, "∞" if math.isinf(edge) else panel.text(edge))
        counts = [(at, value - before.get(at, 0.0)) for at, value in one.points]
        rows += [
            {"at": at * 1000, "to": (at + panel.over.step) * 1000, "le": edges[0], "count": count}
            for at, count in counts
            if count > 0
        ]
        before = dict(one.points)
    strength = alt.Opacity("count:Q", legend=None, scale=alt.Scale(type="sqrt", domainMin=0, range=[0.12, 1]))
    bucket = alt.Y("le:N", title=None, scale=alt.Scale(domain=edges), axis=alt.Axis(labelOverlap=True))
    return (
        alt.Chart(data(rows))
        .mark_rect(color=COLOURS["dark-blue"])
        .encode(x=panel.x(), x2="to:T", y=bucket, opacity=strength)
    )


_KINDS: Final = {"stat": _stat, "timeseries": _trend, "bargauge": _bars, "barchart": _columns, "heatmap": _heatmap}


def _table(panel: Panel) -> str:
    head, rows = rows_of(panel.answered)
    fields = {name: _overrides(panel.answered, name) for name in head}
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_cell(own, row.get(name)) for name, own in fields.items())}</tr>" for row in rows)
    return f'<div style="max-height:{panel.height}px;overflow:hidden"><table><tr>{cells}</tr>{body}</table></div>'


def _cell(own: Mapping[str, Any], value: Any) -> str:
    if value is None:
        return "<td></td>"
    words = {key: one["text"] for mapping in own.get("mappings", []) for key, one in mapping["options"].items()}
    if isinstance(value, str):
        return f"<td>{html.escape(words.get(value, value))}</td>"
    text = words.get(f"{value:g}") or written(value, own.get("unit", "short"), own.get("decimals"))
    colour = _threshold(own, value) if "thresholds" in own else "inherit"
    return f'<td style="color:{colour}">{html.escape(text)}</td>'


def _overrides(answered: Answered, name: str) -> dict[str, Any]:
    """Return the overrides of a field by property."""
    return {
        one["id"]: one["value"]
        for override in answered.panel["fieldConfig"].get("overrides", [])
        if override["matcher"] == {"id": "byName", "options": name}
        for one in override["properties"]
    }


def _threshold(settings: Mapping[str, Any], value: float) -> str:
    """Return the colour of a value by the thresholds."""
    steps = settings["thresholds"]["steps"]
    return COLOURS[[one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1]]


def _points(series: Series) -> Values:
    """Return the points of a series, with gaps where there are no numbers."""
    return [{"at": at * 1000, "value": value if math.isfinite(value) else None} for at, value in series.points]


def _colour(names: Sequence[str], colours: Sequence[str], width: int) -> alt.Color:
    """Return the colours of the series, with a legend below the chart."""
    legend = alt.Legend(orient="bottom", title=None, columns=max(width // 130, 1))
    return alt.Color("name:N", scale=alt.Scale(domain=list(names), range=list(colours)), legend=legend)
