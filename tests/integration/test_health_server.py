"""The health server on a real socket, beside an event loop that runs or is blocked."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from stream_app.adapters.http import health as module
from stream_app.adapters.http.health import Health, HealthServer
from stream_app.errors import CannotListen
from stream_app.metrics.base import new_registry
from stream_app.metrics.worker import WorkerMetrics


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(["kafka", "redis"], beat_within=30, clock=clock)


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    metrics = WorkerMetrics(new_registry())
    metrics.events.labels("orders").inc(7)
    server = HealthServer(health, metrics.registry)
    server.start()
    yield server
    server.stop()


def ask(server: HealthServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers["Content-Type"] or ""
    finally:
        connection.close()


def test_it_is_live_while_the_loop_runs(server: HealthServer, health: Health, clock: Clock) -> None:
    assert ask(server, "/livez")[0] == 200
    clock.now += 31
    status, body, _ = ask(server, "/livez")
    assert (status, json.loads(body)) == (503, {"alive": False, "silent_seconds": 31.0})
    health.beat()
    assert ask(server, "/livez")[0] == 200


def test_it_is_ready_when_all_checks_succeed(server: HealthServer, health: Health, clock: Clock) -> None:
    health.set("kafka", ok=True)
    status, body, content_type = ask(server, "/readyz")
    assert (status, content_type) == (503, "application/json")
    assert json.loads(body) == {
        "ready": False,
        "alive": True,
        "checks": {"kafka": {"ok": True, "reason": ""}, "redis": {"ok": False, "reason": "not checked yet"}},
    }
    health.set("redis", ok=True)
    assert ask(server, "/readyz")[0] == 200
    health.set("redis", ok=False, reason="connection refused")
    assert "connection refused" in ask(server, "/readyz")[1]
    health.set("redis", ok=True)
    clock.now += 31  # not live, so not ready
    assert ask(server, "/readyz")[0] == 503


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_metrics_are_served_in_the_requested_format(server: HealthServer, accept: str, content_type: str) -> None:
    status, body, told = ask(server, "/metrics", Accept=accept)
    assert status == 200
    assert told.startswith(content_type)
    assert 'churn_events_total{topic="orders"} 7.0' in body


@pytest.mark.parametrize("path", ["/", "/table", "/metrics/", "/../etc/passwd", "/livez/x"])
def test_there_are_no_other_paths(server: HealthServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_only_get_requests_are_allowed(server: HealthServer) -> None:
    assert ask(server, "/livez", "POST")[0] == 501
    assert ask(server, "/livez", "HEAD")[:2] == (200, "")
    assert ask(server, "/livez?verbose=1")[0] == 200


def test_it_answers_while_the_event_loop_is_blocked(health: Health) -> None:
    async def scrape() -> tuple[int, bytes]:
        server = HealthServer(health, new_registry())
        server.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            answer = client.recv(12)  # blocks this loop until the response arrives
        server.stop()
        return len(asyncio.all_tasks()), answer

    assert asyncio.run(scrape()) == (1, b"HTTP/1.0 200")


def test_idle_clients_occupy_a_limited_number_of_slots(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Handler, "timeout", 0.5)
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(module.MAX_REQUESTS + 2)]
    try:
        silent[-1].settimeout(5)
        assert silent[-1].recv(1) == b""  # closed at once
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:  # the slots are free again after the timeout
            try:
                assert ask(server, "/livez")[0] == 200
                break
            except (ConnectionError, http.client.HTTPException):
                time.sleep(0.05)
        else:
            pytest.fail("no slot came back")
    finally:
        for client in silent:
            client.close()


def test_a_port_in_use_is_reported_with_a_remedy(server: HealthServer, health: Health) -> None:
    with pytest.raises(CannotListen, match=f"port {server.port}: Address already in use.*free port"):
        HealthServer(health, new_registry(), port=server.port)


@pytest.mark.parametrize(("host", "port"), [("203.0.113.1", 0), ("127.0.0.1", 70_000), ("no.such.host.invalid", 0)])
def test_a_foreign_address_is_reported(health: Health, host: str, port: int) -> None:
    with pytest.raises(CannotListen):
        HealthServer(health, new_registry(), host, port)


def test_the_port_is_released(health: Health) -> None:
    first = HealthServer(health, new_registry())
    first.start()
    first.stop()
    HealthServer(health, new_registry(), port=first.port).stop()
