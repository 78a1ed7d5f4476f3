"""The channels against strict receivers on loopback: signatures, sizes, rates, codes, redirects, addresses."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier, WebhookVerificationError

from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused, Retry
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.notifications.channels import address_guard
from stream_app.notifications.channels.address_guard import Lookup, is_public
from stream_app.notifications.channels.apprise_channel import AppriseChannel
from stream_app.notifications.channels.channel import Channel, Endpoint
from stream_app.notifications.channels.dingtalk import DingTalk
from stream_app.notifications.channels.feishu import Feishu
from stream_app.notifications.channels.http import retry_after, shown
from stream_app.notifications.channels.webhook import WebhookChannel, payload
from stream_app.notifications.channels.wecom import WeCom
from stream_app.notifications.webhook_signature import webhook_key
from tests.harness.receivers import DingTalkRobot, FeishuRobot, Robot, Site, WeComRobot

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALERT = AlertOpened("al_1", "ann", NOW, NOW + timedelta(days=14), 1, 0.8, 9.0, 30.0, None, "model", 1)
SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


def message(markdown: str = '**客户即将流失** "quoted"\n- facts', name: str = "al_1:team") -> OutboundMessage:
    return OutboundMessage(name, "team", (name,), "title", markdown, "plain", 1, 10**18, 1, ALERT)


def at(url: str, *keys: str, timeout: float = 5.0, private: bool = True) -> Endpoint:
    return Endpoint(url, keys, timeout, private)


async def sent(channel: Channel, *messages: OutboundMessage) -> list[Answer]:
    try:
        return [await channel.send(one) for one in messages or (message(),)]
    finally:
        await channel.close()


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    asyncio.run(run())


def test_an_answer_that_comes_in_pieces_is_read_to_its_end() -> None:
    """Else a message that has arrived would be sent again, for days."""

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"errcode":0,', b'"errmsg":"ok"}'):
            await response.write(piece)
            await asyncio.sleep(0.1)
        return response

    async def scenario() -> None:
        async with Site(robot=slowly) as site:
            address = f"http://127.0.0.1:{site.port}/robot?key=k"
            assert await sent(WeCom(at(address))) == [Delivered()]

    play(scenario)


# --- robots ----------------------------------------------------------------------------------------------------------


def channel_of(robot: Robot, url: str, **wrong: str) -> Channel:
    """The channel that fits a robot; `wrong` replaces what it knows."""
    known = {"secret": robot.secret, "token": getattr(robot, "token", ""), **wrong}
    if isinstance(robot, DingTalkRobot):
        address = f"{url}?access_token={known['token']}"
        return DingTalk(at(address, *filter(None, [known["secret"]])))
    if isinstance(robot, FeishuRobot):
        return Feishu(at(url, *filter(None, [known["secret"]])))
    address = f"{url}?key={known['token']}"
    return WeCom(at(address))


ROBOTS: list[Callable[[], Robot]] = [
    lambda: DingTalkRobot(secret="SEC1+/="),
    DingTalkRobot,
    lambda: FeishuRobot(secret="s3"),
    FeishuRobot,
    WeComRobot,
]


def test_a_card_says_its_title_once() -> None:
    async def scenario() -> None:
        robot = FeishuRobot()
        async with Site(robot=robot.handle) as site:
            titled = msgspec.structs.replace(message(), title="2 at risk", markdown="**2 at risk**\n\nann, bob")
            assert await sent(channel_of(robot, site.url("robot")), titled) == [Delivered()]
        (body,) = robot.taken
        assert body["card"]["header"]["title"]["content"] == "2 at risk"
        assert body["card"]["elements"] == [{"tag": "markdown", "content": "ann, bob"}]

    play(scenario)


@pytest.mark.parametrize("make", ROBOTS, ids=["dingtalk signed", "dingtalk", "feishu signed", "feishu", "wecom"])
def test_a_robot_takes_what_is_signed_and_written_as_it_wants(make: Callable[[], Robot]) -> None:
    async def scenario() -> None:
        robot = make()
        async with Site(robot=robot.handle) as site:
            assert await sent(channel_of(robot, site.url("robot"))) == [Delivered()]
        assert message().markdown in json.dumps(robot.taken, ensure_ascii=False).replace('\\"', '"').replace(
            "\\n", "\n"
        )

    play(scenario)


@pytest.mark.parametrize(
    ("robot", "wrong", "remedy"),
    [
        (DingTalkRobot(secret="right"), {"secret": "wrong-secret"}, "check the secret"),
        (DingTalkRobot(), {"token": "wrong-token"}, "copy the robot's address again"),
        (FeishuRobot(secret="right"), {"secret": "wrong-secret"}, "check the secret"),
        (WeComRobot(), {"token": "wrong-token"}, "copy the robot's address again"),
    ],
)
def test_a_robot_that_refuses_with_http_200_is_understood(robot: Robot, wrong: dict[str, str], remedy: str) -> None:
    async def scenario() -> None:
        async with Site(robot=robot.handle) as site:
            [answer] = await sent(channel_of(robot, site.url("robot"), **wrong))
        assert isinstance(answer, Refused)
        assert remedy in answer.remedy
        assert "wrong-" not in answer.reason  # the robot says the token, we don't
        assert robot.taken == []

    play(scenario)


@pytest.mark.parametrize("make", [DingTalkRobot, FeishuRobot, WeComRobot])
def test_a_robot_that_is_asked_too_fast_is_left_alone(make: Callable[[], Robot]) -> None:
    async def scenario() -> None:
        robot = make()
        robot.limits = ((2, 60.0),)
        async with Site(robot=robot.handle) as site:
            answers = await sent(channel_of(robot, site.url("robot")), message(), message(), message())
        assert answers[:2] == [Delivered(), Delivered()]
        assert isinstance(answers[2], Retry)
        assert (answers[2].after or 0) >= MINUTE_US

    play(scenario)


@pytest.mark.parametrize("make", [DingTalkRobot, FeishuRobot, WeComRobot])
def test_what_is_too_long_is_refused_here_and_not_cut_there(make: Callable[[], Robot]) -> None:
    async def scenario() -> None:
        robot = make()
        async with Site(robot=robot.handle) as site:
            [answer] = await sent(channel_of(robot, site.url("robot")), message("长" * 7_000))
        assert isinstance(answer, Refused)
        assert "bytes, more than" in answer.reason
        assert robot.asked == 0

    play(scenario)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", Retry),
        (200, b"<html>", Retry),
        (200, b"[]", Retry),
        (200, b'{"ok": true}', Retry),
        (200, b'{"errcode": -1, "errmsg": "system busy"}', Retry),
        (200, b'{"errcode": 999, "errmsg": "new"}', Refused),
        (502, b"bad gateway", Retry),
        (500, b'{"errcode": 0}', Retry),
    ],
)
def test_an_odd_answer_of_a_robot_is_no_success(status: int, body: bytes, kind: type[Answer]) -> None:
    async def odd(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    async def scenario() -> None:
        async with Site(robot=odd) as site:
            [answer] = await sent(DingTalk(at(site.url("robot"))))
        assert isinstance(answer, kind), answer

    play(scenario)


# --- webhooks --------------------------------------------------------------------------------------------------------


def keeping(requests: list[web.Request], bodies: list[bytes], status: int = 204, **headers: str) -> Any:
    async def handle(request: web.Request) -> web.Response:
        requests.append(request)
        bodies.append(await request.read())
        return web.Response(status=status, headers=headers)

    return handle


def test_a_webhook_is_what_the_public_verifier_accepts() -> None:
    async def scenario() -> None:
        requests: list[web.Request] = []
        bodies: list[bytes] = []
        async with Site(hook=keeping(requests, bodies)) as site:
            assert await sent(WebhookChannel(at(site.url("hook"), SECRET, OLD_SECRET))) == [Delivered()]
        headers = dict(requests[0].headers)
        for secret in (SECRET, OLD_SECRET):  # while a secret is replaced, both fit
            read = Verifier(secret).verify(bodies[0], headers)
            assert read["type"] == "alert.opened"
            assert read["data"]["alert"]["alert_id"] == "al_1"
            assert read["data"]["message"]["plain"] == "plain"
        with pytest.raises(WebhookVerificationError):
            Verifier("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(bodies[0], headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(bodies[0] + b" ", headers)
        assert headers["webhook-id"] == "al_1:team"
        assert headers["Content-Type"].startswith("application/json")

    play(scenario)


def test_id_and_body_are_the_same_at_every_attempt_and_the_timestamp_is_its_own() -> None:
    async def scenario() -> None:
        requests: list[web.Request] = []
        bodies: list[bytes] = []
        times = iter([1_000.0, 2_000.0])
        async with Site(hook=keeping(requests, bodies, 500)) as site:
            hook = WebhookChannel(at(site.url("hook"), SECRET), lambda: next(times))
            first, second = await sent(hook, message(), message())
        assert isinstance(first, Retry)
        assert isinstance(second, Retry)
        assert bodies[0] == bodies[1] == payload(message())
        assert [one.headers["webhook-id"] for one in requests] == ["al_1:team"] * 2
        assert [one.headers["webhook-timestamp"] for one in requests] == ["1000", "2000"]

    play(scenario)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, Delivered()),
        (202, {}, Delivered()),
        (410, {}, Gone("127.0.0.1 answered HTTP 410: it no longer accepts messages")),
        (429, {"Retry-After": "7"}, Retry("127.0.0.1 answered HTTP 429", 7 * SECOND_US)),
        (503, {"Retry-After": "soon"}, Retry("127.0.0.1 answered HTTP 503")),
        (500, {}, Retry("127.0.0.1 answered HTTP 500")),
        (404, {}, Retry("127.0.0.1 answered HTTP 404")),
        (304, {}, Retry("127.0.0.1 answered with a redirect (HTTP 304), which is not followed")),
    ],
)
def test_what_a_status_means(status: int, headers: dict[str, str], expected: Answer) -> None:
    async def scenario() -> None:
        async with Site(hook=keeping([], [], status, **headers)) as site:
            assert await sent(WebhookChannel(at(site.url("hook"), SECRET))) == [expected]

    play(scenario)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not base64|has \d+ bytes instead of 24 to 64)$"):
        webhook_key(secret)


def test_what_the_network_does_is_an_answer() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def scenario() -> None:
        async with Site(hang=hang, cut=cut) as site:
            hung = WebhookChannel(at(site.url("hang"), SECRET, timeout=0.2))
            assert await sent(hung) == [Retry("no answer from 127.0.0.1 within 0.2 s")]
            [answer] = await sent(WebhookChannel(at(site.url("cut"), SECRET)))
            assert answer == Retry("the connection to 127.0.0.1 failed: ServerDisconnectedError")
            port = site.port
        [answer] = await sent(WebhookChannel(at(f"http://127.0.0.1:{port}/s3cret?t0ken=1", SECRET)))
        assert answer == Retry("cannot connect to 127.0.0.1: Connection refused") or isinstance(answer, Retry)
        assert "s3cret" not in answer.reason
        [answer] = await sent(WebhookChannel(at("http://no.such.host.invalid/x", SECRET)))
        assert isinstance(answer, Retry)
        [answer] = await sent(WebhookChannel(at("no address s3cret", SECRET)))
        assert isinstance(answer, Refused)
        assert "s3cret" not in answer.reason

    play(scenario)


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    async def scenario() -> None:
        async with Site(robot=endless) as site:
            [answer] = await sent(DingTalk(at(site.url("robot"))))
            assert isinstance(answer, Retry)

    play(scenario)


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
        *("::127.0.0.1", "2001:0:0:0:0:0:80ff:fffe"),
    ],
)
def test_what_is_no_public_address(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_a_public_address(address: str) -> None:
    assert is_public(address)


def resolving(*addresses: str) -> tuple[Callable[[str, int, int], Awaitable[list[Any]]], list[str]]:
    """A lookup that answers with one address after the other, and the names that it was asked for."""
    asked: list[str] = []
    answers = iter(addresses)

    async def lookup(host: str, port: int, _: int) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    return lookup, asked


def trapped(site: Site, lookup: Lookup, *, private: bool) -> WebhookChannel:
    return WebhookChannel(at(f"http://shop.example:{site.port}/trap", SECRET, private=private), lookup=lookup)


def test_a_name_that_leads_to_a_private_address_gets_nothing() -> None:
    async def scenario() -> None:
        requests: list[web.Request] = []
        async with Site(trap=keeping(requests, [])) as site:
            lookup, asked = resolving("127.0.0.1")
            [answer] = await sent(trapped(site, lookup, private=False))
            assert isinstance(answer, Refused)
            assert "127.0.0.1, which is not a public address" in answer.reason
            assert asked == ["shop.example"]
            lookup, _ = resolving("127.0.0.1")
            assert await sent(trapped(site, lookup, private=True)) == [Delivered()]  # the trap is one
        assert len(requests) == 1

    play(scenario)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.0.0.1", "2130706433", "localhost", "[::1]", "[::ffff:7f00:1]"),
        *("１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1"),  # which become digits and dots on the way
    ],
)
def test_a_private_address_gets_nothing_however_it_is_written(host: str) -> None:
    async def scenario() -> None:
        requests: list[web.Request] = []
        async with Site(trap=keeping(requests, [])) as site:
            url = f"http://{host}:{site.port}/trap"
            [answer] = await sent(WebhookChannel(at(url, SECRET, private=False)))
        assert isinstance(answer, Refused), answer
        assert requests == []

    play(scenario)


def test_one_private_address_among_public_ones_is_enough() -> None:
    async def both(_: str, port: int, __: int) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.8", port)),
        ]

    async def scenario() -> None:
        hook = WebhookChannel(at("http://shop.example/x", SECRET, private=False), lookup=both)
        [answer] = await sent(hook)
        assert isinstance(answer, Refused)

    play(scenario)


def test_a_name_that_changes_between_check_and_connection_is_connected_to_as_it_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first answer is public and the next one private, as in an attack by DNS rebinding.

    An address of the loopback at which nobody listens plays the public one.
    """
    monkeypatch.setattr(address_guard, "is_public", lambda address: address == "127.0.0.2" or is_public(address))

    async def scenario() -> None:
        requests: list[web.Request] = []
        async with Site(trap=keeping(requests, [])) as site:
            lookup, asked = resolving("127.0.0.2", "127.0.0.1", "127.0.0.1")
            first, second = await sent(trapped(site, lookup, private=False), message(), message())
            assert first == Retry("cannot connect to shop.example: Connection refused")
            assert isinstance(second, Refused)
            assert asked == ["shop.example"] * 2  # once an attempt: never again for the connection
        assert requests == []

    play(scenario)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    async def scenario() -> None:
        caught: list[web.Request] = []
        async with (
            Site(trap=keeping(caught, [])) as inner,
            Site(hook=keeping([], [], status, Location=inner.url("trap"))) as site,
        ):
            [answer] = await sent(WebhookChannel(at(site.url("hook"), SECRET)))
        assert answer == Retry(f"127.0.0.1 answered with a redirect (HTTP {status}), which is not followed")
        assert caught == []

    play(scenario)


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        caught: list[web.Request] = []
        async with Site(trap=keeping(caught, []), hook=keeping([], [])) as site:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
                monkeypatch.setenv(name, site.url("trap"))
            assert await sent(WebhookChannel(at(site.url("hook"), SECRET))) == [Delivered()]
        assert caught == []

    play(scenario)


