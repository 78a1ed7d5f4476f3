"""The notifier on real servers, with receivers on loopback."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from confluent_kafka import Producer
from standardwebhooks import Webhook as Verifier

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import Topics, confluent_options
from stream_app.core.delivery.records import Delivery, decode_record
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.schema import encode_message
from tests.harness.processes import LiveSystem
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.receivers import DingTalkRobot, SiteThread
from tests.harness.servers.process import free_port

PARTITIONS = 2
SECONDS = 40.0  # takes a few on an idle machine
SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()
Make = Callable[..., LiveSystem]


class Hook:
    """A webhook that verifies requests, and answers as configured."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[dict[str, Any]] = []
        self.ids: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        read = Verifier(SECRET).verify(body, dict(request.headers))
        self.ids.append(request.headers["webhook-id"])
        if self.status < 300:
            self.got.append(read)
        return web.Response(status=self.status)


@pytest.fixture
def make(kafka: str, redis_url: str) -> Iterator[Make]:
    """Provide a maker of systems with topics, keys, a group and a channel file of their own."""
    with ExitStack() as stack:

        def made(channels: str, environ: Mapping[str, str], settings: Mapping[str, str] | None = None) -> LiveSystem:
            prefix = f"d{uuid4().hex[:8]}"
            own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
            own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}
            live = stack.enter_context(LiveSystem({**own, **(settings or {})}, kafka, redis_url))
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in environ.items():
                patch.setenv(name, value)
            path = live.folder / "channels.yaml"
            path.write_text(channels)
            live.settings["delivery.config"] = str(path)
            live.run("topics", "create")
            return live

        yield made


def opened(name: str, **fields: Any) -> AlertOpened:
    at = fields.pop("opened_at", datetime.now(UTC))
    given = {"expires_at": at + timedelta(days=14), "rank": 1, "probability": 0.8, "monthly_worth": 9.0}
    given |= {"silent_days": 30.0, "usual_gap_days": None, "source": "model", "version": 1, "urgent": True}
    return AlertOpened(**{"alert_id": name, "customer_id": f"customer-{name}", "opened_at": at, **given, **fields})


def produce(live: LiveSystem, *alerts: AlertOpened | AlertClosed | bytes) -> None:
    producer = Producer({**confluent_options(live.config.kafka), "linger.ms": 0})
    for alert in alerts:
        value = alert if isinstance(alert, bytes) else encode_message(alert)
        key = "?" if isinstance(alert, bytes) else alert.customer_id
        producer.produce(live.config.kafka.topics.alerts, value, key.encode(), partition_of(key, PARTITIONS))
    assert producer.flush(30) == 0


def listed(live: LiveSystem, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in live.run("deliveries", "list", "--json", *options).splitlines()]


def states(live: LiveSystem) -> dict[str, str]:
    stored: Any = live.redis.hvals(f"{live.config.redis.prefix}:{{deliver}}:deliveries")
    return {one.id: one.state for one in (decode_record(value, Delivery) for value in stored)}


