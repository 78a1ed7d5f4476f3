"""The demo without a server: risk and alerts on the screen, and nothing left behind."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STREAM_APP = str(Path(sys.executable).parent / "stream-app")
# Small, so that it ends soon; a few days are enough for alerts.
SMALL = ("--customers", "400", "--history", "70", "--day-seconds", "0.6")
REST_DAYS = 20  # fewer than the cooldown of 30 days after a case
pytestmark = pytest.mark.acceptance


def in_session(session: int) -> list[str]:
    """Return the command lines of the processes of a session; the demo starts its processes in its own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def nobody_left(session: int, within_seconds: float) -> list[str]:
    until = time.monotonic() + within_seconds
    while (left := in_session(session)) and time.monotonic() < until:
        time.sleep(0.1)
    return left


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    """Start the demo in a new session, in English, with its lines on standard error."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see what is left running")
    folder = tempfile.mkdtemp(prefix="demo-")  # pytest's folders are too long for the path of a socket
    environ = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TMPDIR": folder, "STREAM_APP_KAFKA__PARTITIONS": "7"}
    process = subprocess.Popen(
        [STREAM_APP, "demo", "--lang", "en", "--port", "0", "--seconds", "24", *SMALL],
        stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environ, start_new_session=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.terminate()
        process.communicate(timeout=20)
    shutil.rmtree(folder)


def page_of(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the demo's output up to the address of its page, and this address."""
    assert demo.stderr is not None
    said = ""
    while (found := re.search(r"http://127\.0\.0\.1:\d+/", said)) is None:
        said += demo.stderr.readline()
        assert demo.poll() is None, said
    return said, found[0]


def state_of(address: str) -> dict[str, Any]:
    """Return the state that the page shows."""
    with urllib.request.urlopen(f"{address}state", timeout=20) as answer:  # noqa: S310 - our own page
        found: dict[str, Any] = json.load(answer)
    return found


def days_between_calls(said: str) -> float:
    """Return the shortest time between two alerts for the same customer, in days of the output."""
    day, shortest = 0, math.inf
    called: dict[str, int] = {}
    for line in said.splitlines():
        if re.match(r"\d+ \w+ \d{4}: .* active customers", line):
            day += 1
        elif found := re.match(r"  alert   (c••\d{4}) ", line):
            shortest = min(shortest, day - called.get(found[1], -math.inf))
            called[found[1]] = day
    return shortest


def test_it_shows_risk_and_alerts_and_leaves_nothing_behind(demo: subprocess.Popen[str]) -> None:
    said, address = page_of(demo)
    until = time.monotonic() + 120
    delivered: list[dict[str, Any]] = []
    while not delivered:  # an alert of the day that the notifier has delivered to the page, signed
        assert time.monotonic() < until
        time.sleep(0.5)
        state = state_of(address)
        delivered = [one for one in state["alerts"] if one["rank"] and one["alert_id"] in state["delivered"]]
    assert all(delivered[0][what] for what in ("causes", "evidence", "steps"))
    said += demo.communicate(timeout=150)[1]
    assert demo.returncode == 0, said
    assert nobody_left(demo.pid, 2) == []
    days = re.findall(r": (\d+) active customers, (\d+) at very high risk; model (\d+), ([\d,]+) labels", said)
    assert len(days) > 3, said
    assert all(int(active) > 50 for active, *_ in days)
    assert int(days[-1][2]) > 0
    assert int(days[-1][3].replace(",", "")) > 0
    assert days_between_calls(said) > REST_DAYS  # nobody is called again within the cooldown
    alerts = re.findall(r"  alert   c••\d{4} · risk (\d+)% · no order for \d+ d\S* .* · ¥[\d,]+ per month", said)
    assert len(alerts) >= 5, said
    assert all(25 <= int(risk) <= 100 for risk in alerts)  # calls are planned: a risk is not above a bar
    alerts += re.findall(r"  urgent  c••\d{4} · a complaint is past its service target", said)
    told = re.search(
        r"(\d+) alerts: (\d+) ordered again, (\d+) fell in risk, (\d+) solved, (\d+) closed by the staff, "
        r"(\d+) expired, (\d+) lost, (\d+) still open",
        said.replace("\n", " ").replace("  ", " "),
    )
    assert told is not None, said
    all_alerts, *outcomes = map(int, told.groups())
    assert sum(outcomes) == all_alerts >= len(alerts)


def test_a_kill_ends_all_processes(demo: subprocess.Popen[str]) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends the children of a process that is killed")
    until = time.monotonic() + 60
    while len(in_session(demo.pid)) < 6 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(in_session(demo.pid)) == 6  # itself, Redis, worker, trainer, allocator, notifier
    demo.send_signal(signal.SIGKILL)
    demo.communicate(timeout=10)
    assert nobody_left(demo.pid, 5) == []


def test_ctrl_c_ends_it_in_order(demo: subprocess.Popen[str]) -> None:
    assert demo.stderr is not None
    while "opens" not in demo.stderr.readline():
        assert demo.poll() is None
    demo.send_signal(signal.SIGINT)
    said = demo.communicate(timeout=30)[1]
    assert demo.returncode == 0, said
    assert "Traceback" not in said
    assert nobody_left(demo.pid, 2) == []
