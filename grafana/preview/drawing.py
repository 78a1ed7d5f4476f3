"""Panels as HTML and SVG, near enough to Grafana's to judge a page by."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from grafana.preview.answers import Answered, Asked
from grafana.preview.prometheus import Range, Series
from grafana.preview.units import written

COLOURS: Final = {
    "green": "#73BF69", "dark-green": "#37872D", "semi-dark-green": "#56A64B", "light-green": "#96D98D",
    "yellow": "#F2CC0C", "orange": "#FF9830", "dark-orange": "#FA6400", "red": "#F2495C", "dark-red": "#C4162A",
    "blue": "#5794F2", "dark-blue": "#1F60C4", "light-blue": "#8AB8FF", "purple": "#B877D9", "text": "#464C54",
}  # fmt: skip
_CLASSIC: Final = (
    "#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A",
    "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477", "#B7DBAB",
)  # fmt: skip
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 8, 20  # around a plot, pixels


@dataclass(frozen=True)
class Line:
    """A series as it is drawn."""

    name: str
    colour: str
    series: Series


def drawn(answered: Answered, over: Range, width: int, height: int) -> str:
    """The inside of a panel of so many pixels."""
    kinds = {"stat": _stat, "timeseries": _trend, "bargauge": _bars, "table": _table, "heatmap": _heatmap}
    if not any(one.found for one in answered.asked):
        nothing = answered.panel["fieldConfig"]["defaults"]["noValue"]
        return f'<div class="nothing">{html.escape(nothing)}</div>'
    return kinds[answered.panel["type"]](answered, over, width, height)


def lines_of(answered: Answered) -> list[Line]:
    """Every series with its name and colour, as the panel's overrides have them."""
    lines = []
    for asked in answered.asked:
        for series in asked.found:
            name = asked.name(series)
            own = _overrides(answered.panel, name)
            fixed = own.get("color", {}).get("fixedColor")
            colour = COLOURS[fixed] if fixed else _CLASSIC[len(lines) % len(_CLASSIC)]
            lines.append(Line(own.get("displayName", name), colour, series))
    return lines


# --- kinds of panels ----------------------------------------------------------------------------------------------


def _stat(answered: Answered, over: Range, width: int, height: int) -> str:
    series = next(one for asked in answered.asked for one in asked.found)
    value = series.last
    colour = _threshold(answered.panel, value)
    spark = _path(series.points, over, width, height * 0.45, 0.0, _highest([series]), top=height * 0.55)
    text = html.escape(_text(answered.panel, value))
    size = min(height * 0.42, width / max(len(text), 3) * 1.5)
    return (
        f'<svg width="{width}" height="{height}"><path d="{spark}" fill="none" stroke="{colour}" opacity=".45"/>'
        f'<text x="{width / 2}" y="{height * 0.5}" font-size="{size:.0f}" class="big" fill="{colour}">{text}</text></svg>'
    )


