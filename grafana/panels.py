"""Panels of six kinds, each with a unit, a description and a text for missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    dashboard as frame,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as looks, dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
LETTERS: Final = "ABCDEFGHIJ"  # ids of the queries of a panel
GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"
Panel: TypeAlias = stat.Panel | timeseries.Panel | bargauge.Panel | barchart.Panel | table.Panel | heatmap.Panel
Steps: TypeAlias = Sequence[tuple[float, str]]  # value from which a colour applies


@dataclass(frozen=True)
class Query:
    """A query to Prometheus.

    Attributes:
        expr: PromQL with the variables of the page.
        legend: name of a series, with `{{label}}` for its labels.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Measure:
    """Unit, colours and range of the values of a panel.

    Attributes:
        unit: unit in Grafana's terms: s, bytes, percentunit, cps, short.
        base: colour below all thresholds.
        steps: thresholds with their colours.
        decimals: number of decimals; None lets Grafana choose.
        lowest: start of the axis.
        highest: end of the axis.
    """

    unit: str
    base: str = BLUE
    steps: Steps = ()
    decimals: int | None = None
    lowest: float | None = 0.0
    highest: float | None = None


def big_number(query: Query, measure: Measure) -> stat.Panel:
    """Return a panel with one figure and its trend."""
    panel = stat.Panel().color_mode(looks.BigValueColorMode.VALUE).graph_mode(looks.BigValueGraphMode.AREA)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.text_mode(looks.BigValueTextMode.VALUE)
    panel.with_target(_target(query, "A"))
    _measured(panel, measure)
    return panel


class Style(StrEnum):
    """Style of a trend."""

    LINES = "lines"
    STACKED = "stacked"  # stacked areas: parts of a whole
    STEPS = "steps"  # values that hold until the next


def trend(queries: Sequence[Query], measure: Measure, style: Style) -> timeseries.Panel:
    """Return a chart of values over time."""
    panel = timeseries.Panel().line_width(1.5).fill_opacity(60 if style is Style.STACKED else 8)
    panel.show_points(looks.VisibilityMode.NEVER)
    panel.legend(_legend_below())
    panel.tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
    if style is Style.STACKED:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    if style is Style.STEPS:
        panel.line_interpolation(looks.LineInterpolation.STEP_AFTER)
    if measure.steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    panel.color_scheme(frame.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
    for letter, query in zip(LETTERS, queries, strict=False):
        panel.with_target(_target(query, letter))
    _measured(panel, measure)
    return panel


def bars(queries: Sequence[Query], measure: Measure) -> bargauge.Panel:
    """Return a bar chart of the latest value of each series, in the order of the queries and their results."""
    panel = bargauge.Panel().orientation(looks.VizOrientation.HORIZONTAL)
    panel.display_mode(looks.BarGaugeDisplayMode.BASIC).value_mode(looks.BarGaugeValueMode.TEXT)
    panel.name_placement(looks.BarGaugeNamePlacement.LEFT).show_unfilled(False)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    for letter, query in zip(LETTERS, queries, strict=False):
        panel.with_target(_target(query, letter, instant=True))
    _measured(panel, measure)
    return panel


def columns(label: str, queries: Sequence[Query], measure: Measure) -> barchart.Panel:
    """Return columns per value of a label, sorted by the values of the first query."""
    panel = barchart.Panel().x_field(label).group_width(0.8).bar_width(0.95)
    panel.line_width(1).fill_opacity(80).gradient_mode(looks.GraphGradientMode.NONE)
    panel.legend(_legend_below()).tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    titles = {}
    for letter, query in zip(LETTERS, queries, strict=False):
        panel.with_target(_target(query, letter, instant=True, form=PromQueryFormat.TABLE))
        titles[f"Value #{letter}"] = query.legend
    _joined(panel, {label: label, **titles})
    order = {"fields": {}, "sort": [{"field": queries[0].legend}]}
    panel.with_transformation(model.DataTransformerConfig(id_val="sortBy", options=order))
    panel.color_scheme(frame.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
    _measured(panel, measure)
    return panel


def buckets(query: Query, measure: Measure) -> heatmap.Panel:
    """Return a histogram over time. The query returns the rates of the buckets by `le`."""
    panel = heatmap.Panel().calculate(False)
    panel.y_axis(heatmap.YAxisConfig().unit(measure.unit).axis_placement(looks.AxisPlacement.LEFT))
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
    panel.show_legend().cell_gap(1)
    panel.scale_distribution(common.ScaleDistributionConfig().type(looks.ScaleDistribution.LINEAR))
    panel.with_target(_target(query, "A", form=PromQueryFormat.HEATMAP))
    panel.unit(measure.unit)
    return panel


@dataclass(frozen=True)
class Column:
    """A column of a table: a label, or the value of a query.

    Attributes:
        title: heading.
        name: name of the label; empty for values.
        query: query for the values.
        measure: unit and colours of the values.
        named: group of label names for the values; may be empty.
        texts: names by value.
    """

    title: str
    name: str = ""
    query: str = ""
    measure: Measure | None = None
    named: str = ""
    texts: Mapping[str, str] | None = None


def listing(columns: Sequence[Column], largest: str = "") -> table.Panel:
    """Return a table with a row per combination of labels, sorted by the column `largest`."""
    panel = table.Panel().show_header(True).cell_height(looks.TableCellHeight.SM)
    panel.align(looks.FieldTextAlignment.AUTO).inspect(False)
    queries = sum(bool(one.query) for one in columns)
    titles, letters = {}, iter(LETTERS)
    for column in columns:
        name = column.name
        if column.query:
            letter = next(letters)
            panel.with_target(_target(Query(column.query), letter, instant=True, form=PromQueryFormat.TABLE))
            name = f"Value #{letter}" if queries > 1 else "Value"  # as Grafana names them
        titles[name] = column.title
        panel.override_by_name(column.title, _column(column))
    _joined(panel, titles)
    if largest:
        panel.sort_by([common.TableSortByFieldState().display_name(largest).desc(True)])
    panel.unit("short")
    return panel


COUNT: Final = Measure("short", decimals=0)
PERCENT: Final = Measure("percentunit", decimals=1)


@dataclass(frozen=True)
class Names:
    """Names and colours of series by the value of their label.

    Attributes:
        of: group of label names.
        colours: colours by value, where they have a meaning.
    """

    of: str
    colours: Mapping[str, str] = field(default_factory=dict)


def rename_series(panel: Panel, names: Mapping[str, str], colours: Mapping[str, str]) -> None:
    """Set names and colours of the series of a panel, by value of their label."""
    for value, name in names.items():
        properties = [model.DynamicConfigValue(id_val="displayName", value=name)]
        if value in colours:
            properties.append(_fixed(colours[value]))
        panel.override_by_name(value, properties)


def _joined(panel: table.Panel | barchart.Panel, titles: Mapping[str, str]) -> None:
    """Join the queries into one row per combination of labels, with these columns in this order."""
    order = {name: place for place, name in enumerate(titles)}
    options = {"excludeByName": {"Time": True}, "renameByName": dict(titles), "indexByName": order}
    panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))


