"""Every query of every dashboard and rule, on a real Prometheus that scrapes a running shop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from grafana.build import FOLDER
from grafana.preview.answers import Board, run_queries
from grafana.preview.prometheus import Prometheus, Range
from stream_app.demo.simulation import Phase
from tests.conftest import PROJECT, missing
from tests.harness.processes.watched_shop import WatchedShop
from tests.harness.servers import Missing

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]

RULES: Final = sorted((PROJECT / "prometheus" / "rules").glob("*.yml"))
LIVED_SECONDS: Final = 75.0  # after the history: two months, so that months end and alerts close
SECONDS: Final = 240.0


@dataclass(frozen=True)
class Watched:
    """Results of all queries after the shop has run."""

    prometheus: Prometheus
    over: Range
    boards: dict[str, Board]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    started = time.time()
    try:
        with WatchedShop(RULES) as shop:
            shop.wait("the history has been played", lambda: shop.shop.phase is Phase.LIVE, SECONDS)
            time.sleep(LIVED_SECONDS)
            assert shop.shop.error is None
            prometheus = Prometheus(shop.prometheus.url)
            over = Range(started, time.time())
            boards = {
                f"{path.parent.name}/{path.stem}": run_queries(
                    json.loads(path.read_text(encoding="utf-8")), prometheus, over
                )
                for path in sorted(FOLDER.glob("*/*.json"))
            }
            yield Watched(prometheus, over, boards)
    except Missing as absent:
        missing(str(absent))


def test_every_process_is_scraped(watched: Watched) -> None:
    assert [one["lastError"] for one in watched.prometheus.targets() if one["health"] != "up"] == []


def test_every_panel_has_data(watched: Watched) -> None:
    empty = {
        f"{name}: {panel.panel['title']}: {expr}"
        for name, board in watched.boards.items()
        for panel in board.panels
        for expr in panel.empty
    }
    assert empty == set()


def test_a_segment_narrows_the_figures_and_all_segments_add_up(watched: Watched) -> None:
    (shown,) = one_panel(watched.boards["en/churn-today"], "Buyers by segment")[:1]
    by_segment = watched.prometheus.instant("sum by (segment) (churn_segment_customers)", watched.over.end)
    (buyers,) = watched.prometheus.instant("sum(churn_buyers)", watched.over.end)
    assert len(by_segment) == 7
    assert min(one.last for one in by_segment) > 0
    assert sum(one.last for one in by_segment) == pytest.approx(buyers.last)
    assert 0 < shown.found[0].last < buyers.last


def test_staff_find_the_causes_that_the_simulator_hides(watched: Watched) -> None:
    told = watched.prometheus.instant("sum by (outcome) (churn_alert_outcomes_total)", watched.over.end)
    found = {one.labels["outcome"]: one.last for one in told}
    assert {"retained", "lost", "unreachable"} <= {outcome for outcome, count in found.items() if count}


def test_every_variable_has_values(watched: Watched) -> None:
    for name, board in watched.boards.items():
        assert [variable for variable, values in board.choices.items() if not values] == [], name


def test_new_versions_are_annotated_and_every_annotation_can_be_queried(watched: Watched) -> None:
    for board in watched.boards.values():
        _, versions = board.marks.values()
        assert versions


def test_shares_are_shares_and_counts_are_not_negative(watched: Watched) -> None:
    for board in watched.boards.values():
        for panel in board.panels:
            unit = panel.panel["fieldConfig"]["defaults"]["unit"]
            values = [value for one in panel.asked for series in one.found for _, value in series.points]
            known = [value for value in values if math.isfinite(value)]
            if unit == "percentunit" and "process_cpu" not in panel.asked[0].expr:
                assert all(-1e-9 <= value <= 1.02 for value in known), panel.panel["title"]
            if panel.panel["fieldConfig"]["defaults"].get("min") == 0:
                assert all(value >= 0 for value in known), panel.panel["title"]


def test_a_panel_shows_the_sum_over_all_processes(watched: Watched) -> None:
    """A panel shows the sum over the metrics of all processes."""
    (shown,) = one_panel(watched.boards["en/churn-today"], "With the staff")
    told = sum(one.last for one in watched.prometheus.instant("churn_open_alerts", watched.over.end))
    assert told > 0
    assert shown.found[0].last == pytest.approx(told, rel=0.2)


def one_panel(board: Board, title: str) -> Any:
    return next(panel.asked for panel in board.panels if panel.panel["title"] == title)


def test_every_rule_is_evaluated_and_no_fault_is_reported(watched: Watched) -> None:
    rules = watched.prometheus.rules()
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    for rule in rules:  # a rule that does not fire must be right as well: its parts are queried separately
        watched.prometheus.course(rule["query"], watched.over)
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert [name for name in recorded if not watched.prometheus.course(name, watched.over)] == []
    firing = {rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"}
    assert firing <= {"ChurnDriftFound"}