def _trend(answered: Answered, over: Range, width: int, height: int) -> str:
    custom = answered.panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    lines = lines_of(answered)
    plot = height - 22
    stacks = _stacked([line.series for line in lines]) if stacked else [line.series for line in lines]
    top = _highest(stacks, answered.panel)
    bottom = answered.panel["fieldConfig"]["defaults"].get("min", min(0.0, _lowest(stacks)))
    inside = [
        _axes(answered.panel, over, width, plot, bottom, top),
        _limits(answered.panel, custom, width, plot, bottom, top),
    ]
    for line, series in reversed(list(zip(lines, stacks, strict=True))):
        path = _path(
            series.points,
            over,
            width - _LEFT - _RIGHT,
            plot - _TOP - _BOTTOM,
            bottom,
            top,
            top=_TOP,
            left=_LEFT,
            steps=custom.get("lineInterpolation") == "stepAfter",
        )
        if stacked and path:
            first, last = path.split("M", 1)[1].split(",")[0], path.rsplit("L", 1)[-1].split(",")[0].lstrip("M")
            inside.append(
                f'<path d="{path}L{last},{plot - _BOTTOM}L{first},{plot - _BOTTOM}Z" fill="{line.colour}" opacity=".75"/>'
            )
        inside.append(f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="1.6"/>')
    legend = "".join(f'<span><i style="background:{one.colour}"></i>{html.escape(one.name)}</span>' for one in lines)
    return f'<svg width="{width}" height="{plot}">{"".join(inside)}</svg><div class="legend">{legend}</div>'


def _bars(answered: Answered, _over: Range, width: int, height: int) -> str:
    lines = [line for line in lines_of(answered) if not math.isnan(line.series.last)]
    top = (
        answered.panel["fieldConfig"]["defaults"].get("max") or max((one.series.last for one in lines), default=1) or 1
    )
    each = min(26.0, height / max(len(lines), 1))
    label = min(max((_wide(one.name) for one in lines), default=0) * 7.5 + 10, width * 0.45)
    rows = []
    for place, line in enumerate(lines):
        value, y = line.series.last, place * each
        fixed = _overrides(answered.panel, _raw(answered, line)).get("color")
        colour = line.colour if fixed else _threshold(answered.panel, value)
        length = max((width - label - 74) * min(value / top, 1), 1)
        rows.append(
            f'<text x="{label - 8}" y="{y + each * 0.68}" text-anchor="end">{html.escape(line.name)}</text>'
            f'<rect x="{label}" y="{y + 3}" width="{length:.1f}" height="{each - 6:.1f}" fill="{colour}" rx="2"/>'
            f'<text x="{label + length + 6:.1f}" y="{y + each * 0.68}" fill="{colour}" class="value">{html.escape(_text(answered.panel, value))}</text>'
        )
    return f'<svg width="{width}" height="{height}">{"".join(rows)}</svg>'


def _heatmap(answered: Answered, over: Range, width: int, height: int) -> str:
    series = sorted(answered.asked[0].found, key=lambda one: float(one.labels["le"]))
    counts: list[list[float]] = []
    before: dict[float, float] = {}
    for one in series:
        counts.append([max(value - before.get(at, 0.0), 0.0) for at, value in one.points])
        before = dict(one.points)
    top = max((value for row in counts for value in row), default=1.0) or 1.0
    plot_width, plot_height = width - _LEFT - _RIGHT, height - _BOTTOM
    each = plot_height / len(series)
    unit = answered.panel["fieldConfig"]["defaults"]["unit"]
    cells = []
    for place, (one, row) in enumerate(zip(series, counts, strict=True)):
        y = plot_height - (place + 1) * each
        for (at, _), value in zip(one.points, row, strict=True):
            x = _LEFT + (at - over.start) / (over.end - over.start) * plot_width
            if value:
                wide = plot_width * over.step / (over.end - over.start) + 0.5
                cells.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{each - 1:.1f}" fill="#1F60C4" opacity="{0.12 + 0.88 * (value / top) ** 0.5:.2f}"/>'
                )
        if place % 2 == 0:
            edge = float(one.labels["le"])
            text = "∞" if math.isinf(edge) else written(edge, unit)
            cells.append(f'<text x="{_LEFT - 6}" y="{y + each * 0.75:.1f}" text-anchor="end">{text}</text>')
    return f'<svg width="{width}" height="{height}">{"".join(cells)}{_times(over, width, height)}</svg>'


def _table(answered: Answered, _over: Range, _width: int, height: int) -> str:
    head, rows = table_of(answered)
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_cell(answered.panel, name, row.get(name)) for name in head)}</tr>" for row in rows)
    return f'<div style="max-height:{height}px;overflow:hidden"><table><tr>{cells}</tr>{body}</table></div>'


def table_of(answered: Answered) -> tuple[list[str], list[dict[str, Any]]]:
    """Column titles and rows after the transformations `merge` and `organize`."""
    organize = next(one["options"] for one in answered.panel["transformations"] if one["id"] == "organize")
    joined: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for asked in answered.asked:
        value = f"Value #{asked.letter}" if len(answered.asked) > 1 else "Value"
        for series in asked.found:
            row = joined.setdefault(tuple(sorted(series.labels.items())), dict(series.labels))
            row[value] = series.last
    titles, order = organize["renameByName"], organize["indexByName"]
    head = [titles[name] for name in sorted(order, key=lambda name: order[name])]
    return head, [{titles[name]: value for name, value in row.items() if name in titles} for row in joined.values()]


# --- their parts --------------------------------------------------------------------------------------------------


def _cell(panel: Mapping[str, Any], title: str, value: Any) -> str:
    own = _overrides(panel, title)
    words = {key: one["text"] for mapping in own.get("mappings", []) for key, one in mapping["options"].items()}
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        return f"<td>{html.escape(words.get(value, value))}</td>"
    text = words.get(f"{value:g}") or written(value, own.get("unit", "short"), own.get("decimals"))
    colour = _step(own["thresholds"]["steps"], value) if "thresholds" in own else "inherit"
    return f'<td style="color:{colour}">{html.escape(text)}</td>'