# --- the long tail ---------------------------------------------------------------------------------------------------


# apprise loads all its services at once, one of which asks for a module that Python 3.13 has no more.
OLD_MODULE = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@OLD_MODULE
@pytest.mark.parametrize(("status", "kind"), [(200, Delivered), (500, Retry)])
def test_apprise_delivers_to_what_it_knows(status: int, kind: type[Answer]) -> None:
    async def scenario() -> None:
        bodies: list[bytes] = []
        async with Site(notify=keeping([], bodies, status)) as site:
            url = f"json://127.0.0.1:{site.port}/notify"
            [answer] = await sent(AppriseChannel(at(url)))
        assert isinstance(answer, kind)
        assert json.loads(bodies[0])["message"] == "plain"

    play(scenario)


@OLD_MODULE
def test_apprise_does_not_show_an_address_that_it_does_not_know() -> None:
    async def scenario() -> None:
        [answer] = await sent(AppriseChannel(at("nonsense://t0ken")))
        assert isinstance(answer, Refused)
        assert "t0ken" not in answer.reason + answer.remedy

    play(scenario)


# --- words -----------------------------------------------------------------------------------------------------------


def test_a_date_to_retry_after_is_understood() -> None:
    assert retry_after("Mon, 02 Mar 2026 09:00:30 GMT", NOW) == 30 * SECOND_US
    assert retry_after("Mon, 02 Mar 2026 08:00:30 GMT", NOW) == 0
    assert retry_after("-5", NOW) is None
    assert retry_after(None, NOW) is None


def test_what_a_receiver_says_is_one_short_line() -> None:
    assert shown("a\n\n b" + "x" * 1_000) == "a b" + "x" * 197
