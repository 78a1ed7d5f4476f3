"""Receivers on loopback: strict fakes of three chat robots after their documentation, and webhooks.

A robot checks signature, size and rate, and answers rejections with HTTP 200 and a code, as the real ones do.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Answer = tuple[int, dict[str, Any]]


@dataclass
class Robot:
    """Base of the robots.

    Attributes:
        limits: pairs of a maximum number of messages and a span in seconds.
    """

    secret: str = ""
    limits: tuple[tuple[int, float], ...] = ()
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    clock: Callable[[], float] = time.time
    _at: deque[float] = field(default_factory=lambda: deque(maxlen=1_000))

    def too_fast(self) -> bool:
        now = self.clock()
        return any(sum(at > now - span for at in self._at) >= count for count, span in self.limits)

    def take(self, body: dict[str, Any]) -> None:
        self._at.append(self.clock())
        self.taken.append(body)

    def answer(self, query: dict[str, str], raw: bytes) -> Answer:
        raise NotImplementedError

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        status, body = self.answer(dict(request.query), await request.read())
        return web.json_response(body, status=status)


@dataclass
class DingTalkRobot(Robot):
    """https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages."""

    token: str = "t0ken"
    limits: tuple[tuple[int, float], ...] = ((20, 60.0),)

    def answer(self, query: dict[str, str], raw: bytes) -> Answer:
        def no(code: int, words: str) -> Answer:
            return 200, {"errcode": code, "errmsg": words}

        if query.get("access_token") != self.token:
            return no(300005, f"token is not exist: {query.get('access_token')}")
        if self.secret and not self._signed(query):
            return no(310000, "sign not match, or invalid timestamp")
        if len(raw) > 20_000:
            return no(460101, "message too long, exceed 20000 bytes")
        if self.too_fast():
            return no(130101, "send too fast, exceed 20 times per minute")
        body = json.loads(raw)
        if body.get("msgtype") != "markdown" or not body["markdown"].get("title") or not body["markdown"].get("text"):
            return no(40035, "缺少参数 json")
        self.take(body)
        return no(0, "ok")

    def _signed(self, query: dict[str, str]) -> bool:
        stamp = query.get("timestamp", "0")
        digest = hmac.new(self.secret.encode(), f"{stamp}\n{self.secret}".encode(), hashlib.sha256).digest()
        fresh = abs(self.clock() * 1000 - int(stamp)) <= 3_600_000
        return fresh and query.get("sign") == base64.b64encode(digest).decode()


@dataclass
class FeishuRobot(Robot):
    """https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot."""

    limits: tuple[tuple[int, float], ...] = ((100, 60.0), (5, 1.0))

    def answer(self, query: dict[str, str], raw: bytes) -> Answer:  # noqa: ARG002 - it signs in the body
        if len(raw) > 20 * 1024:
            return 400, {"code": 9499, "msg": "Bad Request", "data": {}}
        body = json.loads(raw)
        if self.secret:
            stamp = str(body.get("timestamp", ""))
            digest = hmac.new(f"{stamp}\n{self.secret}".encode(), b"", hashlib.sha256).digest()
            late = not stamp.isdigit() or abs(self.clock() - int(stamp)) > 3600
            if late or body.get("sign") != base64.b64encode(digest).decode():
                return 200, {
                    "code": 19021,
                    "msg": "sign match fail or timestamp is not within one hour from current time",
                }
        if self.too_fast():
            return 200, {"code": 11232, "msg": "frequency limited"}
        card = body.get("card", {})
        if (
            body.get("msg_type") != "interactive"
            or not card.get("elements")
            or card["elements"][0]["tag"] != "markdown"
        ):
            return 200, {"code": 9499, "msg": "Bad Request", "data": {}}
        self.take(body)
        return 200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}


@dataclass
class WeComRobot(Robot):
    """https://developer.work.weixin.qq.com/document/path/91770."""

    token: str = "k3y"
    limits: tuple[tuple[int, float], ...] = ((20, 60.0),)

    def answer(self, query: dict[str, str], raw: bytes) -> Answer:
        if query.get("key") != self.token:
            return 200, {"errcode": 93000, "errmsg": f"invalid webhook url, hint: [1], key {query.get('key')}"}
        body = json.loads(raw)
        text = body.get("markdown", {}).get("content", "")
        if body.get("msgtype") != "markdown" or not text:
            return 200, {"errcode": 44004, "errmsg": "empty content"}
        if len(text.encode()) > 2048:
            return 200, {"errcode": 40058, "errmsg": "markdown.content exceed max length 2048"}
        if self.too_fast():
            return 200, {"errcode": 45009, "errmsg": "api freq out of limit"}
        self.take(body)
        return 200, {"errcode": 0, "errmsg": "ok"}


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """HTTP handlers on a free loopback port."""

    def __init__(self, **handlers: Handler) -> None:
        self._handlers = handlers
        self.port = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 20)
        for name, handler in self._handlers.items():
            app.router.add_route("*", f"/{name}", handler)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


class SiteThread:
    """A site in a thread of its own, for tests that wait for processes."""

    def __init__(self, **handlers: Handler) -> None:
        self.site = Site(**handlers)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def url(self, name: str) -> str:
        return self.site.url(name)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.site.__aenter__(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.site.__aexit__(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class AlertReceiver(SiteThread):
    """Webhooks that count alerts: `/team` accepts every alert, `/spare` answers 503."""

    def __init__(self) -> None:
        super().__init__(team=self._accept, spare=self._refuse)
        self.accepted = 0

    async def _accept(self, request: web.Request) -> web.Response:
        await request.read()
        self.accepted += 1
        return web.Response()

    async def _refuse(self, _: web.Request) -> web.Response:
        return web.Response(status=503)
