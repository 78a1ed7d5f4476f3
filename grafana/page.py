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
from grafana.panels import SOURCE, Column, Measure, Names, Query, Style
from stream_app.i18n import LANGUAGES, Translator

PAGES: Final = ("churn_today", "causes", "quality", "service")
STAT_HEIGHT, TREND_HEIGHT = 4, 8
_ALERTS: Final = 'ALERTS{alertstate="firing"}'
_VERSIONS: Final = "changes(churn_trainer_model_version[$__rate_interval]) > 0"
_PROCESS: Final = "{{severity}} {{job}} {{instance}}"
_STEP: Final = "30s"


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

    def row(self, key: str) -> None:
        """Add a heading."""
        self._key += 1
        self._dashboard.with_row(frame.Row(self._text("rows", key)).id(self._key))

    def number(self, key: str, expr: str, measure: Measure, width: int = 4) -> None:
        """Add a panel with one figure."""
        self._add(panels.big_number(Query(expr), measure), key, width, STAT_HEIGHT)

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
        self._add(panels.trend(self._queries(key, queries, names), measure, style), key, width, names=names)

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
        self._add(panels.bars(self._queries(key, queries, names), measure), key, width, height, names)

    def columns(self, key: str, label: str, queries: Mapping[str, str], measure: Measure, width: int = 8) -> None:
        """Add columns per value of a label. The keys of the queries are keys of the panel's texts."""
        self._add(panels.columns(label, self._queries(key, queries, None), measure), key, width)

    def buckets(self, key: str, expr: str, measure: Measure, width: int = 8) -> None:
        """Add a histogram over time."""
        self._add(panels.buckets(Query(expr, "{{le}}"), measure), key, width)

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
        self._add(panels.listing(titled, first), key, width, height)

    def json(self) -> str:
        """Return the page as JSON for Grafana."""
        text = self._translator.text
        annotations = [
            _annotation(text("common.alerts"), _ALERTS, panels.RED, "{{alertname}}", _PROCESS),
            _annotation(text("common.versions"), _VERSIONS, panels.BLUE, text("common.version"), "{{instance}}"),
        ]
        board = self._dashboard.build().to_json() | {"annotations": {"list": annotations}}
        return json.dumps(board, cls=JSONEncoder, ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    def _add(
        self, panel: panels.Panel, key: str, width: int, height: int = TREND_HEIGHT, names: Names | None = None
    ) -> None:
        """Add a panel with its texts and the names of its series."""
        self._key += 1
        own = {"nothing": self._translator.text("common.nothing"), **self._translator.group(f"pages.{self.name}.{key}")}
        panel.id(self._key).title(own["title"]).description(own["text"]).no_value(own["nothing"])
        panel.datasource(SOURCE).span(width).height(height)
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
        escaped = {value: name.replace(",", "\\,") for value, name in names.items()}  # commas separate the entries
        choice.values(", ".join(f"{name} : {value}" for value, name in escaped.items()))
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


def _annotation(name: str, expr: str, colour: str, title: str, text: str) -> dict[str, object]:
    """Return an annotation. Later versions of Grafana 11 read the query from `target`, earlier ones from `expr`."""
    query = model.AnnotationQuery(name=name, datasource=SOURCE, enable=True, icon_color=colour, expr=expr)
    target = {"expr": expr, "interval": _STEP, "refId": "Anno"}
    return query.to_json() | {"step": _STEP, "target": target, "titleFormat": title, "textFormat": text}


def _query_variable(variable: Variable) -> frame.QueryVariable:
    choice = frame.QueryVariable(variable.name).datasource(SOURCE)
    choice.query({"query": variable.query, "refId": variable.name})
    return choice.sort(model.VariableSort.NATURAL_ASC).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)


def uid(name: str, lang: str) -> str:
    """Return the id of a page in Grafana and in links.

    >>> uid("churn_today", "zh")
    'churn-today-zh'
    """
    prefix = "" if name.startswith("churn") else "churn-"
    return f"{prefix}{name}-{lang}".replace("_", "-")
