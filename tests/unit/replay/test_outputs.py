"""What a replay writes if calls are planned, and that it does not depend on the partitions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from stream_app.core.policy.policy import Capacity, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.core.uplift import holdout
from stream_app.core.uplift.holdout import HELD_OUT, TREATED, Holdout, draw
from stream_app.replay.outputs import (
    PLANNED_COLUMNS,
    PREDICTION_COLUMNS,
    alert_lines,
    alert_records,
    draw_records,
    write_predictions,
)
from stream_app.replay.runner import Outcome, Replay
from stream_app.replay.uplift import subjects
from stream_app.simulate import ShopSettings, simulate
from tests.harness.shops import PLANNED, SHOP
from tests.unit.core.partition.test_task import as_read, busy_log

QUOTAS = Policy(capacity=Capacity(one_time=1))


def replayed(settings: Settings, partitions: int = 1) -> Outcome:
    return Replay(settings, partitions).run([as_read(busy_log(1))])


@pytest.mark.parametrize("rank_by", ["worth", "reach"])
def test_planned_calls_do_not_depend_on_the_partitions(rank_by: str, tmp_path: Path) -> None:
    settings, written = msgspec.structs.replace(SHOP, rank_by=rank_by), []
    for partitions in (1, 2, 4):
        outcome, path = replayed(settings, partitions), tmp_path / f"{partitions}.csv"
        write_predictions(outcome.columns.decisions(), path)
        written.append((path.read_text(), alert_lines(outcome.opened, outcome.closed)))
    assert written[0] == written[1] == written[2]
    opened = [line for line in written[0][1] if line["kind"] == "opened"]
    assert len(opened) > 5
    assert all(line["at"] <= line["act_by"] and 0.0 <= line["lost_probability"] <= 1.0 for line in opened)
    assert all(line["causes"] for line in opened)


@pytest.mark.parametrize(("settings", "columns"), [(SHOP, ()), (PLANNED, PLANNED_COLUMNS)], ids=["risk", "worth"])
def test_the_predictions_for_planned_calls_are_written_only_if_calls_are_planned(
    settings: Settings, columns: tuple[str, ...], tmp_path: Path
) -> None:
    outcome = replayed(settings)
    decisions = outcome.columns.decisions()
    for name in ("predictions.csv", "predictions.parquet"):
        write_predictions(decisions, tmp_path / name)
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    table = pq.read_table(tmp_path / "predictions.parquet")
    assert tuple(header) == tuple(table.column_names) == PREDICTION_COLUMNS + columns
    assert len(rows) == table.num_rows > 0
    for name in columns:
        found = [float(row[header.index(name)]) for row in rows]
        assert found == pytest.approx(table[name].to_pylist(), abs=1e-6 if name == "lost_probability" else 0.005)
        assert all(one >= 0.0 for one in found)
    lines = alert_lines(outcome.opened, outcome.closed)
    assert any(line["kind"] == "opened" for line in lines)
    for name in ("act_by", "expected_value", "next_order_from", "next_order_to"):
        assert all((name in line) == bool(columns) for line in lines if line["kind"] == "opened")


@pytest.mark.parametrize("policy", [Policy(), QUOTAS], ids=["default", "quotas"])
def test_a_holdout_does_not_depend_on_the_partitions(policy: Policy) -> None:
    settings = msgspec.structs.replace(PLANNED, holdout=Holdout(0.4, "spring")).with_policy(policy)
    lines = []
    for partitions in (1, 2, 4):
        outcome = replayed(settings, partitions)
        lines.append(alert_lines(outcome.opened, outcome.closed))
        kept = alert_records(outcome.opened, outcome.closed)
        assert {one.alert_id for one in kept} == {line["alert_id"] for line in lines[-1] if not is_held_out(line)}
    assert lines[0] == lines[1] == lines[2]
    drawn = [line for line in lines[0] if line["kind"] != "closed"]
    arms = [{line["customer_id"] for line in drawn if line["kind"] == kind} for kind in ("opened", "held_out")]
    assert min(map(len, arms)) > 2
    assert not arms[0] & arms[1]
    assert all(line["experiment"] == "spring" for line in drawn)
    assert any(line.get("held_out") for line in lines[0] if line["kind"] == "closed")


def test_the_draws_of_a_replay_are_the_first_ones_with_the_share_of_their_time() -> None:
    falling = Holdout(0.6, "spring", planned=6, later_share=0.1)
    outcome = replayed(msgspec.structs.replace(PLANNED, holdout=falling))
    draws = draw_records(outcome.opened, "spring")
    assert len(draws) == len({one.customer_id for one in draws}) < len(outcome.opened)
    assert [one.at for one in draws] == sorted(one.at for one in draws)
    assert {one.share for one in draws} == {0.6, 0.1}
    assert all(one.is_held_out == (draw(one.customer_id, "spring") < one.share) for one in draws)
    assert {alert.customer for alert in outcome.opened if alert.is_held_out} == {
        one.customer_id for one in draws if one.is_held_out
    }
    assert draw_records(outcome.opened, "autumn") == []


def is_held_out(line: dict[str, Any]) -> bool:
    return line["kind"] == "held_out" or "held_out" in line


def test_exchanged_arms_draw_the_same_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the arms would differ in more than the calls."""
    settings = Settings(
        horizon=30 * DAY_US, lost_after=90 * DAY_US, rank_by="worth", capacity=4, holdout=Holdout(0.5, "spring")
    )
    batches = list(simulate(ShopSettings(customers=150, days=150), 5))
    found = []
    for exchanged in (False, True):
        if exchanged:
            monkeypatch.setattr(holdout, "draw", lambda *key: 1.0 - 2.0**-53 - draw(*key))
        drawn = subjects(Replay(settings).run(batches), settings)
        found.append({one.customer: (one.arm, one.drawn_at) for one in drawn})
    before, after = found
    assert len(before) > 60
    assert len(before.keys() ^ after.keys()) <= 0.02 * len(before)
    both = before.keys() & after.keys()
    assert all({before[name][0], after[name][0]} == {TREATED, HELD_OUT} for name in both)
    assert sum(before[name][1] == after[name][1] for name in both) >= 0.9 * len(both)
