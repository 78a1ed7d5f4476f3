"""What all pages share: variables, links between pages, annotations in trends, and the grid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from grafana_foundation_sdk.builders import dashboard as frame
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana import panels
from grafana.panels import SOURCE, Column, Frame, Measure, Names, Query, Style
from grafana.words import LANGUAGES, names_of, say, words

PAGES: Final = ("churn_today", "causes", "quality", "service")
STAT_HEIGHT, TREND_HEIGHT = 4, 8
_ALERTS: Final = 'ALERTS{alertstate="firing"}'
_VERSIONS: Final = "changes(churn_trainer_model_version[$__rate_interval]) > 0"


@dataclass(frozen=True)
class Variable:
    """A choice above a page: the values of a label.

    Attributes:
        name: its name in the queries; the words have its title.
        query: the query that finds the values.
        chosen: the initial value; if empty, all values, of which several can be chosen.
        named: instead of a query, the list of names in the words that has the values and their names.
    """

    name: str
    query: str = ""
    chosen: str = ""
    named: str = ""


class _Mark(model.AnnotationQuery):
    """An annotation with the fields of Grafana's Prometheus source, which the SDK lacks.

    Grafana 11 reads the query from `target` in its later versions, and from `expr` in its earlier ones.
    """

    def __init__(self, name: str, expr: str, colour: str, *, title: str, text: str) -> None:
        super().__init__(name=name, datasource=SOURCE, enable=True, icon_color=colour, expr=expr)
        self._title, self._text = title, text

    def to_json(self) -> dict[str, object]:
        step = "30s"
        return super().to_json() | {
            "step": step,
            "target": {"expr": self.expr, "interval": step, "refId": "Anno"},
            "titleFormat": self._title,
            "textFormat": self._text,
        }


class Page:
    """A page in one language. Its panels fill a grid of 24 columns in the order in which they are added.

    Args:
        name: one of PAGES, and the key of its words.
        lang: en or zh.
        variables: choices beside the data source.
        since: start of the initial time range.
        refresh: interval of refreshing.
    """

    def __init__(self, name: str, lang: str, variables: Sequence[Variable], since: str, refresh: str) -> None:
        self.name, self.lang = name, lang
        self._key = 0
        self._dashboard = (
            frame.Dashboard(say(lang, name, "title"))
            .uid(uid(name, lang))
            .description(say(lang, name, "description"))
            .tags(["stream-app", lang])
            .timezone("browser")
            .time(since, "now")
            .refresh(refresh)
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .readonly()
        )
        self._choices(variables)
        self._links()
        self._dashboard.annotations([_Built(self._alerts()), _Built(self._versions())])

    # --- content --------------------------------------------------------------------------------------------------

    def row(self, key: str) -> None:
        """Add a heading."""
        self._key += 1
        self._dashboard.with_row(frame.Row(say(self.lang, self.name, "rows", key)).id(self._key))

    def number(self, key: str, expr: str, measure: Measure, width: int = 4, texts: Sequence[str] = ()) -> None:
        """Add a figure; `texts` are values that are replaced by words of the panel."""
        named = {value: self._say(key, f"value_{value}") for value in texts}
        self._dashboard.with_panel(panels.big_number(self._frame(key, width, STAT_HEIGHT), Query(expr), measure, named))

    def trend(
        self,
        key: str,
        queries: Mapping[str, str],
        measure: Measure,
        width: int = 8,
        style: Style = Style.LINES,
        names: Names | None = None,
    ) -> None:
        """Add values over time.

        The key of a query is its legend: a key of the panel's words, a label as `{{label}}`, or a value of a label that
        `names` has a name for. The series are in the order of the queries.
        """
        asked = self._queries(key, queries, names)
        panel = panels.trend(self._frame(key, width, TREND_HEIGHT), asked, measure, style)
        self._add(panel, names)

    def bars(
        self,
        key: str,
        queries: Mapping[str, str],
        measure: Measure,
        width: int = 8,
        height: int = TREND_HEIGHT,
        names: Names | None = None,
    ) -> None:
        """Add the latest value of each series; the queries are as in `trend`."""
        asked = self._queries(key, queries, names)
        self._add(panels.bars(self._frame(key, width, height), asked, measure), names)

    def columns(self, key: str, label: str, queries: Mapping[str, str], measure: Measure, width: int = 8) -> None:
        """Add values side by side for each value of a label; the queries are as in `trend`."""
        asked = self._queries(key, queries, None)
        self._dashboard.with_panel(panels.columns(self._frame(key, width, TREND_HEIGHT), label, asked, measure))

    def buckets(self, key: str, expr: str, measure: Measure, width: int = 8) -> None:
        """Add a histogram over time."""
        self._dashboard.with_panel(
            panels.buckets(self._frame(key, width, TREND_HEIGHT), Query(expr, "{{le}}"), measure)
        )

    def table(
        self, key: str, columns: Sequence[Column], width: int = 24, height: int = TREND_HEIGHT, largest: str = ""
    ) -> None:
        """Add a table, sorted by the column `largest`; titles of columns are keys of the panel's words."""
        titled = [
            replace(one, title=self._say(key, one.title), texts=names_of(self.lang, one.named) if one.named else None)
            for one in columns
        ]
        first = self._say(key, largest) if largest else ""
        self._dashboard.with_panel(panels.listing(self._frame(key, width, height), titled, first))

    def json(self) -> str:
        """Return the dashboard as Grafana reads it."""
        return json.dumps(self._dashboard.build(), cls=JSONEncoder, ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    # --- frame ----------------------------------------------------------------------------------------------------

    def _add(self, panel: panels.Panel, names: Names | None) -> None:
        if names is not None:
            panels.rename(panel, names_of(self.lang, names.of), names.colours)
        self._dashboard.with_panel(panel)

    def _say(self, key: str, what: str) -> str:
        return say(self.lang, self.name, key, what)

    def _queries(self, key: str, queries: Mapping[str, str], names: Names | None) -> list[Query]:
        as_they_are = names_of(self.lang, names.of).keys() if names else ()
        return [
            Query(expr, legend if "{{" in legend or legend in as_they_are else self._say(key, legend))
            for legend, expr in queries.items()
        ]

    def _frame(self, key: str, width: int, height: int) -> Frame:
        self._key += 1
        own = {"nothing": say(self.lang, "common", "nothing"), **words(self.lang)[self.name][key]}
        return Frame(self._key, own["title"], own["text"], own["nothing"], width, height)

    def _choices(self, variables: Sequence[Variable]) -> None:
        source = frame.DatasourceVariable("datasource").label(say(self.lang, "variables", "datasource"))
        self._dashboard.with_variable(source.type("prometheus"))
        for variable in variables:
            choice = self._named(variable) if variable.named else _asked(variable)
            choice.label(say(self.lang, "variables", variable.name))
            if variable.chosen:
                choice.current(model.VariableOption(True, variable.chosen, variable.chosen))
            else:
                choice.multi(True).include_all(True).all_value(".*")
                choice.current(model.VariableOption(True, say(self.lang, "common", "all"), "$__all"))
            self._dashboard.with_variable(choice)

    def _named(self, variable: Variable) -> frame.CustomVariable:
        names = names_of(self.lang, variable.named)
        choice = frame.CustomVariable(variable.name)
        choice.values(", ".join(f"{_escaped(name)} : {value}" for value, name in names.items()))
        return choice.options([model.VariableOption(False, name, value) for value, name in names.items()])

    def _links(self) -> None:
        for name in PAGES:
            if name != self.name:
                self._link(say(self.lang, name, "title"), name, self.lang)
        for lang in LANGUAGES:
            if lang != self.lang:
                self._link(say(lang, "common", "language"), self.name, lang)

    def _link(self, title: str, name: str, lang: str) -> None:
        link = frame.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("dashboard")
        link.url(f"/d/{uid(name, lang)}").keep_time(True).include_vars(True)
        self._dashboard.link(link.tooltip(say(lang, name, "description")))

    def _alerts(self) -> _Mark:
        name = say(self.lang, "common", "alerts")
        return _Mark(name, _ALERTS, panels.RED, title="{{alertname}}", text="{{severity}} {{job}} {{instance}}")

    def _versions(self) -> _Mark:
        name = say(self.lang, "common", "versions")
        return _Mark(name, _VERSIONS, panels.BLUE, title=say(self.lang, "common", "version"), text="{{instance}}")


class _Built(frame.AnnotationQuery):
    """A builder of an annotation that exists already."""

    def __init__(self, mark: _Mark) -> None:
        super().__init__()
        self._internal = mark


def _asked(variable: Variable) -> frame.QueryVariable:
    choice = frame.QueryVariable(variable.name).datasource(SOURCE)
    choice.query({"query": variable.query, "refId": variable.name})
    return choice.sort(model.VariableSort.NATURAL_ASC).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)


def _escaped(name: str) -> str:
    """Escape commas, which separate the entries of a custom variable."""
    return name.replace(",", "\\,")


def uid(name: str, lang: str) -> str:
    """Return the id of a page in Grafana.

    >>> uid("churn_today", "zh")
    'churn-today-zh'
    """
    prefix = "" if name.startswith("churn") else "churn-"
    return f"{prefix}{name}-{lang}".replace("_", "-")
