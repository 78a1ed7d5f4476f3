"""What the demo says at its end."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from stream_app.demo.simulation import Plan
from stream_app.demo.state import ServiceStatus
from stream_app.demo.summary import print_summary
from stream_app.i18n import Translator
from tests.unit.demo.test_demo import board, opened


def summary(trainer: dict[str, float], lang: str = "en") -> str:
    state = board()
    state.apply_alert(opened(1))
    state.record_services(1.0, {"trainer": ServiceStatus(True, trainer)})
    out, shop = io.StringIO(), SimpleNamespace(sent=1_000)
    ending: Any = shop
    console = Console(file=out, width=400)
    print_summary(state, ending, Plan(3_000, 110, 60, 1.25), 60.0, Translator(lang, "demo"), console)
    return out.getvalue()


def test_the_quality_is_that_of_the_running_model() -> None:
    trainer = {"churn_quality_auc_ratio": 0.7295}
    text = summary(trainer)
    assert "the model gave the second the higher risk in 73% of all pairs of the last 28 days (ROC-AUC 0.73;" in text
    assert "ROC-AUC 0.73" in summary(trainer, "zh")


@pytest.mark.parametrize("trainer", [{}, {"churn_quality_auc_ratio": float("nan")}])
def test_an_unknown_quality_is_left_out(trainer: dict[str, float]) -> None:
    assert "AUC" not in summary(trainer)


@pytest.mark.parametrize(
    ("lang", "report", "replay"),
    [("en", "report ", "LOG --out"), ("zh", "report REPORT_LANG=zh", "LOG --lang zh --out")],
)
def test_the_next_commands_are_in_the_language_of_the_demo(lang: str, report: str, replay: str) -> None:
    text = summary({}, lang)
    assert f"make {report}" in text
    assert f"replay {replay} results" in text
