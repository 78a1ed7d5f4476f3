"""What the stack has beside the services: the shop's clock, the receiver, health from outside, new secrets."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag, Thread
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook
from typer.testing import CliRunner

from stream_app.adapters.http.health import Health, HealthServer
from stream_app.adapters.http.probe import why_not_ready
from stream_app.cli import app
from stream_app.cli.health import port_of
from stream_app.cli.shop import possible_plans
from stream_app.config import PORT_OFFSETS, LiveConfig, load_config
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.demo.receiver import Inbox, serve
from stream_app.demo.secrets import new_secret, write_missing
from stream_app.demo.shop import SETTLE_US, Plan, ShopClock, _published_plan, run_shop
from stream_app.errors import BadOption, BadSecret, CannotListen, NotTheClock
from stream_app.notifications.webhook_signature import Verifier, read_webhook_key, webhook_key
from stream_app.publish.watermarks import End
from tests.harness.servers.process import free_port

SECRET = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
START = datetime(2025, 1, 1, tzinfo=UTC)
AT = (START - EPOCH) // MICROSECOND

# --- the receiver --------------------------------------------------------------------------------------------------


def signed(body: str, identity: str = "msg_1", at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    """Headers as the public library makes them."""
    when = at or datetime.now(UTC)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign(identity, when, body),
    }


def problem(headers: dict[str, str], body: str, now: datetime | None = None) -> str | None:
    return Verifier(webhook_key(SECRET)).problem(headers, body.encode(), (now or datetime.now(UTC)).timestamp())


def test_what_the_public_library_signs_is_accepted() -> None:
    body = '{"客户":"c•••001"}'
    assert problem(signed(body), body) is None


def test_one_right_signature_among_several_is_enough_while_a_secret_is_changed() -> None:
    old, new = signed("{}", secret="whsec_" + "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"), signed("{}")
    both = {**new, "webhook-signature": f"{old['webhook-signature']} {new['webhook-signature']}"}
    assert problem(both, "{}") is None
    assert problem(old, "{}") == "signature"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"webhook-id": ""}, "id"),
        ({"webhook-id": "msg\n1"}, "id"),
        ({"webhook-id": "msg_2"}, "signature"),
        ({"webhook-timestamp": "soon"}, "timestamp"),
        ({"webhook-timestamp": "٣"}, "timestamp"),
        ({"webhook-timestamp": "1"}, "stale"),
        ({"webhook-signature": ""}, "signature"),
        ({"webhook-signature": "v1,"}, "signature"),
        ({"webhook-signature": "v1a,AAAA é"}, "signature"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused(change: dict[str, str], expected: str) -> None:
    assert problem({**signed("{}"), **change}, "{}") == expected


def test_a_changed_body_and_an_old_recording_are_refused() -> None:
    assert problem(signed("{}"), "{ }") == "signature"
    sent = datetime(2026, 1, 1, tzinfo=UTC)
    assert problem(signed("{}", at=sent), "{}", sent + timedelta(seconds=299)) is None
    assert problem(signed("{}", at=sent), "{}", sent + timedelta(seconds=301)) == "stale"
    assert problem(signed("{}", at=sent), "{}", sent - timedelta(seconds=301)) == "stale"


def received(
    posts: list[tuple[dict[str, str], bytes]], lang: str = "en", keep: int = 100
) -> tuple[list[int], str, str]:
    """Deliver to a receiver; the statuses, its page, and what it said in the terminal."""
    said: list[str] = []

    async def run() -> tuple[list[int], str]:
        port = free_port()
        runner = await serve(Inbox(Verifier(webhook_key(SECRET)), keep), "127.0.0.1", port, said.append)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                statuses = []
                for headers, body in posts:
                    async with session.post("/hook", data=body, headers=headers) as answer:
                        statuses.append(answer.status)
                async with session.get("/", headers={"Accept-Language": lang}) as answer:
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                    page = await answer.text()
                async with session.get("/", headers={"Host": f"evil.example:{port}"}) as answer:
                    assert (answer.status, "webhook" in (await answer.text()).lower()) == (404, False)
                assert await asyncio.to_thread(why_not_ready, port) == ""
                return statuses, page
        finally:
            await runner.cleanup()

    statuses, page = asyncio.run(run())
    return statuses, page, "\n".join(said)


@pytest.mark.parametrize(("lang", "title"), [("en", "Webhook receiver"), ("zh-CN", "Webhook 接收端")])
def test_the_page_shows_what_came_in_two_languages_and_nothing_of_it_becomes_html(lang: str, title: str) -> None:
    message = {"title": "c•••001 <em>", "plain": "<script>alert(1)</script> 投诉 2 次"}
    body = json.dumps({"type": "alert<b>", "data": {"message": message}}, ensure_ascii=False)
    statuses, page, said = received([(signed(body), body.encode())] * 2 + [({"webhook-id": "<i>"}, b"<u>")], lang)
    assert statuses == [204, 204, 401]
    assert title in page
    assert "投诉 2 次" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<h2>c•••001 &lt;em&gt;</h2>" in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<u>" not in page
    assert [line.split()[1] for line in said.splitlines()] == ["accepted", "accepted", "refused"]
    assert "received 2 times" in said
    assert "投诉" not in said  # a terminal's log lives longer than the page


def test_only_one_path_may_bring_what_is_not_signed() -> None:
    inbox = Inbox(Verifier(webhook_key(SECRET)), unsigned="/alertmanager")
    assert inbox.take("/alertmanager", {}, b'{"status":"firing"}').kind == "/alertmanager (unsigned)"
    assert inbox.take("/alertmanager/", {}, b"{}").problem == "id"
    assert (inbox.accepted, inbox.refused, inbox.repeated) == (1, 1, 0)


def test_only_the_last_ones_are_kept_and_too_large_ones_are_not_read() -> None:
    posts = [(signed(f'{{"n":{n}}}', f"msg_{n}"), f'{{"n":{n}}}'.encode()) for n in range(5)]
    statuses, page, _ = received([*posts, ({}, b"x" * 300_000)], keep=2)
    assert statuses == [204] * 5 + [413]
    assert ["msg_4" in page, "msg_3" in page, "msg_2" in page] == [True, True, False]


def test_a_port_that_is_taken_is_told() -> None:
    async def run() -> None:
        port = free_port()
        inbox = Inbox(Verifier(webhook_key(SECRET)))
        first = await serve(inbox, "127.0.0.1", port, lambda _: None)
        try:
            with pytest.raises(CannotListen, match="cannot listen"):
                await serve(inbox, "127.0.0.1", port, lambda _: None)
        finally:
            await first.cleanup()

    asyncio.run(run())


# --- secrets -------------------------------------------------------------------------------------------------------


def test_a_message_without_a_title_shows_its_text() -> None:
    inbox = Inbox(Verifier(webhook_key(SECRET)), unsigned="/chat")
    shown = [inbox.take("/chat", {}, body) for body in (b'{"data":{"message":{"plain":"Call c1"}}}', b'{"data":[7]}')]
    assert [(one.title, one.text) for one in shown] == [("", "Call c1"), ("", "")]


@pytest.mark.parametrize("reference", ["env:", "file:", "whsec_plain", "env:NOT_THERE", "file:/not/there"])
def test_a_reference_that_leads_nowhere_is_refused_and_never_shown_as_a_secret(reference: str) -> None:
    with pytest.raises(BadSecret) as raised:
        read_webhook_key(reference, {})
    assert "whsec_plain" not in str(raised.value)


@pytest.mark.parametrize("secret", ["whsec_***", "whsec_c2hvcnQ=", "whsec_" + "A" * 200])
def test_a_secret_that_is_too_short_or_no_base64_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(BadSecret) as raised:
        read_webhook_key("env:HOOK", {"HOOK": secret})
    assert secret not in str(raised.value)
    assert "env:HOOK" in str(raised.value)


def test_a_new_secret_is_written_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "webhook"
    assert write_missing(path, "webhook", shared=False)
    first = path.read_text()
    assert not write_missing(path, "webhook", shared=False)
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert len(read_webhook_key(f"file:{path}")) == 32
    assert list(path.parent.iterdir()) == [path]
    assert new_secret("password") != new_secret("password")
    write_missing(tmp_path / "shared", "password", shared=True)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o444


# --- health --------------------------------------------------------------------------------------------------------


def test_health_asks_where_the_settings_say_and_tells_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health(["redis"])
    server = HealthServer(health, CollectorRegistry())
    server.start()
    monkeypatch.setenv("STREAM_APP_HEALTH__PORT", str(server.port - 1))
    try:
        health.set("redis", ok=False, reason="refused")
        done = CliRunner().invoke(app, ["health", "trainer"])
        assert (done.exit_code, done.stderr) == (1, "trainer is not ready: redis: refused\n")
        health.set("redis", ok=True)
        assert CliRunner().invoke(app, ["health", "trainer"]).exit_code == 0
    finally:
        server.stop()
    done = CliRunner().invoke(app, ["health", "trainer"])
    assert done.exit_code == 1
    assert "does not answer" in done.stderr


def test_each_service_has_a_port_of_its_own_and_an_unknown_one_none() -> None:
    assert port_of("shop", LiveConfig()) == LiveConfig().health.port + PORT_OFFSETS["shop"]
    ports = [port_of(name, LiveConfig()) for name in ("worker", "trainer", "allocator", "shop", "receiver")]
    assert len(set(ports)) == 5
    with pytest.raises(BadOption):
        port_of("cook", LiveConfig())
    with pytest.raises(BadOption):
        port_of("worker", load_config(environ={"STREAM_APP_HEALTH__PORT": "0"}))


# --- the shop ------------------------------------------------------------------------------------------------------


class Hands:
    """Two clocks that only a wait moves."""

    def __init__(self, now: int) -> None:
        self.now, self.seconds, self.stop = now, 0.0, Flag()
        self.stop.wait = self.sleep  # type: ignore[method-assign,assignment]

    def sleep(self, seconds: float | None = None) -> bool:
        self.seconds += seconds or 0.0
        self.now += round((seconds or 0.0) * 1e6)
        return False

    def clock(self, fast_until: int, day_seconds: float) -> ShopClock:
        return ShopClock(fast_until, day_seconds, self.stop, lambda: self.now, lambda: self.seconds)


def test_history_passes_at_once_and_then_a_day_takes_its_seconds() -> None:
    hands = Hands(AT + 1_000 * DAY_US)
    clock = hands.clock(AT + 10 * DAY_US, day_seconds=60.0)
    beats: list[Any] = []
    for day in range(11):
        clock.wait(AT + day * DAY_US, lambda: beats.append(1))
    assert hands.seconds == 0.0
    clock.wait(AT + 12 * DAY_US, lambda: beats.append(1))
    assert hands.seconds == pytest.approx(120.0)
    assert len(beats) >= 600  # it is asked five times a second


def test_the_shop_is_never_ahead_of_the_wall_clock() -> None:
    hands = Hands(AT + 5 * DAY_US)
    clock = hands.clock(AT + 100 * DAY_US, day_seconds=1.0)
    clock.wait(AT + 5 * DAY_US + 30_000_000, lambda: None)
    assert hands.seconds == pytest.approx(30.0 + SETTLE_US / 1e6)


def test_a_shop_that_was_begun_months_ago_is_found_again() -> None:
    config, today = LiveConfig(), datetime(2026, 11, 26, tzinfo=UTC)
    options: dict[str, Any] = {"customers": 100, "last_days": 1.0, "day_seconds": 1.0}
    begun = possible_plans(today, None, 1_461, **options)[0]
    assert 120 <= (today - begun.start).days < 152
    later = possible_plans(today + timedelta(days=400), None, 1_461, **options)
    assert later[0].start > begun.start
    empty, held = End(), End(7, begun.identity(config), 7, empty=False)
    assert _published_plan(later, {("shop.orders", 0): empty, ("shop.orders", 1): held}, config) == begun
    assert _published_plan(later, {("shop.orders", 0): empty}, config) == later[0]


def test_a_day_that_is_given_is_the_first_one_and_what_cannot_be_is_refused() -> None:
    given = possible_plans(datetime.now(UTC), datetime(2025, 3, 1), 30, customers=100)  # noqa: DTZ001
    assert [plan.start.isoformat() for plan in given] == ["2025-03-01T00:00:00+08:00"]
    for days in (30, 10_000):
        with pytest.raises(BadOption):
            possible_plans(datetime.now(UTC), None, days, customers=100)


def test_a_stop_ends_the_waiting() -> None:
    stop = Flag()
    clock = ShopClock(AT, 86_400.0, stop, lambda: AT, lambda: 0.0)
    waiting = Thread(target=clock.wait, args=(AT + DAY_US, lambda: None), daemon=True)
    waiting.start()
    stop.set()
    waiting.join(5)
    assert not waiting.is_alive()


def test_the_pace_is_no_part_of_what_shop_it_is_but_all_else_is() -> None:
    config = LiveConfig()
    plan = Plan(100, 30, START, seed=1)
    assert plan.identity(config) == Plan(100, 30, START, 1, last_days=9, day_seconds=2.0).identity(config)
    others = [Plan(101, 30, START), Plan(100, 31, START), Plan(100, 30, START, 2), Plan(100, 30, START + timedelta(1))]
    assert len({plan.identity(config), *(other.identity(config) for other in others)}) == 5
    assert plan.identity(config) != plan.identity(load_config(flags={"kafka.partitions": 8}))


def test_it_does_not_run_beside_the_workers_own_clock() -> None:
    with pytest.raises(NotTheClock, match="writes its own ticks"):
        run_shop(LiveConfig(), [Plan(100, 30, START)], Flag())
