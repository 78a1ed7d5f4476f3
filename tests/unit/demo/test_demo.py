"""What the demo shows, from what it hears."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import ScoreRecord, ScoreRecords
from stream_app.core.units import DAY_US, EPOCH
from stream_app.demo.simulation import Phase, Plan
from stream_app.demo.state import DemoState, ListedAlert, ServiceStatus
from stream_app.demo.terminal_layout import TerminalLayout
from stream_app.demo.views import LineView
from stream_app.i18n import Translator

NOON = datetime(2025, 6, 10, 12, tzinfo=UTC)
AT = (NOON - EPOCH) // timedelta(microseconds=1)


def opened(number: int) -> AlertOpened:
    return AlertOpened(
        f"al_{number}", f"c{number:08}", NOON, NOON, 1, 0.9, 120.0, 46.0, 20.0 if number % 2 else None, "model", 3
    )


def board() -> DemoState:
    found = DemoState(7 * DAY_US)
    found.apply_scores(
        ScoreRecords(0, NOON - timedelta(days=20), 1, [ScoreRecord("gone", 0.99), ScoreRecord("back", 0.9)])
    )
    found.apply_scores(ScoreRecords(1, NOON, 1, [ScoreRecord("back", 0.1), ScoreRecord("near", 0.85)]))
    return found


def test_who_is_not_scored_any_more_is_not_active() -> None:
    assert board().active_customers() == ["back", "near"]
    assert board().active() == [0.1, 0.85]


def test_an_alert_is_listed_once_and_shows_how_it_ended() -> None:
    shown = board()
    assert shown.apply_alert(opened(1)) is not None
    assert shown.apply_alert(opened(1)) is None
    ended = shown.apply_alert(AlertClosed("al_1", "c00000001", NOON, "returned"))
    assert ended is not None
    assert ended.state == "returned"
    assert dict(shown.counts) == {"open": 1, "returned": 1}
    assert shown.apply_alert(AlertClosed("al_other", "c2", NOON, "returned")) is None


def test_the_outcomes_add_up_to_the_alerts_that_were_opened() -> None:
    shown = board()
    told = [shown.apply_alert(opened(number)) for number in range(7)]
    for number, reason in enumerate(("returned", "fell", "met", "resolved", "expired", "lost")):
        shown.apply_alert(AlertClosed(f"al_{number}", "c", NOON, reason))
    assert shown.outcomes == dict.fromkeys(("open", "returned", "fell", "met", "resolved", "expired", "lost"), 1)
    assert sum(shown.outcomes.values()) == shown.counts["open"] == 7
    assert {one.state for one in told if one} == {"open"}  # what was returned does not change afterwards


def test_urgent_alerts_are_not_counted_as_daily_ones() -> None:
    shown = board()
    for number in range(3):
        shown.apply_alert(msgspec.structs.replace(opened(number), urgent=number > 0))
    assert (shown.counts["open"], shown.daily) == (3, 1)


def test_lines_show_the_alerts_of_the_history() -> None:
    out, plan = io.StringIO(), Plan(3_000, 110, 60, 1.25)
    view = LineView(Console(file=out, width=40), Translator("en", "demo"), plan)
    shop: Any = SimpleNamespace(phase=Phase.HISTORY, now=AT, began=AT - DAY_US, history_share=0.5, sent=10)
    view.update(board(), shop, [ListedAlert(opened(1))], 42.0)
    lines = out.getvalue().splitlines()  # not wrapped, however narrow the console is
    assert lines[1] == "  alert   c••0001 · risk 90% · no order for 46 d = 2.3 × usual · ¥120 per month"


def test_rate_and_freshness_are_those_of_the_last_seconds() -> None:
    shown = board()
    for second in range(10):
        shown.record_sent(float(second), 100 * second * second)
        name = "churn_score_freshness_seconds"
        shown.record_services(
            second, {"worker": ServiceStatus(True, {f"{name}_sum": 0.02 * second, f"{name}_count": second})}
        )
    assert shown.rate == pytest.approx(100 * (81 - 36) / 3)
    assert shown.freshness_ms == pytest.approx(20.0)


def test_a_service_that_misses_a_poll_keeps_its_figures() -> None:
    shown = board()
    shown.record_services(1.0, {"worker": ServiceStatus(True, {"churn_model_version": 7.0})})
    shown.record_services(2.0, {"worker": ServiceStatus()})
    assert not shown.services["worker"].ready
    assert shown.figure("worker", "churn_model_version") == 7.0


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize("phase", list(Phase))
def test_the_screen_fits(lang: str, width: int, height: int, phase: Phase) -> None:
    shown = board()
    for number in range(30):
        shown.apply_alert(opened(number))
    shown.apply_alert(AlertClosed("al_29", "c00000029", NOON, "returned"))
    shown.record_sent(0.0, 0)
    figures = {"churn_events_scored_total": 123_456.0, "churn_model_version": 123.0, "churn_states_cached": 20_000.0}
    labels = {"churn_trainer_examples_total": 12_345.0}
    shown.record_services(
        1.0,
        {"worker": ServiceStatus(True, figures), "trainer": ServiceStatus(True, labels), "allocator": ServiceStatus()},
    )
    shop: Any = SimpleNamespace(phase=phase, now=AT, began=AT - DAY_US, history_share=0.5)
    out = io.StringIO()
    console = Console(width=width, height=height, file=out, force_terminal=True, color_system=None)
    console.print(
        TerminalLayout(Translator(lang, "demo"), Plan(3_000, 110, 60, 1.25)).draw(shown, shop, 42.0, width, height)
    )
    lines = out.getvalue().splitlines()
    assert len(lines) < height
    assert "…" not in "".join(lines[4:])  # nothing is cut off
    assert "c••0029" in out.getvalue()
    assert Translator(lang, "demo").text("state.returned") in out.getvalue()