def _legend_below() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).display_mode(looks.LegendDisplayMode.LIST)
    return legend.placement(looks.LegendPlacement.BOTTOM)


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _column(column: Column) -> list[model.DynamicConfigValue]:
    properties = []
    if column.measure is not None:
        properties.append(model.DynamicConfigValue(id_val="unit", value=column.measure.unit))
        if column.measure.decimals is not None:
            properties.append(model.DynamicConfigValue(id_val="decimals", value=column.measure.decimals))
        if column.measure.steps:
            properties.append(model.DynamicConfigValue(id_val="thresholds", value=_thresholds(column.measure).build()))
            cell = {"type": "color-text"}
            properties.append(model.DynamicConfigValue(id_val="custom.cellOptions", value=cell))
    if column.texts:
        words = {value: model.ValueMappingResult(text=text) for value, text in column.texts.items()}
        properties.append(model.DynamicConfigValue(id_val="mappings", value=[model.ValueMap(words)]))
    return properties


def _target(
    query: Query, letter: str, *, instant: bool = False, form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(SOURCE).expr(query.expr).legend_format(query.legend).ref_id(letter)
    target.format(form)
    return target.instant() if instant else target.range()


def _measured(panel: stat.Panel | timeseries.Panel | bargauge.Panel | barchart.Panel, measure: Measure) -> None:
    panel.unit(measure.unit).thresholds(_thresholds(measure))
    if measure.decimals is not None:
        panel.decimals(measure.decimals)
    if measure.lowest is not None:
        panel.min(measure.lowest)
    if measure.highest is not None:
        panel.max(measure.highest)


def _thresholds(measure: Measure) -> frame.ThresholdsConfig:
    steps = [model.Threshold(value=None, color=measure.base)]
    steps += [model.Threshold(value=value, color=colour) for value, colour in measure.steps]
    return frame.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
