"""The preview asks what the dashboards' files ask, and draws what comes back."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from markupsafe import escape

from grafana.preview.answers import ask, chosen_in
from grafana.preview.drawing import rows_of
from grafana.preview.prometheus import Prometheus, Range, Series
from grafana.preview.sheet import page
from tests.unit.grafana.test_dashboards import BOARDS, each_board

OVER = Range(0.0, 600.0)


class Made(Prometheus):
    """Answers every query with the same series, for as many labels as it groups by."""

    def __init__(self, *values: float) -> None:
        super().__init__("http://127.0.0.1:9")
        self.values, self.asked = values, list[str]()

    def instant(self, expr: str, at: float) -> list[Series]:
        self.asked.append(expr)
        return [Series(labels, [(at, self.values[-1])]) for labels in self._labels(expr) if self.values]

    def course(self, expr: str, over: Range) -> list[Series]:
        self.asked.append(expr)
        points = [(over.start + place * over.step, value) for place, value in enumerate(self.values)]
        return [Series(labels, points) for labels in self._labels(expr) if self.values]

    def label_values(self, query: str, over: Range) -> list[str]:
        return [query for _ in range(int(over.end > over.start))]

    @staticmethod
    def _labels(expr: str) -> list[dict[str, str]]:
        found = re.search(r"by \(([\w, ]+)\)", expr)
        names = found[1].split(", ") if found else []
        return [dict.fromkeys(names, value) for value in (["1", "2.5"] if names else [""])]


@each_board
def test_a_board_is_drawn_with_all_its_titles(board: dict[str, Any]) -> None:
    text, height = page(ask(board, Made(1.0, math.nan, 3.0), OVER))
    assert all(escape(panel["title"]) in text for panel in board["panels"])
    assert "NaN" not in re.sub(r"<[^>]*>", "", text)
    assert height > 500


@each_board
def test_a_panel_without_an_answer_says_what_that_means(board: dict[str, Any]) -> None:
    answered = ask(board, Made(), OVER)
    text, _ = page(answered)
    for panel in answered.panels:
        assert escape(panel.panel["fieldConfig"]["defaults"]["noValue"]) in text
        assert panel.empty == [one.expr for one in panel.asked]


@each_board
def test_no_variable_is_left_in_what_is_asked(board: dict[str, Any]) -> None:
    prometheus = Made(1.0)
    ask(board, prometheus, OVER)
    assert prometheus.asked
    assert [expr for expr in prometheus.asked if "$" in expr] == []


def test_a_page_opens_with_all_shops_and_one_window() -> None:
    assert chosen_in(BOARDS["en/churn-today.json"]) == {"shop": ".*", "segment": ".*"}
    assert chosen_in(BOARDS["zh/quality.json"]) == {"window": "28d"}


def test_a_table_joins_its_queries_on_their_labels() -> None:
    board = ask(BOARDS["en/service.json"], Made(2.0), OVER)
    table = next(panel for panel in board.panels if panel.panel["type"] == "table")
    head, rows = rows_of(table)
    assert head[:3] == ["Service", "Instance", "State"]
    assert [row["Instance"] for row in rows] == ["1", "2.5"]
    assert all(row["State"] == row["Lanes"] == 2.0 for row in rows)


@pytest.mark.parametrize(("seconds", "window"), [(600, "20s"), (86_400, "365s")])
def test_a_rate_looks_back_over_four_scrapes_or_a_step_and_one(seconds: float, window: str) -> None:
    assert Range(0, seconds).fill("[$__rate_interval]", {}) == f"[{window}]"
