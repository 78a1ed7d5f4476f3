"""Quality on recorded logs, by the real command and the independent judges that are kept beside the logs."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

STREAM_APP = Path(sys.executable).parent / "stream-app"


@dataclass(frozen=True)
class RecordedLog:
    """A log, its protocol, and the minimum quality of its replay."""

    file: str
    mapping: str
    judged_as: str
    horizon: int  # days
    active: int
    every: int
    min_auc: float
    max_ece: float = 0.03


LOGS = {
    "online-retail": RecordedLog(
        "online_retail_2009_2011.csv.gz", "online-retail", "retail", 60, 180, 7, min_auc=0.750, max_ece=0.02
    ),
    "cdnow": RecordedLog("CDNOW_master.txt.gz", "cdnow", "cdnow", 90, 180, 7, min_auc=0.764, max_ece=0.02),
    "tmall": RecordedLog("tmall_2013_dev.csv.gz", "tmall", "tmall", 14, 60, 2, min_auc=0.662),
}
ReplayIt = Callable[[RecordedLog, Path, Path], Path]


# Calls per working day, of the logs that are long enough for customers to be lost after 180 days.
CAPACITIES = {"online-retail": 4, "cdnow": 30}
PLAN = ("--rank-by", "worth", "--lost-after", "180d", "--act-before", "45d")


def replay(log: RecordedLog, source: Path, out: Path, hash_seed: str = "1", options: tuple[str, ...] = ()) -> Path:
    """Run the command, and return the folder of its results."""
    command = [STREAM_APP, "replay", source, "--format", log.mapping, "--out", out, "--lang", "en"]
    command += ["--horizon", f"{log.horizon}d", "--active-window", f"{log.active}d", "--decide-every", f"{log.every}d"]
    command += options
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Replay each recorded log once for all tests."""
    done: dict[str, Path] = {}

    def of(name: str, data_dir: Path) -> Path:
        if name not in done:
            done[name] = replay(LOGS[name], data_dir / LOGS[name].file, tmp_path_factory.mktemp(name))
        return done[name]

    return of


@pytest.mark.slow
@pytest.mark.acceptance
@pytest.mark.parametrize("name", LOGS)
def test_judge_confirms_quality_and_protocol(name: str, results: Callable[[str, Path], Path], data_dir: Path) -> None:
    log = LOGS[name]
    judge = [sys.executable, str(data_dir.parent / "tools" / "judge.py"), "--peers", "--margin", "0.002"]
    judge += ["--log", str(data_dir / log.file), "--format", log.judged_as]
    judge += ["--predictions", str(results(name, data_dir) / "predictions.csv")]
    judge += ["--horizon", str(log.horizon), "--active", str(log.active), "--every", str(log.every)]
    judge += ["--min-auc", str(log.min_auc), "--max-ece", str(log.max_ece)]
    done = subprocess.run(judge, capture_output=True, text=True, check=False, timeout=2400)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.acceptance
@pytest.mark.parametrize("name", LOGS)
def test_log_cut_at_60_percent_gives_the_same_decisions_up_to_there(
    name: str, results: Callable[[str, Path], Path], data_dir: Path, tmp_path: Path
) -> None:
    log = LOGS[name]
    cut_at = cut(data_dir / log.file, log.mapping, tmp_path / "cut.csv", share=0.6)
    short = probabilities(replay(log, tmp_path / "cut.csv", tmp_path / "out"), cut_at)
    whole = probabilities(results(name, data_dir), cut_at)
    assert len(short) > 1000
    assert short == whole


@pytest.mark.slow
@pytest.mark.acceptance
@pytest.mark.parametrize("name", LOGS)
def test_same_log_and_seed_give_the_same_bytes(
    name: str, results: Callable[[str, Path], Path], data_dir: Path, tmp_path: Path
) -> None:
    again = replay(LOGS[name], data_dir / LOGS[name].file, tmp_path, hash_seed="4711")
    for file in ("predictions.csv", "alerts.jsonl"):
        assert (again / file).read_bytes() == (results(name, data_dir) / file).read_bytes()


@pytest.mark.slow
@pytest.mark.acceptance
@pytest.mark.parametrize("name", CAPACITIES)
def test_planned_calls_reach_more_than_the_best_rule_at_every_capacity(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    log, capacity = LOGS[name], CAPACITIES[name]
    out = replay(log, data_dir / log.file, tmp_path, options=(*PLAN, "--capacity", str(capacity)))
    calls = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["calls"]
    assert len(calls["ladder"]) >= 5
    for row in calls["ladder"]:
        against = row["against_best_rule"]["worth"]
        sys.stdout.write(f"{row['capacity']} calls: {against['ratio']} times, {against['difference']:+}\n")
        assert against["difference"] >= -0.005
    own = next(row for row in calls["ladder"] if row["from_alerts"])
    assert own["against_best_rule"]["worth"]["low"] > 1
    assert own["product"]["worth_share"] == pytest.approx(calls["simulated_at_capacity"]["worth"], abs=0.01)
    judge = [sys.executable, str(data_dir.parent / "tools" / "judge_calls.py"), "--capacity", str(capacity)]
    judge += ["--log", str(data_dir / log.file), "--format", log.judged_as, "--alerts", str(out / "alerts.jsonl")]
    judge += ["--horizon", str(log.horizon), "--lost-after", "180", "--act-before", "45", "--require", "worth:1.04"]
    done = subprocess.run(judge, capture_output=True, text=True, check=False, timeout=1200)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def probabilities(folder: Path, until: str) -> list[tuple[str, str, str]]:
    """Return (customer, decided_at, probability) of the decisions before an instant, in order."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["customer_id"], row["decided_at"], row["probability"]) for row in csv.DictReader(file)]
    return [row for row in rows if row[1] < until]


def cut(source: Path, mapping: str, target: Path, share: float) -> str:
    """Keep the lines up to the midnight at a share of a log's days, and return that midnight."""
    with gzip.open(source, "rt", encoding="utf-8", newline="") as file:
        lines = file.readlines()
    first = [] if mapping == "cdnow" else [lines.pop(0)]
    days = [day_of(line, mapping) for line in lines]
    every_day = sorted(set(days))
    last = every_day[int(len(every_day) * share)]
    kept = [line for line, day in zip(lines, days, strict=True) if day <= last]
    assert 0 < len(kept) < len(lines)
    target.write_text("".join(first + kept), encoding="utf-8")
    return f"{last}T00:00:00Z"


def day_of(line: str, mapping: str) -> str:
    """Return the day of a raw line, as 2011-12-31."""
    if mapping == "cdnow":
        day = line.split()[1]
        return f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return next(csv.reader([line]))[4 if mapping == "online-retail" else 1][:10]
