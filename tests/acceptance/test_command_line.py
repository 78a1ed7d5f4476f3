"""The command line in real processes: output, exit codes and files."""

from __future__ import annotations

import csv
import html
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stream_app.core.events.schema import Order, decode

STREAM_APP = str(Path(sys.executable).parent / "stream-app")
pytestmark = pytest.mark.acceptance


def run(*arguments: object, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with a timeout."""
    return subprocess.run(
        [STREAM_APP, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment,
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the log of a small simulated shop."""
    path = tmp_path_factory.mktemp("shop") / "shop.jsonl"
    done = run("simulate", "--customers", 400, "--days", 270, "--seed", 7, "--out", path)
    assert done.returncode == 0, done.stderr.decode()
    return path


@pytest.fixture(scope="session")
def replayed(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the results of its replay."""
    out = tmp_path_factory.mktemp("replayed")
    done = run("replay", shop, "--horizon", "30d", "--active-window", "90d", "--capacity", 3, "--out", out)
    assert done.returncode == 0, done.stderr.decode()
    return out


def test_replay_writes_all_files_and_prints_the_path_of_the_report(shop: Path, tmp_path: Path) -> None:
    done = run("replay", shop, "--horizon", "30d", "--active-window", "90d", "--out", tmp_path, "--lang", "zh")
    assert done.returncode == 0
    names = {path.name for path in tmp_path.iterdir()}
    files = {"predictions.csv", "alerts.jsonl", "rejected.jsonl", "metrics.json", "report.html", "call-list.xlsx"}
    assert names == files
    assert "report.html" in done.stderr.decode()
    assert 'lang="zh' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_command_in_the_report_reproduces_the_results(shop: Path, tmp_path: Path) -> None:
    settings = tmp_path / "shop.toml"
    settings.write_text("working_days = [1, 2, 3, 4]\nalert_lifetime = 20\n", encoding="utf-8")
    options = ["--horizon", "30d", "--active-window", "90d", "--capacity", 2, "--zone", "Asia/Shanghai", "--lang", "zh"]
    options += ["--rank-by", "worth", "--act-before", "20d", "--lateness", "2d", "--currency", "CNY", "--settings"]
    done = run("replay", shop, *options, settings, "--contact-cost", "2.5", "--out", tmp_path / "first")
    assert done.returncode == 0, done.stderr.decode()
    metrics = json.loads((tmp_path / "first" / "metrics.json").read_text(encoding="utf-8"))
    command = metrics["run"].pop("command")
    assert str(tmp_path) not in command
    assert html.escape(command, quote=False) in (tmp_path / "first" / "report.html").read_text(encoding="utf-8")
    shutil.copy(shop, tmp_path / shop.name)
    again = subprocess.run(
        [STREAM_APP, *shlex.split(command)[1:]], cwd=tmp_path, capture_output=True, check=False, env=os.environ
    )
    assert again.returncode == 0, again.stderr.decode()
    for name in ("predictions.csv", "alerts.jsonl", "rejected.jsonl", "call-list.xlsx"):
        assert (tmp_path / "OUT" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
    second = json.loads((tmp_path / "OUT" / "metrics.json").read_text(encoding="utf-8"))
    assert {k: v for k, v in second.items() if k != "run"} == {k: v for k, v in metrics.items() if k != "run"}
    assert second["run"]["command"] == command


def test_predictions_have_the_promised_columns_and_one_decision_a_period(replayed: Path) -> None:
    found = rows(replayed / "predictions.csv")
    assert list(found[0]) == [
        "customer_id", "decided_at", "probability", "label", "matured_at", "source", "model_version",
        "lost_probability", "expected_value",
    ]  # fmt: skip
    assert len(found) > 2000
    assert {row["source"] for row in found} == {"prior", "model"}
    assert {row["label"] for row in found} == {"", "0", "1"}
    assert all((row["label"] == "") == (row["matured_at"] == "") for row in found)
    assert all(0 < float(row["probability"]) < 1 for row in found)
    assert len({(row["customer_id"], row["decided_at"]) for row in found}) == len(found)


def alerts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]


def test_alerts_are_explained_and_urgent_ones_come_at_any_hour(replayed: Path) -> None:
    opened = [line for line in alerts(replayed) if line["kind"] == "opened"]
    assert all(line["segment"] and line["causes"] and line["evidence"] for line in opened)
    urgent = [line for line in alerts(replayed) if line["kind"] == "urgent"]
    assert {next(iter(line["evidence"])) for line in urgent} == {"unanswered", "low_review"}
    assert {line["rank"] for line in urgent} == {0}
    ids = {line["alert_id"] for line in urgent}
    assert len(ids) == len(urgent)
    met = {line["alert_id"] for line in alerts(replayed) if line.get("reason") == "met"}
    assert met <= ids


def test_alerts_respect_the_capacity_and_are_never_open_twice(replayed: Path) -> None:
    urgent = {line["alert_id"] for line in alerts(replayed) if line["kind"] == "urgent"}
    lines = [line for line in alerts(replayed) if line["alert_id"] not in urgent]
    opened: dict[str, list[int]] = {}
    open_now: set[str] = set()
    for line in lines:
        if line["kind"] == "opened":
            assert line["customer_id"] not in open_now
            open_now.add(line["customer_id"])
            opened.setdefault(line["at"], []).append(line["rank"])
            assert line["expires_at"] > line["at"]
            assert "T09:00:00" in line["at"]
        else:
            open_now.remove(line["customer_id"])
            assert line["reason"] in {"returned", "expired"}
    assert opened
    assert all(ranks == list(range(1, len(ranks) + 1)) and len(ranks) <= 3 for ranks in opened.values())


@pytest.mark.parametrize("rank_by", ["risk", "worth"])
def test_more_partitions_give_the_same_predictions_and_alerts(rank_by: str, shop: Path, tmp_path: Path) -> None:
    """Planned calls rest after an urgent case, and a partition knows only from its own customers who gets answers."""
    settings = tmp_path / "shop.toml"
    settings.write_text("answer_within = 0\nsolve_within = 0\n" if rank_by == "worth" else "", encoding="utf-8")
    arguments = ("--horizon", "30d", "--active-window", "90d", "--capacity", 3, "--rank-by", rank_by)
    for partitions in (1, 4):
        out = tmp_path / str(partitions)
        done = run("replay", shop, *arguments, "--settings", settings, "--partitions", partitions, "--out", out)
        assert done.returncode == 0, done.stderr.decode()
    one, four = tmp_path / "1", tmp_path / "4"
    assert (four / "predictions.csv").read_bytes() == (one / "predictions.csv").read_bytes()
    assert unexplained_alerts(four) == unexplained_alerts(one)


EXPLAINED = ("causes", "evidence", "segment")


def unexplained_alerts(folder: Path) -> list[dict[str, Any]]:
    """Return the alerts without fields that depend on the partition, which has seen only its own part of the shop."""
    told = [line for line in alerts(folder) if not line.get("urgent") and line.get("reason") != "met"]
    return [{name: value for name, value in line.items() if name not in EXPLAINED} for line in told]


def test_standard_input_and_parquet(shop: Path, replayed: Path, tmp_path: Path) -> None:
    arguments = ("--horizon", "30d", "--active-window", "90d", "--capacity", 3, "--predictions", "parquet")
    done = run("replay", "-", *arguments, "--out", tmp_path, stdin=shop.read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    table = pq.read_table(tmp_path / "predictions.parquet")
    assert table.num_rows == len(rows(replayed / "predictions.csv"))
    assert (tmp_path / "alerts.jsonl").read_bytes() == (replayed / "alerts.jsonl").read_bytes()


def test_a_log_of_customers_and_dates_needs_no_mapping_file(shop: Path, tmp_path: Path) -> None:
    log = tmp_path / "orders.csv"
    events = [decode(line) for line in shop.read_bytes().splitlines()]
    paid = [e for e in events if isinstance(e, Order) and e.action == "paid"]
    log.write_text("cust,date\n" + "".join(f"{e.customer_id},{e.occurred_at:%Y-%m-%d}\n" for e in paid))
    pairs = "customer_id=cust,occurred_at=date"
    done = run("replay", log, "--format", "csv", "--columns", pairs, "--kind", "order", "--out", tmp_path / "out",
               "--horizon", "30d", "--active-window", "90d")  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert len(rows(tmp_path / "out" / "predictions.csv")) > 1000


def test_a_wrong_column_fails_at_once_with_the_columns_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("cust,date\na,2024-01-01\n")
    done = run("replay", tmp_path / "log.csv", "--format", "csv", "--columns", "customer_id=customer,occurred_at=date",
               "--kind", "order", "--out", tmp_path / "out")  # fmt: skip
    told = done.stderr.decode()
    assert done.returncode == 2
    assert "`cust`, `date`" in told
    assert "customer" in told
    assert "Traceback" not in told


def test_too_many_rejected_lines_end_with_status_3_after_everything_was_written(shop: Path, tmp_path: Path) -> None:
    lines = shop.read_bytes().splitlines(keepends=True)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b"".join(b'{"type":"order"}\n' if i % 20 == 5 else line for i, line in enumerate(lines)))
    done = run("replay", broken, "--horizon", "30d", "--active-window", "90d", "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr.decode()
    first = json.loads((tmp_path / "out" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (first["line"], first["field"]) == (6, "event_id")
    assert (tmp_path / "out" / "report.html").exists()
    allowed = run("replay", broken, "--horizon", "30d", "--active-window", "90d", "--max-rejected", "6%", "--out",
                  tmp_path / "out")  # fmt: skip
    assert allowed.returncode == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--horizon", "soon"), "60d"),
        (("--horizon", "5d"), "horizon"),
        (("--lang", "fr"), "zh"),
        (("--max-rejected", "200%"), "1%"),
        (("--zone", "Mars/Base"), "Asia/Shanghai"),
        (("--order-action", "dreamt"), "paid"),
    ],
)
def test_an_unusable_option_names_the_remedy(options: tuple[str, str], word: str, shop: Path, tmp_path: Path) -> None:
    done = run("replay", shop, "--out", tmp_path, *options)
    assert done.returncode == 2
    assert word in done.stderr.decode()


def test_a_folder_that_cannot_be_created_is_reported_without_a_traceback(shop: Path) -> None:
    done = run("replay", shop, "--out", shop)
    assert done.returncode == 2
    assert "--out" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_horizon_longer_than_the_log_is_refused_before_the_replay(shop: Path, tmp_path: Path) -> None:
    done = run("replay", shop, "--out", tmp_path, "--horizon", "400d")
    assert done.returncode == 2
    assert "270 days" in done.stderr.decode()


def test_a_log_without_orders_is_refused_with_a_hint(shop: Path, tmp_path: Path) -> None:
    views = tmp_path / "views.jsonl"
    views.write_bytes(b"".join(x for x in shop.read_bytes().splitlines(keepends=True) if b'"browsing"' in x))
    done = run("replay", views, "--out", tmp_path / "out", "--horizon", "30d")
    assert done.returncode == 2
    assert "--kinds" in done.stderr.decode()


def test_settings_file_names_the_unknown_key(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('horizon = "30d"\nhorizn = 3\n')
    done = run("replay", shop, "--out", tmp_path / "out", "--settings", tmp_path / "shop.toml")
    assert done.returncode == 2
    assert "horizn" in done.stderr.decode()


def test_settings_file_excludes_buyers_and_knows_the_calendar(shop: Path, replayed: Path, tmp_path: Path) -> None:
    somebody = rows(replayed / "predictions.csv")[0]["customer_id"]
    (tmp_path / "shop.toml").write_text(
        f'horizon = "30d"\nactive_window = 90\ncapacity = 3\nzone = "Asia/Shanghai"\nexcluded = ["{somebody}"]\n'
        '[[campaigns]]\nname = "618"\nfirst_day = 2025-06-01\nlast_day = 2025-06-18\n'
    )
    done = run("replay", shop, "--out", tmp_path / "out", "--settings", tmp_path / "shop.toml")
    assert done.returncode == 0, done.stderr.decode()
    assert somebody not in {row["customer_id"] for row in rows(tmp_path / "out" / "predictions.csv")}
    lines = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()]
    days = {line["at"] for line in lines if line["kind"] == "opened" and not line.get("urgent")}
    assert all(day.endswith("T01:00:00Z") for day in days)  # 09:00 in Shanghai
    assert not [day for day in days if "2025-05-25" <= day[:10] <= "2025-06-18"]


def test_simulate_writes_to_standard_output_the_same_bytes_as_to_a_file(tmp_path: Path) -> None:
    arguments = ("simulate", "--customers", 30, "--days", 40, "--seed", 3)
    assert run(*arguments, "--out", tmp_path / "log").returncode == 0
    assert run(*arguments, PYTHONHASHSEED="99").stdout == (tmp_path / "log").read_bytes()


def test_schema_is_printed_in_both_forms() -> None:
    assert "$defs" in json.loads(run("schema").stdout)
    assert json.loads(run("schema", "--format", "asyncapi").stdout)["asyncapi"].startswith("3.")


def test_same_seed_gives_the_same_bytes_under_another_hash_seed(shop: Path, replayed: Path, tmp_path: Path) -> None:
    arguments = ("--horizon", "30d", "--active-window", "90d", "--capacity", 3, "--out", tmp_path)
    assert run("replay", shop, *arguments, PYTHONHASHSEED="271828").returncode == 0
    for name in ("predictions.csv", "alerts.jsonl"):
        assert (tmp_path / name).read_bytes() == (replayed / name).read_bytes()
