"""The simulated shop on a real broker: after any end the next run continues, and no record is missing or duplicated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from stream_app.adapters.kafka.topics import create_topics
from stream_app.core.messages.schema import Tick, decode_tick
from stream_app.publish.schedule import steps
from stream_app.simulate import ShopSettings, simulate
from tests.integration.test_publish import COMMAND, PARTITIONS, Shop

SHOP = ("shop", "--customers", "300", "--days", "60", "--start", "2025-01-01", "--last-days", "0", "--seed", "5")


@pytest.fixture
def shop(kafka: str) -> Shop:
    found = Shop(kafka)
    found.environ |= {
        "STREAM_APP_TICKS__CLOCK": "log",
        "STREAM_APP_HEALTH__PORT": "0",
        "STREAM_APP_LOG__FORMAT": "json",
    }
    create_topics(found.config)
    return found


def started(shop: Shop, *options: str) -> subprocess.Popen[str]:
    environ = os.environ | shop.environ
    return subprocess.Popen([COMMAND, *SHOP, *options], env=environ, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    """Return its summary after an orderly end."""
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    return [json.loads(line) for line in said.splitlines()]


def until(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stops_and_kills_do_not_change_the_result(shop: Shop) -> None:
    first = started(shop)
    until(first, lambda: shop.written() > 500)
    first.send_signal(signal.SIGTERM)
    assert ended(first)[-1]["finished"] is False
    half = shop.written()
    second = started(shop)
    until(second, lambda: shop.written() > half + 500)
    second.kill()
    second.communicate()
    told = ended(started(shop))
    assert told[-1]["finished"] is True
    assert int(str(told[0]["resumes_after"])) > 500

    config = shop.config.shop.settings()
    stream = list(steps(simulate(ShopSettings(customers=300, days=60), 5), config, complete=False))
    events = sum(len(step) for step in stream if not isinstance(step, Tick))
    ticks = sum(isinstance(step, Tick) for step in stream)
    contents = shop.contents()
    assert sum(map(len, contents.values())) == events + ticks * PARTITIONS
    for records in contents.values():
        places = [place for _, _, place in records]
        assert places == sorted(set(places))
    for number in range(PARTITIONS):
        values = [decode_tick(value) for _, value, _ in contents["ticks", number]]
        assert values == [step for step in stream if isinstance(step, Tick)]


def test_another_shop_on_its_topics_is_refused_and_its_time_may_be_bounded(shop: Shop) -> None:
    # At two seconds per day, no machine finishes the 60 days.
    paced = ("--last-days", "10000", "--day-seconds", "2")
    assert ended(started(shop, *paced, "--seconds", "8"))[-1]["finished"] is False
    assert shop.written() > 0
    other = started(shop, "--seed", "6")
    said = other.communicate(timeout=60)[1]
    assert other.returncode == 2
    assert "another log" in said
