"""A consumer that stops fetching while Kafka has more records: each service notices it, and ends for its supervisor."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from stream_app.config import Topics, confluent_options
from stream_app.errors import Stalled
from tests.harness.processes import LiveSystem

PROGRAM = [sys.executable, str(Path(__file__).with_name("stop_fetching.py"))]
# A worker notices by its partitions, for which a consumer that never reported the end of a topic may have more records.
WAITS = {"trainer": "labelled", "allocator": "nominations", "notifier": "alerts"}
SECONDS = 60.0


def produce(live: LiveSystem) -> None:
    """Send a record for each service, which none of them reads."""
    producer = Producer({**confluent_options(live.config.kafka), "linger.ms": 0})
    for role in WAITS.values():
        producer.produce(live.config.kafka.topics.of(role)[role], b"{}", b"ann", 0)
    assert producer.flush(30) == 0


@pytest.mark.slow
def test_a_service_ends_when_its_consumer_stops_fetching(
    kafka: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    prefix = f"s{uuid4().hex[:8]}"
    own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
    own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": "2", "health.watchdog_after": "4s"}
    with LiveSystem(own, kafka, redis_url) as live:
        live.run("topics", "create")
        services = {name: live.start(name, program=PROGRAM) for name in WAITS}
        live.wait("all have started", lambda: all('"Service started"' in one.tail() for one in services.values()), SECONDS)
        time.sleep(6)  # longer than the watchdog waits: no records wait, so they may be idle
        assert all(service.running for service in services.values())
        produce(live)
        ended = {name: service.popen.wait(SECONDS) for name, service in services.items()}
        assert ended == dict.fromkeys(WAITS, Stalled.exit_code)
        for service in services.values():
            assert "while 1 records are waiting" in service.log.read_text()
