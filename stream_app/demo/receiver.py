"""Webhook receiver with a page that shows the messages like a team chat."""

from __future__ import annotations

import json
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from stream_app.demo.host_check import is_local_host
from stream_app.errors import CannotListen
from stream_app.i18n import LANGUAGES, Translator
from stream_app.notifications.webhook_signature import Verifier

MAX_BODY_BYTES: Final = 256 * 1024
_SHOWN_CHARACTERS: Final = 8_000  # of a body
_REMEMBERED_IDS: Final = 10_000
_REFRESH_SECONDS: Final = 3
# The page runs no script and loads nothing, so a message cannot do anything.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Print = Callable[[str], None]


@dataclass(frozen=True)
class Received:
    """A received request."""

    at: datetime
    identity: str
    kind: str  # type of the message
    size: int  # bytes
    title: str  # text of the message, if the body contains one
    text: str
    body: str  # formatted; empty if the request was refused
    problem: str | None  # reason for the refusal; see `Verifier.problem`
    times: int = 1  # number of times that this id was received

    @property
    def line(self) -> str:
        """Line for the terminal. It omits the body, since logs may be kept for a long time.

        >>> Received(datetime(2025, 6, 1, tzinfo=UTC), "msg_1", "alert.opened", 120, "", "", "{}", None, 2).line
        '2025-06-01T00:00:00Z accepted msg_1 alert.opened 120 bytes (received 2 times)'
        """
        state = "accepted" if self.problem is None else "refused"
        words = [f"{self.at:%Y-%m-%dT%H:%M:%SZ}", state, self.identity or "-", self.kind or "-", f"{self.size} bytes"]
        if self.times > 1:
            words.append(f"(received {self.times} times)")
        if self.problem is not None:
            words.append(f"(wrong or missing: {self.problem})")
        return " ".join(words)


class Inbox:
    """The latest messages, and counts of all messages received.

    Args:
        verifier: verifier of the signatures.
        kept: number of messages to keep.
        unsigned: path on which unsigned requests are accepted, if any.
        now: clock, seconds since 1970.
    """

    def __init__(
        self,
        verifier: Verifier,
        kept: int = 100,
        unsigned: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.messages: deque[Received] = deque(maxlen=kept)
        self.accepted = self.refused = self.repeated = 0
        self._verifier, self._unsigned, self._now = verifier, unsigned, now
        self._times: OrderedDict[str, int] = OrderedDict()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Received:
        """Verify a request, store it and return it."""
        now, signed = self._now(), path != self._unsigned
        problem = self._verifier.problem(headers, body, now) if signed else None
        identity = _plain(headers.get("webhook-id", "")) if signed else ""
        times = self._count(identity) if identity and not problem else 1
        kind, title, text, whole = ("", "", "", "") if problem else _read(body)
        at = datetime.fromtimestamp(now, UTC)
        kind = kind if signed else f"{_plain(path)} (unsigned)"
        received = Received(at, identity, kind, len(body), title, text, whole, problem, times)
        self.accepted += problem is None
        self.refused += problem is not None
        self.repeated += times > 1
        self.messages.appendleft(received)
        return received

    def _count(self, identity: str) -> int:
        """Return how often an id has been received, including this time; senders retry when they get no reply."""
        self._times[identity] = self._times.pop(identity, 0) + 1
        if len(self._times) > _REMEMBERED_IDS:
            self._times.popitem(last=False)
        return self._times[identity]


def _plain(text: str) -> str:
    """Return the text without terminal control characters."""
    return "".join(one if one.isprintable() else "?" for one in text[:256])


def _read(body: bytes) -> tuple[str, str, str, str]:
    """Return the type, title, text and formatted body of a request body; missing parts are empty strings."""
    try:
        content, whole = json.loads(body), msgspec.json.format(body, indent=2).decode()[:_SHOWN_CHARACTERS]
    except (ValueError, RecursionError):
        return "", "", "", body.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    title, text = (_text(content, "data", "message", key) for key in ("title", "plain"))
    return _plain(_text(content, "type")), title, text, whole


def _text(content: Any, *keys: str) -> str:
    """Return the text at a path of keys, or an empty string."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""


def receiver_app(inbox: Inbox, print_line: Print) -> web.Application:
    """Return the web application: POST to any path accepts a message, GET / shows all, GET /readyz checks health."""
    template = Environment(
        loader=PackageLoader("stream_app.demo", "web"), autoescape=True, undefined=StrictUndefined
    ).get_template("receiver.html.j2")
    translators = {lang: Translator(lang, "demo") for lang in LANGUAGES}

    async def deliver(request: web.Request) -> web.Response:
        body = await request.read()
        received = inbox.take(request.path, {name.lower(): value for name, value in request.headers.items()}, body)
        print_line(received.line)
        return web.Response(status=HTTPStatus.NO_CONTENT if received.problem is None else HTTPStatus.UNAUTHORIZED)

    async def page(request: web.Request) -> web.Response:
        if not is_local_host(request.headers.get("Host")):
            raise web.HTTPNotFound(headers=_HEADERS)
        html = template.render(t=translators[_language(request)], inbox=inbox, refresh=_REFRESH_SECONDS)
        return web.Response(text=html, content_type="text/html", headers=_HEADERS)

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"ready": True, "checks": {}}, headers=_HEADERS)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes([web.get("/", page), web.get("/readyz", ready), web.post("/{path:.*}", deliver)])
    return app


def _language(request: web.Request) -> str:
    wanted = request.query.get("lang", "") or request.headers.get("Accept-Language", "")
    return "zh" if wanted.lower().startswith("zh") else "en"


async def serve(inbox: Inbox, host: str, port: int, print_line: Print) -> web.AppRunner:
    """Start the receiver and return its runner; `await runner.cleanup()` stops it. Raise CannotListen."""
    runner = web.AppRunner(receiver_app(inbox, print_line), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        problem, remedy = getattr(error, "strerror", None) or error, "Choose another address or port."
        raise CannotListen(server="The receiver", host=host, port=port, problem=problem, remedy=remedy) from error
    return runner
