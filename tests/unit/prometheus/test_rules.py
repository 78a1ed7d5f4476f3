"""Rules, configuration and route: valid, tested by promtool, told in both languages, each alert in the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from stream_app.config import PORT_OFFSETS
from stream_app.metrics.index import SERVICES
from tests.conftest import PROJECT, missing
from tests.unit.grafana.test_dashboards import GIVEN, metrics_in, told

FOLDER: Final = PROJECT / "prometheus"
RULES: Final = sorted((FOLDER / "rules").glob("*.yml"))
ALL: Final[list[dict[str, Any]]] = [
    rule
    for path in RULES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS: Final = {rule["alert"]: rule for rule in ALL if "alert" in rule}
RECORDED: Final = {rule["record"] for rule in ALL if "record" in rule}
FIRST_PORT: Final = 9464  # of the compose stack
TESTS: Final = FOLDER / "tests" / "alerts.yml"

each_alert = pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)


def run(program: str, package: str, *arguments: str) -> str:
    """What a program says; skips, or fails in CI, where it is not there."""
    if shutil.which(program) is None:
        missing(f"{program} (Debian: {package})")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_accepts_the_configuration_and_every_rule() -> None:
    said = run("promtool", "prometheus", "check", "config", "prometheus.yml")
    assert [path.name for path in RULES if f"Checking rules/{path.name}" not in said] == []
    assert "FAILED" not in said


@pytest.mark.parametrize(("minutes", "every"), [(True, "1m"), (False, "4m")], ids=["over minutes", "over days"])
def test_the_rules_do_as_their_tests_say(minutes: bool, every: str, tmp_path: Path) -> None:
    """Rules over series of days are evaluated less often than their file says, which takes a quarter of the time."""
    given = yaml.safe_load(TESTS.read_text(encoding="utf-8"))
    given["rule_files"] = [str((TESTS.parent / path).resolve()) for path in given["rule_files"]]
    given["evaluation_interval"] = every
    given["tests"] = [one for one in given["tests"] if (one["interval"] == "1m") is minutes]
    assert given["tests"]
    file = tmp_path / TESTS.name
    file.write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")
    assert "SUCCESS" in run("promtool", "prometheus", "test", "rules", str(file))


def test_every_alert_is_tested_quiet_and_firing() -> None:
    cases = [
        case
        for one in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
        for case in one.get("alert_rule_test", [])
    ]
    firing = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert firing == quiet == ALERTS.keys()


@each_alert
def test_an_alert_tells_what_it_is_in_both_languages(alert: dict[str, Any]) -> None:
    told_words = alert["annotations"]
    assert told_words.keys() == {"summary", "summary_zh", "description", "description_zh", "runbook_url"}
    assert alert["labels"] in [{"severity": one} for one in ("critical", "warning", "info")]
    for key in ("summary", "description"):
        assert re.search(r"[\u4e00-\u9fff]", told_words[f"{key}_zh"])
        assert not re.search(r"[\u4e00-\u9fff]", told_words[key])
        variables = [sorted(re.findall(r"\{\{.*?\}\}", told_words[one])) for one in (key, f"{key}_zh")]
        assert variables[0] == variables[1]


@each_alert
@pytest.mark.parametrize("page", ["runbook.md", "runbook.zh.md"])
def test_the_runbook_has_a_section_for_every_alert(alert: dict[str, Any], page: str) -> None:
    path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert path == "docs/runbook.md"
    assert anchor == alert["alert"].lower()
    section = sections(PROJECT / "docs" / page)[alert["alert"]]
    assert len(re.findall(r"^\*\*\S.*?\*\*", section, re.MULTILINE)) == 3  # means, look at, do


@pytest.mark.parametrize("page", ["runbook.md", "runbook.zh.md"])
def test_the_runbook_has_no_section_for_an_alert_that_is_gone(page: str) -> None:
    path = PROJECT / "docs" / page
    assert list(sections(path)) == list(ALERTS)
    anchors = re.findall(r"\]\(#([\w-]+)\)", path.read_text(encoding="utf-8"))
    assert set(anchors) == {name.lower() for name in ALERTS}


def sections(page: Path) -> dict[str, str]:
    """The text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.get("alert") or rule["record"])
def test_only_what_is_told_or_recorded_is_asked_for(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) - told() - RECORDED - GIVEN == set()


def test_every_service_is_scraped_where_it_listens() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {one["job_name"]: one["static_configs"][0]["targets"] for one in config["scrape_configs"]}
    assert jobs.keys() == {*SERVICES, "prometheus"}
    for name in SERVICES:
        assert {target.rpartition(":")[2] for target in jobs[name]} == {str(FIRST_PORT + PORT_OFFSETS[name])}


@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "engineers"), ("warning", "engineers"), ("info", "nobody")]
)
def test_an_alert_goes_where_its_severity_says(severity: str, receiver: str) -> None:
    run("amtool", "prometheus-alertmanager", "check-config", "alertmanager.yml")
    route = ("config", "routes", "test", "--config.file=alertmanager.yml", f"--verify.receivers={receiver}")
    run("amtool", "prometheus-alertmanager", *route, f"severity={severity}", "alertname=ChurnLagGrowing")
