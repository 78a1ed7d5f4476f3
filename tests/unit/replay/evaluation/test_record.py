"""All figures of a replay: equal to those of the independent judge, reproducible, and without customer ids."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from stream_app.replay.evaluation import metrics
from stream_app.replay.evaluation.evaluation import evaluate
from stream_app.replay.results import CHURNED, OPEN, RETAINED, Results
from tests.harness.invented_replay import results, with_probability

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def replayed() -> Results:
    return results(customers=250, days=400, seed=5)


@pytest.fixture(scope="module")
def figures(replayed: Results) -> Any:
    return metrics(replayed)


def stamp(at: int) -> str:
    return (EPOCH + timedelta(microseconds=int(at))).isoformat()


def written(given: Results, folder: Path) -> tuple[Path, Path]:
    """Write orders and predictions as files for the judge; an event at the end of the log keeps its length."""
    d, (customer, at, _) = given.decisions, given.orders
    log, predictions = folder / "log.csv", folder / "predictions.csv"
    lines = [f"{d.customers[c]},{stamp(t)}" for c, t in zip(customer, at, strict=True)]
    log.write_text("\n".join(["cust,date", *lines]), encoding="utf-8")
    labels = {OPEN: "", RETAINED: "0", CHURNED: "1"}
    rows = zip(d.customer, d.decided_at, d.probability.tolist(), d.label.tolist(), strict=True)
    lines = [f"{d.customers[c]},{stamp(t)},{p!r},{labels[y]}" for c, t, p, y in rows]
    predictions.write_text("\n".join(["customer_id,decided_at,probability,label", *lines]), encoding="utf-8")
    return log, predictions


def ended_with_its_last_order(given: Results) -> Results:
    """Return the replay with the log ending at its last event, as the judge assumes, and labels accordingly."""
    end = int(given.orders[1].max())
    d = given.decisions
    keep = np.flatnonzero(d.decided_at <= end)
    columns = {
        name: getattr(d, name)[keep] for name in d.__dataclass_fields__ if isinstance(getattr(d, name), np.ndarray)
    }
    cut = replace(d, **columns, experts={name: p[keep] for name, p in d.experts.items()})
    cut_log = msgspec.structs.replace(given.log, last_at=end, first_at=int(given.orders[1].min()))
    return replace(given, decisions=cut, log=cut_log)


@pytest.mark.parametrize("digits", [6, 1])
def test_the_figures_are_those_of_the_judge(
    judge: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], digits: int
) -> None:
    given = ended_with_its_last_order(results(customers=250, days=400, seed=5))
    given = with_probability(given, given.decisions.probability.round(digits))
    log, predictions = written(given, tmp_path)
    arguments = f"judge --log {log} --format orders --predictions {predictions} --horizon 60 --active 180 --every 7"
    monkeypatch.setattr(sys, "argv", arguments.split())
    judge.main()
    said = capsys.readouterr().out
    mine: Any = metrics(given)
    counted, product = mine["decisions"]["counted"], mine["product"]
    line = (
        "AUC {auc:.4f} · PR {pr_auc:.4f} · lift@10% {lift10:.3f} · Brier {brier:.4f} · "
        "log-loss {log_loss:.4f} · ECE {ece:.4f}"
    )
    assert f"judged {counted} " in said
    assert line.format(**product) in said, said


def test_decisions_without_a_label_get_their_outcome_from_the_orders(replayed: Results) -> None:
    known = evaluate(replayed)
    d = replayed.decisions
    late = replace(replayed, decisions=replace(d, label=np.full_like(d.label, OPEN)))
    assert np.array_equal(evaluate(late).churned, known.churned)
    assert known.churned.any()
    assert not known.churned.all()


def test_decisions_without_a_whole_horizon_do_not_count(replayed: Results, figures: Any) -> None:
    d = replayed.decisions
    horizon = 60 * 86_400_000_000
    assert figures["decisions"]["matured"] == int((d.decided_at + horizon <= replayed.log.last_at).sum())
    early = replace(d, label=np.where(d.label == OPEN, RETAINED, d.label).astype(np.int8))
    assert metrics(replace(replayed, decisions=early))["product"] == figures["product"]


def test_two_runs_give_the_same_text_except_for_the_run(replayed: Results, figures: Any) -> None:
    again = metrics(replace(replayed, seconds=99.0, peak_rss_bytes=1))
    first, second = ({k: v for k, v in m.items() if k != "run"} for m in (figures, again))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert again["run"] != figures["run"]


def test_the_figures_name_no_customer_and_no_folder(replayed: Results) -> None:
    named = replace(replayed, settings=replayed.settings | {"excluded": frozenset({"customer-000001", "staff-7"})})
    text = json.dumps(metrics(named))
    assert "customer-0" not in text
    assert "staff-7" not in text
    assert "exports/" not in text
    assert json.loads(text)["settings"]["excluded"] == 2


def test_an_expert_without_a_probability_is_not_compared(replayed: Results, figures: Any) -> None:
    d = replayed.decisions
    late = np.where(np.arange(len(d.label)) < len(d.label) * 0.8, np.nan, d.probability)
    found: Any = metrics(replace(replayed, decisions=replace(d, experts=d.experts | {"late": late})))
    assert found["experts"]["late"]["auc"] is None
    assert found["experts"]["linear"] == figures["experts"]["linear"]


def test_windows_are_contiguous_and_the_last_cumulative_is_the_whole(figures: Any) -> None:
    windows = figures["windows"]
    days = [(datetime.fromisoformat(w["from"]), datetime.fromisoformat(w["to"])) for w in windows]
    assert all((later[0] - earlier[0]).days == 28 for earlier, later in itertools.pairwise(days))
    assert sum(w["n"] for w in windows) == figures["decisions"]["matured"]
    assert sum(w["n"] for w in windows if not w["warm_up"]) == figures["decisions"]["counted"]
    last = windows[-1]["cumulative"]
    assert last["product"]["auc"] == figures["product"]["auc"]
    assert last["linear"]["log_loss"] == figures["experts"]["linear"]["log_loss"]


def test_a_better_model_has_better_figures(replayed: Results, figures: Any) -> None:
    d = replayed.decisions
    blurred = np.clip(d.probability + np.random.default_rng(2).normal(0, 0.4, len(d.probability)), 0, 1)
    worse: Any = metrics(with_probability(replayed, blurred))["product"]
    best = figures["product"]
    assert worse["auc"] < best["auc"] - 0.05
    assert worse["log_loss"] > best["log_loss"]
    assert worse["ece"] > best["ece"]


def test_a_log_that_is_too_short_for_any_label_still_gives_figures() -> None:
    short: Any = metrics(results(customers=30, days=50, seed=2))
    assert short["decisions"]["counted"] == 0
    assert short["product"]["auc"] is None
    assert short["windows"] == []
    assert not short["readiness"]["ready"]