def command(live: LiveSystem, *words: str) -> tuple[int, str]:
    """Run a command that may fail, and return its exit status and output."""
    done = subprocess.run(
        [str(STREAM_APP), *words], env=live.environ, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


CRM = """\
mode: live
digest: {settle: 200ms}
retry: {schedule: [300ms], give_up_after: 1h}
channels:
  crm: {kind: webhook, url: "URL", secret: "env:HOOK", allow_private: true, timeout: 2s}
"""


def test_alerts_reach_webhook_and_robot_and_are_delivered_once(make: Make) -> None:
    hook, robot = Hook(), DingTalkRobot(secret="SEC")
    with SiteThread(crm=hook.handle, robot=robot.handle) as site:
        channels = CRM.replace("URL", site.url("crm")) + (
            "  team: {kind: dingtalk, url: 'env:DING', secret: 'env:DING_SECRET', language: zh, allow_private: true}\n"
        )
        environ = {"HOOK": SECRET, "DING": f"{site.url('robot')}?access_token=t0ken", "DING_SECRET": "SEC"}
        live = make(channels, environ, {"health.port": str(free_port())})
        # 1. Urgent alerts are sent alone, others as a digest that is due; poison and late alerts are not sent.
        yesterday = datetime.now(UTC) - timedelta(days=1, hours=1)
        late = opened("late", opened_at=datetime.now(UTC) - timedelta(days=400))
        calm = [opened(f"calm{place}", urgent=False, opened_at=yesterday) for place in range(3)]
        produce(live, opened("a"), opened("b"), b"{poison", *calm, late, opened("a"))
        deliverer = live.start("notifier")
        live.wait("all has arrived", lambda: len(hook.got) >= 5 and len(robot.taken) >= 3, SECONDS)
        live.wait("all is noted", lambda: set(states(live).values()) == {"sent", "suppressed"}, SECONDS)
        assert {one["data"]["alert"]["alert_id"] for one in hook.got} == {"a", "b", "calm0", "calm1", "calm2"}
        assert len(hook.ids) == len(set(hook.ids)) == 5
        digest = [one for one in robot.taken if "3 位客户有流失风险" in one["markdown"]["text"]]
        assert len(digest) == 1
        assert len(robot.taken) == 3
        assert states(live)["late:crm"] == states(live)["late:team"] == "suppressed"
        # 2. A new process continues from there and recognizes repetitions.
        assert deliverer.stop() == 0
        produce(live, opened("a"), *calm, opened("c"))
        deliverer.restart()
        live.wait("the new one has arrived", lambda: "c:crm" in hook.ids and len(robot.taken) >= 4, SECONDS)
        assert sorted(hook.ids).count("a:crm") == 1
        # 3. Its health is well, and no secret is shown.
        url = f"http://127.0.0.1:{live.config.health.port + 3}/metrics"
        live.wait("it is counted", lambda: 'crm",outcome="sent"} ' in urllib.request.urlopen(url).read().decode(), 5)
        metrics = urllib.request.urlopen(url).read().decode()
        assert 'churn_delivery_attempts_total{channel="team",outcome="delivered"} 1.0' in metrics
        stored = b"".join(live.redis.dump(key) or b"" for key in live.redis.keys(f"{live.config.redis.prefix}:*"))
        for secret in ("t0ken", SECRET, SECRET.removeprefix("whsec_")):
            assert secret not in deliverer.log.read_text()
            assert secret not in metrics
            assert secret.encode() not in stored
        assert deliverer.stop() == 0


def test_nothing_is_delivered_in_shadow(make: Make) -> None:
    hook = Hook()
    with SiteThread(crm=hook.handle) as site:
        live = make(CRM.replace("URL", site.url("crm")).replace("mode: live\n", ""), {"HOOK": SECRET})
        produce(live, opened("a"))
        live.start("notifier")
        live.wait("it is recorded", lambda: states(live) == {"a:crm": "suppressed"}, SECONDS)
        assert [one["reason"] for one in listed(live)] == ["shadow"]
        assert hook.ids == []


def test_dead_deliveries_are_redriven_and_closed_channels_reopened(make: Make) -> None:
    hook = Hook()
    hook.status = 410
    with SiteThread(crm=hook.handle) as site:
        live = make(CRM.replace("URL", site.url("crm")), {"HOOK": SECRET})
        produce(live, opened("a"))
        live.start("notifier")
        live.wait("it is dead", lambda: states(live) == {"a:crm": "dead"}, SECONDS)
        produce(live, opened("b"))
        live.wait("so is the next, unsent", lambda: states(live).get("b:crm") == "dead", SECONDS)
        assert hook.ids == ["a:crm"]
        assert "closed at" in live.run("deliveries", "list")
        assert command(live, "deliveries", "redrive", "nobody:crm")[0] == 1
        assert command(live, "deliveries", "redrive")[0] == 2
        assert command(live, "deliveries", "enable", "nobody")[0] == 2
        hook.status = 204
        live.run("deliveries", "enable", "crm")
        assert "Requested retries: 2." in live.run("deliveries", "redrive", "--all")
        live.wait("both have arrived", lambda: set(states(live).values()) == {"sent"}, SECONDS)
        assert sorted(hook.ids) == ["a:crm", "a:crm", "b:crm"]
        assert "There are no dead deliveries." in live.run("deliveries", "redrive", "--all")


def test_retries_survive_a_restart_and_closed_alerts_are_not_sent(make: Make) -> None:
    hook = Hook()
    hook.status = 500
    with SiteThread(crm=hook.handle) as site:
        live = make(CRM.replace("URL", site.url("crm")), {"HOOK": SECRET})
        produce(live, opened("a"), opened("b"))
        deliverer = live.start("notifier")
        live.wait("it is tried again", lambda: hook.ids.count("a:crm") > 1 and hook.ids.count("b:crm") > 1, SECONDS)
        deliverer.kill()
        produce(live, AlertClosed("b", "customer-b", datetime.now(UTC), "returned"))
        deliverer.restart()
        live.wait("one is closed", lambda: states(live)["b:crm"] == "suppressed", SECONDS)
        hook.status = 204
        live.wait("the other arrives", lambda: states(live)["a:crm"] == "sent", SECONDS)
        assert [one["data"]["alert"]["alert_id"] for one in hook.got] == ["a"]


def test_of_two_notifiers_the_older_one_ends(make: Make) -> None:
    hook = Hook()
    with SiteThread(crm=hook.handle) as site:
        live = make(CRM.replace("URL", site.url("crm")), {"HOOK": SECRET})
        first = live.start("notifier")
        produce(live, opened("a"))
        live.wait("the first delivers", lambda: states(live) == {"a:crm": "sent"}, SECONDS)
        live.start("notifier")
        assert first.popen.wait(SECONDS) != 0
        live.processes.remove(first)
        produce(live, opened("b"))
        live.wait("the second delivers", lambda: states(live).get("b:crm") == "sent", SECONDS)
        first.close()


def test_a_test_message_reports_what_is_wrong(make: Make) -> None:
    hook, robot = Hook(), DingTalkRobot(secret="right")
    with SiteThread(crm=hook.handle, robot=robot.handle) as site:
        channels = CRM.replace("URL", site.url("crm")) + (
            "  team: {kind: dingtalk, url: 'env:DING', secret: 'env:DING_SECRET', language: zh, allow_private: true}\n"
            f"  closed: {{kind: webhook, url: '{site.url('crm')}', secret: 'env:HOOK'}}\n"
        )
        environ = {"HOOK": SECRET, "DING": f"{site.url('robot')}?access_token=t0ken", "DING_SECRET": "right"}
        live = make(channels, environ)
        assert command(live, "deliveries", "test", "crm")[0] == 0
        assert hook.got[0]["data"]["message"]["title"].startswith("[TEST] ")
        assert command(live, "deliveries", "test", "team")[0] == 0
        assert robot.taken[0]["markdown"]["title"].startswith("【测试】")
        robot.secret = "other"
        status, said = command(live, "deliveries", "test", "team")
        assert status == 1
        assert "check the secret and this machine's clock" in said
        assert "t0ken" not in said
        status, said = command(live, "deliveries", "test", "closed")
        assert status == 1
        assert "not a public address. Set allow_private: true" in said
        status, said = command(live, "deliveries", "test", "nobody")
        assert status == 2
        assert "Unknown channel nobody. The file named by delivery.config defines: crm, team, closed." in said
        assert len(hook.got) == 1
