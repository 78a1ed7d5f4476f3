"""Frame of all pages: variables, links, annotations and the grid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from grafana_foundation_sdk.builders import dashboard as frame
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana import panels
from grafana.label_names import label_names
from grafana.panels import SOURCE, Column, Frame, Measure, Names, Query, Style
from stream_app.i18n import LANGUAGES, Translator

PAGES: Final = ("churn_today", "causes", "quality", "service")
STAT_HEIGHT, TREND_HEIGHT = 4, 8
_ALERTS: Final = 'ALERTS{alertstate="firing"}'
_VERSIONS: Final = "changes(churn_trainer_model_version[$__rate_interval]) > 0"


@dataclass(frozen=True)
class Variable:
    """A variable of a page: the values of a label.

    Attributes:
        name: name in the queries.
        query: query for the values.
        chosen: initial value of a variable with one value; empty for one with several values, initially all.
        named: group of label names to use instead of a query.
    """

    name: str
    query: str = ""
    chosen: str = ""
    named: str = ""


class _Annotation(model.AnnotationQuery):
    """Annotation query of Grafana's Prometheus data source, whose fields the SDK does not know.

    Later versions of Grafana 11 read the query from `target`, earlier ones from `expr`.
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
        name: one of PAGES, and the key of its texts.
        lang: en or zh.
        variables: variables besides the data source.
        since: start of the initial time range.
        refresh: refresh interval.
    """

    def __init__(self, name: str, lang: str, variables: Sequence[Variable], since: str, refresh: str) -> None:
        self.name, self.lang = name, lang
        self._translator = Translator(lang, "dashboards")
        text = self._translator.text
        self._key = 0
        self._dashboard = (
            frame.Dashboard(text(f"pages.{name}.title"))
            .uid(uid(name, lang))
            .description(text(f"pages.{name}.description"))
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

    def row(self, key: str) -> None:
        """Add a heading."""
        self._key += 1
        self._dashboard.with_row(frame.Row(self._text("rows", key)).id(self._key))

    def number(self, key: str, expr: str, measure: Measure, width: int = 4) -> None:
        """Add a panel with one figure."""
        self._dashboard.with_panel(panels.big_number(self._frame(key, width, STAT_HEIGHT), Query(expr), measure))

    def trend(
        self,
        key: str,
        queries: Mapping[str, str],
        measure: Measure,
        width: int = 8,
        style: Style = Style.LINES,
        names: Names | None = None,
    ) -> None:
        """Add a chart of values over time.

        The keys of the queries are legends: a key of the panel's texts, a label as `{{label}}`, or a value of a label
        that has a name in `names`, for series in a fixed order.
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
        """Add a bar chart of the latest value of each series. The queries are those of `trend`."""
        asked = self._queries(key, queries, names)
        self._add(panels.bars(self._frame(key, width, height), asked, measure), names)

    def columns(self, key: str, label: str, queries: Mapping[str, str], measure: Measure, width: int = 8) -> None:
        """Add columns per value of a label. The keys of the queries are keys of the panel's texts."""
        asked = [Query(expr, self._text(key, legend)) for legend, expr in queries.items()]
        self._add(panels.columns(self._frame(key, width, TREND_HEIGHT), label, asked, measure), None)

    def buckets(self, key: str, expr: str, measure: Measure, width: int = 8) -> None:
        """Add a histogram over time."""
        self._dashboard.with_panel(
            panels.buckets(self._frame(key, width, TREND_HEIGHT), Query(expr, "{{le}}"), measure)
        )

    def table(
        self, key: str, columns: Sequence[Column], width: int = 24, height: int = TREND_HEIGHT, largest: str = ""
    ) -> None:
        """Add a table, sorted by the column `largest`. Titles of columns are keys of the panel's texts."""
        titled = [
            replace(
                one,
                title=self._text(key, one.title),
                texts=self._names(one.named) if one.named else None,
            )
            for one in columns
        ]
        first = self._text(key, largest) if largest else ""
        self._dashboard.with_panel(panels.listing(self._frame(key, width, height), titled, first))

    def json(self) -> str:
        """Return the page as JSON for Grafana."""
        return json.dumps(self._dashboard.build(), cls=JSONEncoder, ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    def _add(self, panel: panels.Panel, names: Names | None) -> None:
        if names is not None:
            panels.rename_series(panel, self._names(names.of), names.colours)
        self._dashboard.with_panel(panel)

    def _names(self, of: str) -> dict[str, str]:
        return label_names(self._translator, of)

    def _text(self, key: str, what: str) -> str:
        return self._translator.text(f"pages.{self.name}.{key}.{what}")

    def _queries(self, key: str, queries: Mapping[str, str], names: Names | None) -> list[Query]:
        unchanged = self._names(names.of).keys() if names else ()
        return [
            Query(expr, legend if "{{" in legend or legend in unchanged else self._text(key, legend))
            for legend, expr in queries.items()
        ]

    def _frame(self, key: str, width: int, height: int) -> Frame:
        self._key += 1
        own = {"nothing": self._translator.text("common.nothing"), **self._translator.group(f"pages.{self.name}.{key}")}
        return Frame(self._key, own["title"], own["text"], own["nothing"], width, height)

    def _choices(self, variables: Sequence[Variable]) -> None:
        source = frame.DatasourceVariable("datasource").label(self._translator.text("variables.datasource"))
        self._dashboard.with_variable(source.type("prometheus"))
        for variable in variables:
            choice = self._named(variable) if variable.named else _query_variable(variable)
            choice.label(self._translator.text(f"variables.{variable.name}"))
            if variable.chosen:
                choice.current(model.VariableOption(True, variable.chosen, variable.chosen))
            else:
                choice.multi(True).include_all(True).all_value(".*")
                choice.current(model.VariableOption(True, self._translator.text("common.all"), "$__all"))
            self._dashboard.with_variable(choice)

    def _named(self, variable: Variable) -> frame.CustomVariable:
        names = self._names(variable.named)
        choice = frame.CustomVariable(variable.name)
        choice.values(", ".join(f"{_escaped(name)} : {value}" for value, name in names.items()))
        return choice.options([model.VariableOption(False, name, value) for value, name in names.items()])

    def _links(self) -> None:
        for name in PAGES:
            if name != self.name:
                self._link(self._translator.text(f"pages.{name}.title"), name, self.lang)
        for lang in LANGUAGES:
            if lang != self.lang:
                self._link(Translator(lang, "dashboards").text("language.name"), self.name, lang)

    def _link(self, title: str, name: str, lang: str) -> None:
        link = frame.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("dashboard")
        link.url(f"/d/{uid(name, lang)}").keep_time(True).include_vars(True)
        self._dashboard.link(link.tooltip(Translator(lang, "dashboards").text(f"pages.{name}.description")))

    def _alerts(self) -> _Annotation:
        name = self._translator.text("common.alerts")
        return _Annotation(name, _ALERTS, panels.RED, title="{{alertname}}", text="{{severity}} {{job}} {{instance}}")

    def _versions(self) -> _Annotation:
        name = self._translator.text("common.versions")
        title = self._translator.text("common.version")
        return _Annotation(name, _VERSIONS, panels.BLUE, title=title, text="{{instance}}")


class _Built(frame.AnnotationQuery):
    """Builder of an annotation that is complete already."""

    def __init__(self, annotation: _Annotation) -> None:
        super().__init__()
        self._internal = annotation


def _query_variable(variable: Variable) -> frame.QueryVariable:
    choice = frame.QueryVariable(variable.name).datasource(SOURCE)
    choice.query({"query": variable.query, "refId": variable.name})
    return choice.sort(model.VariableSort.NATURAL_ASC).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)


def _escaped(name: str) -> str:
    """Return a name for the list of a custom variable, which separates entries by commas."""
    return name.replace(",", "\\,")


def uid(name: str, lang: str) -> str:
    """Return the id of a page in Grafana and in links.

    >>> uid("churn_today", "zh")
    'churn-today-zh'
    """
    prefix = "" if name.startswith("churn") else "churn-"
    return f"{prefix}{name}-{lang}".replace("_", "-")
