"""Panels as HTML and SVG, similar enough to Grafana's to review a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import escape

from grafana.preview.answers import Answered
from grafana.preview.plot import LEFT, Plot, label, ticks
from grafana.preview.prometheus import Range, Series
from grafana.preview.units import written

COLOURS: Final = {
    "green": "#73BF69", "dark-green": "#37872D", "light-green": "#96D98D", "yellow": "#F2CC0C", "orange": "#FF9830",
    "red": "#F2495C", "blue": "#5794F2", "dark-blue": "#1F60C4", "light-blue": "#8AB8FF",
    "purple": "#B877D9", "text": "#7B8087",
}  # fmt: skip
_CLASSIC: Final = (
    "#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A",
    "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477", "#B7DBAB",
)  # fmt: skip
_BAR: Final = 38.0  # maximum height of a bar, pixels


@dataclass(frozen=True)
class Line:
    """A series with its name and colour; a `fixed` colour has a meaning."""

    name: str
    colour: str
    fixed: bool
    series: Series


@dataclass(frozen=True)
class Looks:
    """Field settings of a panel."""

    panel: Mapping[str, Any]

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Settings of all fields."""
        found: Mapping[str, Any] = self.panel["fieldConfig"]["defaults"]
        return found

    @property
    def custom(self) -> Mapping[str, Any]:
        """Settings of the kind of panel."""
        found: Mapping[str, Any] = self.defaults.get("custom", {})
        return found

    def of(self, name: str) -> dict[str, Any]:
        """Return the overrides of a field, by property."""
        found: dict[str, Any] = {}
        for override in self.panel["fieldConfig"].get("overrides", []):
            if override["matcher"] == {"id": "byName", "options": name}:
                found |= {one["id"]: one["value"] for one in override["properties"]}
        return found

    def text(self, value: float) -> str:
        """Return a value as text."""
        named = _words(self.defaults.get("mappings", [])).get(f"{value:g}")
        return named or written(value, self.defaults["unit"], self.defaults.get("decimals"))

    def colour(self, value: float) -> str:
        """Return the colour of a value, by the thresholds."""
        return _step(self.defaults["thresholds"]["steps"], value)


def drawn(answered: Answered, over: Range, width: int, height: int) -> str:
    """Return the content of a panel of a given size, pixels."""
    looks = Looks(answered.panel)
    if not any(one.found for one in answered.asked):
        return f'<div class="nothing">{escape(looks.defaults["noValue"])}</div>'
    return _KINDS[answered.panel["type"]](answered, looks, Plot(over, width, height))


def lines_of(answered: Answered) -> list[Line]:
    """Return every series with its name and colour, overrides applied."""
    lines: list[Line] = []
    for asked in answered.asked:
        for series in asked.found:
            name = asked.name(series)
            own = Looks(answered.panel).of(name)
            fixed = own.get("color", {}).get("fixedColor")
            colour = COLOURS[fixed] if fixed else _CLASSIC[len(lines) % len(_CLASSIC)]
            lines.append(Line(own.get("displayName", name), colour, fixed is not None, series))
    return lines