def _overrides(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = {}
    for override in panel["fieldConfig"].get("overrides", []):
        if override["matcher"] == {"id": "byName", "options": name}:
            found |= {one["id"]: one["value"] for one in override["properties"]}
    return found


def _raw(answered: Answered, line: Line) -> str:
    asked: Asked = next(one for one in answered.asked if any(series is line.series for series in one.found))
    return asked.name(line.series)


def _text(panel: Mapping[str, Any], value: float) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    words = {key: one["text"] for mapping in defaults.get("mappings", []) for key, one in mapping["options"].items()}
    return words.get(f"{value:g}") or written(value, defaults["unit"], defaults.get("decimals"))


def _threshold(panel: Mapping[str, Any], value: float) -> str:
    return _step(panel["fieldConfig"]["defaults"]["thresholds"]["steps"], value)


def _step(steps: Sequence[Mapping[str, Any]], value: float) -> str:
    chosen = [one["color"] for one in steps if one["value"] is None or value >= one["value"]]
    return COLOURS[chosen[-1]]


def _limits(
    panel: Mapping[str, Any], custom: Mapping[str, Any], width: int, height: int, bottom: float, top: float
) -> str:
    if custom.get("thresholdsStyle", {}).get("mode") != "dashed":
        return ""
    found = []
    for one in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if one["value"] is not None and bottom < one["value"] <= top:
            y = _y(one["value"], height - _TOP - _BOTTOM, bottom, top, _TOP)
            found.append(
                f'<line x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{COLOURS[one["color"]]}" stroke-dasharray="6 4"/>'
            )
    return "".join(found)


def _axes(panel: Mapping[str, Any], over: Range, width: int, height: int, bottom: float, top: float) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    found = []
    for value in _ticks(bottom, top):
        y = _y(value, height - _TOP - _BOTTOM, bottom, top, _TOP)
        found.append(f'<line x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        text = html.escape(written(value, defaults["unit"], None))
        found.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(found) + _times(over, width, height)


def _times(over: Range, width: int, height: int) -> str:
    found = []
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        at = datetime.fromtimestamp(over.start + share * (over.end - over.start), UTC)
        x = _LEFT + share * (width - _LEFT - _RIGHT)
        found.append(f'<text x="{x:.0f}" y="{height - 5}" text-anchor="middle">{at:%H:%M:%S}</text>')
    return "".join(found)


def _ticks(bottom: float, top: float) -> Iterator[float]:
    rough = (top - bottom) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    place = math.ceil(bottom / step - 1e-9)
    while place * step <= top * (1 + 1e-9):
        yield place * step
        place += 1


def _stacked(series: Sequence[Series]) -> list[Series]:
    below: dict[float, float] = {}
    found = []
    for one in series:
        points = [(at, below.get(at, 0.0) + (0.0 if math.isnan(value) else value)) for at, value in one.points]
        below |= dict(points)
        found.append(Series(one.labels, points))
    return found


def _highest(series: Sequence[Series], panel: Mapping[str, Any] | None = None) -> float:
    given = panel["fieldConfig"]["defaults"].get("max") if panel else None
    values = [value for one in series for _, value in one.points if math.isfinite(value)]
    return float(given) if given else max([*values, 0.0]) * 1.05 or 1.0


def _lowest(series: Sequence[Series]) -> float:
    return min((value for one in series for _, value in one.points if math.isfinite(value)), default=0.0)


def _y(value: float, height: float, bottom: float, top: float, above: float) -> float:
    return above + height * (1 - (value - bottom) / ((top - bottom) or 1.0))


def _path(  # noqa: PLR0913 - a frame has four sides
    points: Sequence[tuple[float, float]], over: Range, width: float, height: float, bottom: float, highest: float,
    *, top: float = 0.0, left: float = 0.0, steps: bool = False,
) -> str:  # fmt: skip
    path, pen, before = [], "M", 0.0
    for at, value in points:
        if not math.isfinite(value):
            pen = "M"
            continue
        x = left + (at - over.start) / (over.end - over.start) * width
        y = _y(value, height, bottom, highest, top)
        if steps and pen == "L":
            path.append(f"L{x:.1f},{before:.1f}")
        path.append(f"{pen}{x:.1f},{y:.1f}")
        pen, before = "L", y
    return "".join(path)


def _wide(text: str) -> float:
    return sum(1.8 if ord(letter) > 0x2E80 else 1.0 for letter in text)
