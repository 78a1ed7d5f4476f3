"""Every service of docker-compose.yml as a process, with the programs of its images."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.harness.compose_file import ComposeFile
from tests.harness.compose_stack import TERMINATED, Stack
from tests.harness.servers import Missing

FILE = ComposeFile()
pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """Provide all services that this machine can start, once they are healthy."""
    found = Stack(FILE, folder)
    try:
        found.up()
    except Missing as absent:
        found.close()
        missing(str(absent))
    except BaseException:
        found.close()
        raise
    yield found
    found.close()


def asked(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def figure(metrics: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE))


@pytest.mark.parametrize("name", FILE.services)
def test_a_service_starts_as_the_file_says_and_its_health_check_is_well(stack: Stack, name: str) -> None:
    if name in stack.unavailable:
        pytest.skip(stack.unavailable[name])
    assert name in stack.healthy_after or FILE.services[name].once


def test_each_service_starts_after_its_dependencies(stack: Stack) -> None:
    started = list(stack.healthy_after)
    for position, name in enumerate(started):
        needed = {one for one, state in FILE.services[name].needs.items() if state == "service_healthy"}
        assert needed <= set(started[:position])


def test_the_shop_runs_and_the_services_learn_from_it(stack: Stack) -> None:
    def learned() -> bool:
        scored = sum(
            figure(asked(stack.address(f"worker-{n}", 9464), "/metrics"), "churn_events_scored_total") for n in (1, 2)
        )
        examples = figure(asked(stack.address("trainer", 9465), "/metrics"), "churn_trainer_examples_total")
        return scored > 1_000 and examples > 100

    stack.wait("events are scored and labels learned", learned, 240.0)


def test_prometheus_scrapes_every_target(stack: Stack) -> None:
    if "prometheus" in stack.unavailable:
        pytest.skip(stack.unavailable["prometheus"])

    def down() -> list[str]:
        told: dict[str, Any] = json.loads(asked(stack.address("prometheus", 9090), "/api/v1/targets?state=active"))
        return [one["scrapePool"] for one in told["data"]["activeTargets"] if one["health"] != "up"]

    absent = {FILE.services[name].command[0] for name in stack.unavailable if FILE.services[name].ours}
    stack.wait("all targets are up", lambda: set(down()) <= absent, 60.0)
    alertmanagers = json.loads(asked(stack.address("prometheus", 9090), "/api/v1/alertmanagers"))
    assert [one["url"] for one in alertmanagers["data"]["activeAlertmanagers"]] == [
        f"http://{stack.address('alertmanager', 9093)}/api/v2/alerts"
    ]


def test_alerts_reach_the_receiver(stack: Stack) -> None:
    if "notifier" in stack.unavailable:
        pytest.skip(stack.unavailable["notifier"])
    stack.wait("an alert came", lambda: " accepted " in stack.log_of("receiver"), 240.0)
    assert "<article>" in asked(stack.address("receiver", 8080), "/?lang=zh")


def test_the_stack_continues_after_a_stop(stack: Stack, folder: Path) -> None:
    """Stop all services in order, and start them again on the same volumes. This test runs last."""
    assert {name: status for name, status in stack.down().items() if status not in TERMINATED} == {}
    again = Stack(FILE, folder)
    try:
        again.up()
        opened = [json.loads(line) for line in again.log_of("shop").splitlines() if '"Shop opened"' in line]
        assert [one["resumes_after"] == 0 for one in opened] == [True, False]
        assert len({one["start"] for one in opened}) == 1
    finally:
        again.close()
