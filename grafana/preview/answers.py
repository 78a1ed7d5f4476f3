"""A dashboard's JSON with what every query of it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grafana.preview.prometheus import Prometheus, Range, Series


@dataclass(frozen=True)
class Asked:
    """One query as it was asked, and its answer."""

    letter: str
    expr: str
    legend: str
    found: list[Series]

    def name(self, series: Series) -> str:
        """How Grafana calls a series: its legend, filled with its labels."""
        if not self.legend:
            return ", ".join(f"{key}={value}" for key, value in series.labels.items()) or "value"
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: series.labels.get(found[1], ""), self.legend)


@dataclass(frozen=True)
class Answered:
    """A panel with the answers to its queries."""

    panel: Mapping[str, Any]
    asked: list[Asked]

    @property
    def empty(self) -> list[str]:
        """Queries that found nothing, or no number at all."""
        return [one.expr for one in self.asked if not any(series.last == series.last for series in one.found)]


@dataclass(frozen=True)
class Board:
    """A dashboard with all answers."""

    dashboard: Mapping[str, Any]
    over: Range
    panels: list[Answered]
    choices: Mapping[str, list[str]] = field(default_factory=dict)  # what each variable offers
    marks: Mapping[str, list[Series]] = field(default_factory=dict)  # what each annotation found


def panels_of(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every panel that asks something, also in rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def variables_of(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The queries of the variables, by name."""
    return {one["name"]: one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"}


def chosen_in(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the place of each variable when the page opens."""
    variables = [one for one in dashboard["templating"]["list"] if one["type"] != "datasource"]
    return {one["name"]: one["allValue"] if one["includeAll"] else one["current"]["value"] for one in variables}


def options_of(dashboard: Mapping[str, Any]) -> dict[str, list[str]]:
    """The values of the variables that ask nobody for them, by name."""
    variables = [one for one in dashboard["templating"]["list"] if one["type"] == "custom"]
    return {one["name"]: [option["value"] for option in one["options"]] for one in variables}


def ask(dashboard: Mapping[str, Any], prometheus: Prometheus, over: Range) -> Board:
    """Ask every query of every panel, variable and mark, with the choices that the page opens with. Raises Refused."""
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
