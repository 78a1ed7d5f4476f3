"""The alert commands on a real Kafka and Redis: acknowledge, refuse to others, snooze, resolve."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from stream_app.core.events.enumerations import ComplaintAction
from stream_app.core.events.schema import encode
from stream_app.core.messages.alerts import AlertClosed
from stream_app.core.messages.schema import AlertAction, AlertOpening, AlertStep, CandidateRecord, encode_message
from tests.harness.processes import LiveSystem
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.processes.outcome import records_of
from tests.harness.shops import complaint
from tests.integration.test_worker import SECONDS, Make, make, orders_at, produce

__all__ = ["make"]  # the fixture that makes systems
NAMES = [f"c{number:04d}" for number in range(4)]


def opening(customer: str, at: datetime) -> bytes:
    """What the allocator writes."""
    micros = round(at.timestamp() * 1_000_000)
    candidate = CandidateRecord(customer, 0.9, 0.9, 10.0, 3.0, None, 0, 0)
    told = AlertOpening(f"al_{customer}", micros, micros + 14 * 86_400_000_000, 1, 0.9, candidate)
    step = AlertStep(f"al_{customer}", customer, at, AlertAction.OPENED, opening=told)
    return encode_message(step)


def command(live: LiveSystem, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(
        [str(STREAM_APP), "alerts", *arguments],
        env={**live.environ, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def listed(live: LiveSystem) -> dict[str, dict[str, Any]]:
    """The open alerts."""
    said = command(live, "list", "--json")
    assert said.returncode == 0, said.stderr
    found = [json.loads(line) for line in said.stdout.splitlines()]
    return {one["alert_id"]: one for one in found}


def complaints_at(now: datetime) -> list[tuple[bytes, bytes, list[Any]]]:
    """Send two complaints without an answer for 25 hours; answered ones show that the shop sends answers."""
    hour = 3_600_000_000
    at = round(now.timestamp() * 1_000_000)
    answered = ComplaintAction.ANSWERED
    steps = []
    for name in ("u1", "u2"):
        steps += [complaint(name, at - 100 * hour), complaint(name, at - 99 * hour, action=answered)]
        steps += [complaint(name, at - 25 * hour, complaint_id=name)]
    return [(one.customer_id.encode(), encode(one), []) for one in steps]


@pytest.mark.slow
def test_an_urgent_alert_is_handled_by_the_same_commands(make: Make) -> None:
    live = make({"ticks.clock": "wall"})
    now = datetime.now(UTC)
    produce(live, "complaints", complaints_at(now))  # before the first tick: they are not late then
    worker = live.start("worker")
    live.wait("the cases are open", lambda: len(listed(live)) == 2, SECONDS)
    assert all(one["urgent"] and "rank" in one for one in listed(live).values())
    by_customer = {one["customer_id"]: one["alert_id"] for one in listed(live).values()}
    first, second = by_customer["u1"], by_customer["u2"]
    table = command(live, "list", "--lang", "en").stdout
    assert {first, second} <= set(table.splitlines())  # a pipe is 80 columns wide: ids are not cut
    assert " ".join(table.split()).count("a complaint was not answered within 24 hours") == 2
    # 1. Acknowledge, refuse to a colleague, snooze.
    taken = command(live, "ack", first[:12], "--staff", "li")
    assert (taken.returncode, taken.stdout) == (0, f"{first} is now assigned to li.\n"), taken.stderr
    refused = command(live, "snooze", first, "--staff", "wang", "--until", "2d")
    assert (refused.returncode, "belongs to li" in refused.stderr) == (1, True)
    assert command(live, "snooze", first, "--staff", "li", "--until", "2d").returncode == 0
    assert "Snoozed alerts not shown: 1" in command(live, "list", "--lang", "en").stdout
    # 2. Resolved, after a kill of the worker; then the complaint is answered, which says nothing more.
    worker.kill()
    worker.restart()
    assert command(live, "resolve", first, "--staff", "wang", "--outcome", "retained").returncode == 1
    done = command(live, "resolve", first, "--staff", "li", "--outcome", "retained", "--cause", "service")
    assert (done.returncode, done.stdout) == (0, f"{first} is closed: retained.\n"), done.stderr
    answers = [
        complaint(name, round(datetime.now(UTC).timestamp() * 1e6), action=ComplaintAction.ANSWERED, complaint_id=name)
        for name in ("u1", "u2")
    ]
    produce(live, "complaints", [(one.customer_id.encode(), encode(one), []) for one in answers])
    live.wait("nothing is open", lambda: not listed(live), SECONDS)
    # 3. The alerts topic and the metrics have it.
    records = [value for alerts in records_of(live, "alerts").values() for _, value in alerts]
    told = {msgspec.json.decode(value, type=AlertClosed) for value in records if b'"type":"closed"' in value}
    ours = [one for one in told if one.alert_id in {first, second}]  # the older complaints may end again
    assert {(one.alert_id, one.reason, one.outcome, one.cause, one.staff) for one in ours} == {
        (first, "resolved", "retained", "service", "li"),
        (second, "met", "", "", ""),
    }


@pytest.mark.slow
def test_an_alert_is_acknowledged_refused_to_others_snoozed_and_resolved(make: Make) -> None:
    live = make({"ticks.clock": "wall"})
    now = datetime.now(UTC)
    worker = live.start("worker")
    produce(live, "orders", orders_at(now - timedelta(hours=2), len(NAMES)))
    produce(live, "control", [(name.encode(), opening(name, now - timedelta(hours=1)), []) for name in NAMES])
    live.wait("the alerts are open", lambda: len(listed(live)) == len(NAMES), SECONDS)
    # 1. Taken on, and refused to a colleague.
    taken = command(live, "ack", "al_c0000", "--staff", "li")
    assert (taken.returncode, taken.stdout) == (0, "al_c0000 is now assigned to li.\n")
    refused = command(live, "ack", "al_c0000", "--staff", "wang")
    assert refused.returncode == 1
    assert "belongs to li" in refused.stderr
    over = command(live, "ack", "al_c0000", "--staff", "wang", "--take-over")
    assert (over.returncode, listed(live)["al_c0000"]["owner"]) == (0, "wang")
    # 2. Snooze.
    assert command(live, "snooze", "al_c0001", "--staff", "li", "--until", "2d").returncode == 0
    assert "snoozed_until" in listed(live)["al_c0001"]
    table = command(live, "list").stdout
    assert "Snoozed alerts not shown: 1" in table
    # 3. Resolved; after a crash of the worker the owner is still known.
    worker.kill()
    worker.restart()
    resolve = ["--outcome", "retained", "--cause", "price"]
    refused = command(live, "resolve", "al_c0000", "--staff", "li", *resolve)
    assert refused.returncode == 1
    done = command(live, "resolve", "al_c0000", "--staff", "wang", *resolve)
    assert (done.returncode, done.stdout) == (0, "al_c0000 is closed: retained.\n"), done.stderr
    assert set(listed(live)) == {"al_c0001", "al_c0002", "al_c0003"}
    gone = command(live, "ack", "al_c0000", "--staff", "wang")
    assert gone.returncode == 1
    assert "No open alert has the id al_c0000" in gone.stderr
    odd = command(live, "resolve", "al_c0001", "--staff", "li", "--outcome", "great")
    assert (odd.returncode, "Use retained, lost, unreachable or no_action" in odd.stderr) == (2, True)
    # 4. Told to all who read alerts.
    records = {value for alerts in records_of(live, "alerts").values() for _, value in alerts}
    (closed,) = [msgspec.json.decode(value, type=AlertClosed) for value in records]
    told = (closed.alert_id, closed.reason, closed.outcome, closed.cause, closed.staff)
    assert told == ("al_c0000", "resolved", "retained", "price", "wang")