def rows_of(answered: Answered) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the column titles and rows of a table, transformations applied."""
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


# --- kinds of panels ----------------------------------------------------------------------------------------------


def _stat(answered: Answered, looks: Looks, plot: Plot) -> str:
    series = next(one for asked in answered.asked for one in asked.found)
    colour, text = looks.colour(series.last), looks.text(series.last)
    own = Plot(plot.over, plot.width, plot.height, 0.0, _highest([series]), 0, 0, plot.height * 0.6, 0)
    size = min(plot.height * 0.42, plot.width / max(len(text), 3) * 1.5)
    spark = f'<path d="{own.area(series.points)}" fill="{colour}" opacity=".18"/>'
    where = f'x="{plot.width / 2}" y="{plot.height * 0.36}" text-anchor="middle" dominant-baseline="central"'
    style = f'style="font-size:{size:.0f}px;font-weight:500" fill="{colour}"'
    return f"{_svg(plot)}{spark}<text {where} {style}>{escape(text)}</text></svg>"


def _trend(answered: Answered, looks: Looks, plot: Plot) -> str:
    lines = lines_of(answered)
    stacked = looks.custom.get("stacking", {}).get("mode") == "normal"
    stacks = _stacked([line.series for line in lines]) if stacked else [line.series for line in lines]
    low = looks.defaults.get("min", _lowest(stacks))
    entries = [(one.name, one.colour) for one in lines]
    high = looks.defaults.get("max") or _highest(stacks)
    own = Plot(plot.over, plot.width, plot.height - _legend_height(entries, plot.width), low, high)
    inside = [own.axes(looks.defaults["unit"]), _limits(looks, own)]
    for line, series in reversed(list(zip(lines, stacks, strict=True))):
        if stacked:
            inside.append(f'<path d="{own.area(series.points)}" fill="{line.colour}"/>')
        path = own.path(series.points, steps=looks.custom.get("lineInterpolation") == "stepAfter")
        inside.append(f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="1.6"/>')
    return f"{_svg(own)}{''.join(inside)}</svg>{_legend(entries)}"


def _bars(answered: Answered, looks: Looks, plot: Plot) -> str:
    lines = [line for line in lines_of(answered) if math.isfinite(line.series.last)]
    top = looks.defaults.get("max") or max((one.series.last for one in lines), default=1.0) or 1.0
    each = min(_BAR, plot.height / max(len(lines), 1))
    names = min(max((_wide(one.name) for one in lines), default=0) * 6.8 + 16, plot.width * 0.5)
    rows = []
    for place, line in enumerate(lines):
        y, value = place * each, line.series.last
        colour = line.colour if line.fixed else looks.colour(value)
        length = max((plot.width - names - 74) * min(value / top, 1), 1)
        rows.append(label(names - 8, y + each * 0.68, line.name, "end"))
        rows.append(_block(names, y + 3, length, each - 6, colour))
        rows.append(label(names + length + 6, y + each * 0.68, looks.text(value), "start", "#24292e"))
    return f"{_svg(plot)}{''.join(rows)}</svg>"


def _columns(answered: Answered, looks: Looks, plot: Plot) -> str:
    (of, *titles), rows = rows_of(answered)
    high = looks.defaults.get("max") or max(row[title] for row in rows for title in titles) * 1.05
    own = Plot(Range(0, len(rows)), plot.width, plot.height - 22, 0.0, high)
    inside = []
    for value in ticks(0.0, high, 10):
        inside.append(own.across(value, "#eceef0"))
        inside.append(label(LEFT - 6, own.y(value) + 4, written(value, looks.defaults["unit"], 0), "end"))
    wide = (own.x(1) - own.x(0)) * 0.8 / len(titles)
    for place, row in enumerate(rows):
        for nth, title in enumerate(titles):
            x, y = own.x(place + 0.1) + nth * wide, own.y(row[title])
            inside.append(_block(x, y, wide * 0.92, own.y(0) - y, _CLASSIC[nth]))
        inside.append(label(own.x(place + 0.5), own.height - 5, row[of], "middle"))
    legend = _legend(list(zip(titles, _CLASSIC, strict=False)))
    return f"{_svg(own)}{''.join(inside)}</svg>{legend}"


def _heatmap(answered: Answered, looks: Looks, plot: Plot) -> str:
    series = sorted(answered.asked[0].found, key=lambda one: float(one.labels["le"]))
    own = Plot(plot.over, plot.width, plot.height, 0, len(series), top=0)
    wide = own.x(plot.over.start + plot.over.step) - own.x(plot.over.start) + 0.5
    cells, before, counts = [], dict[float, float](), []
    for place, one in enumerate(series):
        counts += [(place, at, value - before.get(at, 0.0)) for at, value in one.points]
        before = dict(one.points)
    most = max((count for *_, count in counts), default=1.0) or 1.0
    for place, at, count in counts:
        if count > 0:
            strength = 0.12 + 0.88 * math.sqrt(count / most)
            cells.append(_block(own.x(at), own.y(place + 1), wide, own.y(0) - own.y(1) - 1, "#1F60C4", strength))
    for place, one in enumerate(series[::2]):
        edge = float(one.labels["le"])
        text = "∞" if math.isinf(edge) else written(edge, looks.defaults["unit"])
        cells.append(label(LEFT - 6, own.y(2 * place + 0.3), text, "end"))
    return f"{_svg(own)}{''.join(cells)}{own.times()}</svg>"


def _table(answered: Answered, looks: Looks, plot: Plot) -> str:
    head, rows = rows_of(answered)
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_cell(looks.of(name), row.get(name)) for name in head)}</tr>" for row in rows)
    return f'<div style="max-height:{plot.height}px;overflow:hidden"><table><tr>{cells}</tr>{body}</table></div>'


_KINDS: Final = {
    "stat": _stat,
    "timeseries": _trend,
    "bargauge": _bars,
    "barchart": _columns,
    "heatmap": _heatmap,
    "table": _table,
}


# --- parts of panels ----------------------------------------------------------------------------------------------


def _cell(own: Mapping[str, Any], value: Any) -> str:
    words = _words(own.get("mappings", []))
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        return f"<td>{escape(words.get(value, value))}</td>"
    text = words.get(f"{value:g}") or written(value, own.get("unit", "short"), own.get("decimals"))
    colour = _step(own["thresholds"]["steps"], value) if "thresholds" in own else "inherit"
    return f'<td style="color:{colour}">{escape(text)}</td>'


def _words(mappings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {key: one["text"] for mapping in mappings for key, one in mapping["options"].items()}


def _step(steps: Sequence[Mapping[str, Any]], value: float) -> str:
    return COLOURS[[one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1]]


def _limits(looks: Looks, plot: Plot) -> str:
    if looks.custom.get("thresholdsStyle", {}).get("mode") != "dashed":
        return ""
    steps = [one for one in looks.defaults["thresholds"]["steps"] if one["value"] is not None]
    shown = [one for one in steps if plot.low < one["value"] <= plot.high]
    return "".join(plot.across(one["value"], COLOURS[one["color"]], "6 4") for one in shown)


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    spans = [f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in entries]
    return f'<div class="legend">{"".join(spans)}</div>'


def _legend_height(entries: Sequence[tuple[str, str]], width: float) -> int:
    wide = sum(_wide(name) * 6.4 + 36 for name, _ in entries)
    return 6 + 16 * min(math.ceil(wide / width), 3)


def _block(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1.0) -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0):.1f}"'
    return f'<rect {size} fill="{colour}" opacity="{opacity:.2f}"/>'


def _svg(plot: Plot) -> str:
    return f'<svg width="{plot.width}" height="{plot.height}">'


def _stacked(series: Sequence[Series]) -> list[Series]:
    below: dict[float, float] = {}
    found = []
    for one in series:
        points = [(at, below.get(at, 0.0) + (0.0 if math.isnan(value) else value)) for at, value in one.points]
        below |= dict(points)
        found.append(Series(one.labels, points))
    return found


def _highest(series: Sequence[Series]) -> float:
    values = [value for one in series for _, value in one.points if math.isfinite(value)]
    return max([*values, 0.0]) * 1.05 or 1.0


def _lowest(series: Sequence[Series]) -> float:
    return min((value for one in series for _, value in one.points if math.isfinite(value)), default=0.0)


def _wide(text: str) -> float:
    return sum(1.8 if ord(letter) > 0x2E80 else 1.0 for letter in text)
