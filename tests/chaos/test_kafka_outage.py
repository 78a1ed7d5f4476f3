"""Kafka is killed under running services: they report it, log little, continue when it is back, and stop without it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable

import pytest

from stream_app.config import PORT_OFFSETS
from tests.harness.processes import LiveSystem
from tests.harness.servers import KafkaServer

SERVICES = ("worker", "trainer", "allocator", "notifier")
SETTINGS = {"kafka.partitions": "2", "ticks.clock": "wall", "ticks.every": "1s", "ticks.lease_ttl": "5s"}
PORT = 19_464
START_SECONDS = 90.0
AWAY_SECONDS = 20.0
NOTICED_SECONDS = 12.0  # kafka.session_timeout is 10 s; a check every 2 s, a report twice a second
BACK_SECONDS = 40.0
STOP_SECONDS = 15.0
LINES_A_SECOND = 5.0  # of a service while Kafka is down; aiokafka alone logs a hundred


def told(name: str) -> dict[str, str]:
    """Return the failing checks of a service with their reasons; {"": ...} if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT + PORT_OFFSETS[name], timeout=3)
    try:
        connection.request("GET", "/readyz")
        checks = json.loads(connection.getresponse().read())["checks"]
    except OSError as error:
        return {"": str(error)}
    finally:
        connection.close()
    return {check: one["reason"] for check, one in checks.items() if not one["ok"]}


def lines(live: LiveSystem) -> list[int]:
    return [len(process.log.read_text().splitlines()) for process in live.processes]


@pytest.mark.slow
def test_kafka_is_killed_and_comes_back(tell: Callable[[str], None]) -> None:
    with KafkaServer() as kafka, LiveSystem({**SETTINGS, "health.port": str(PORT)}, kafka.bootstrap) as live:
        live.run("topics", "create")
        services = [live.start(name) for name in SERVICES]
        live.wait("all are ready", lambda: not any(told(name) for name in SERVICES), START_SECONDS)
        live.wait("ticks are worked off", lambda: live.consumed() > 0, START_SECONDS)
        # 1. Kafka is killed: all services report it in time, in few lines.
        before = lines(live)
        kafka.kill()
        noticed = live.wait(
            "all say that Kafka is away",
            lambda: all("Kafka has not answered" in told(name).get("kafka", "") for name in SERVICES),
            NOTICED_SECONDS,
        )
        time.sleep(AWAY_SECONDS - noticed)
        said = [(now - then) / AWAY_SECONDS for now, then in zip(lines(live), before, strict=True)]
        assert max(said) < LINES_A_SECOND
        assert any("repeated" in service.log.read_text() for service in services)
        # 2. Kafka is back: all services continue without a restart.
        consumed = live.consumed()
        kafka.start()
        back = live.wait("all are ready", lambda: not any(told(name) for name in SERVICES), BACK_SECONDS)
        live.wait("new ticks are worked off", lambda: live.consumed() > consumed + 4, BACK_SECONDS)
        assert all(service.running for service in services)
        # 3. Kafka is killed again: the services stop without it.
        kafka.kill()
        stopped = time.monotonic()
        for service in services:
            service.popen.terminate()
        assert [service.popen.wait(STOP_SECONDS) for service in services] == [0, 0, 0, 0]
        stopped = time.monotonic() - stopped
        for service in services:
            log = service.log.read_text()
            assert "Traceback" not in log
            assert '"event": "Service stopped"' in log
            assert all(line.startswith("{") for line in log.splitlines())
        tell(
            f"noticed in {noticed:.1f} s, at most {max(said):.1f} lines a second, ready {back:.1f} s after its return, "
        )
        tell(f"stopped without it in {stopped:.1f} s")
