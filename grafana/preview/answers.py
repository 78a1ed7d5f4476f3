"""A dashboard's JSON with the results of all its queries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grafana.preview.prometheus import Prometheus, Range, Series


@dataclass(frozen=True)
class Asked:
    """A query and its result."""

    letter: str
    expr: str
    legend: str
    found: list[Series]

    def name(self, series: Series) -> str:
        """Return the name of a series in Grafana: its legend with the values of its labels."""
        if not self.legend:
            return ", ".join(f"{key}={value}" for key, value in series.labels.items()) or "value"
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: series.labels.get(found[1], ""), self.legend)


@dataclass(frozen=True)
class Answered:
    """A panel with the results of its queries."""

    panel: Mapping[str, Any]
    asked: list[Asked]

    @property
    def empty(self) -> list[str]:
        """Queries without a result, or without any number."""
        return [one.expr for one in self.asked if not any(series.last == series.last for series in one.found)]


@dataclass(frozen=True)
class Board:
    """A dashboard with all results."""

    dashboard: Mapping[str, Any]
    over: Range
    panels: list[Answered]
    choices: Mapping[str, list[str]] = field(default_factory=dict)  # values that each variable offers
    marks: Mapping[str, list[Series]] = field(default_factory=dict)  # results of each annotation


def panels_of(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every panel with queries, including those in rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def variables_of(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """Return the queries of the variables, by name."""
    return {one["name"]: one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"}


def chosen_in(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of each variable when the page opens."""
    variables = [one for one in dashboard["templating"]["list"] if one["type"] != "datasource"]
    return {one["name"]: one["allValue"] if one["includeAll"] else one["current"]["value"] for one in variables}


def options_of(dashboard: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the values of the variables without a query, by name."""
    variables = [one for one in dashboard["templating"]["list"] if one["type"] == "custom"]
    return {one["name"]: [option["value"] for option in one["options"]] for one in variables}


def ask(dashboard: Mapping[str, Any], prometheus: Prometheus, over: Range) -> Board:
    """Run the queries of all panels, variables and annotations, with the values that the page opens with.

    Raises:
        Refused: a query is wrong.
    """
    choices = {name: prometheus.label_values(query, over) for name, query in variables_of(dashboard).items()}
    choices |= options_of(dashboard)
    chosen = chosen_in(dashboard)
    panels = [
        Answered(panel, [_answer(target, prometheus, over, chosen) for target in panel["targets"]])
        for panel in panels_of(dashboard)
    ]
    marks = {
        one["name"]: prometheus.course(over.fill(one["expr"], chosen), over) for one in dashboard["annotations"]["list"]
    }
    return Board(dashboard, over, panels, choices, marks)


def _answer(target: Mapping[str, Any], prometheus: Prometheus, over: Range, choices: Mapping[str, str]) -> Asked:
    expr = over.fill(target["expr"], choices)
    found = prometheus.instant(expr, over.end) if target.get("instant") else prometheus.course(expr, over)
    return Asked(target["refId"], expr, target.get("legendFormat", ""), found)
