"""A receiver of webhooks that shows what it got: what the chat of a team would show, on a page of its own."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from stream_app.demo.host_check import asked_directly
from stream_app.demo.voice import DemoVoice
from stream_app.demo.webhook import Verifier
from stream_app.errors import NoReceiverAddress

DEFAULT_PORT: Final = 8080
KEPT: Final = 100  # messages
MAX_BODY_BYTES: Final = 256 * 1024
_SHOWN_CHARACTERS: Final = 8_000  # of a body
_REMEMBERED_IDS: Final = 10_000
_REFRESH_SECONDS: Final = 3
# The page runs no script and loads nothing: what a message says stays text.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Received:
    """A request that came."""

    at: datetime
    identity: str
    kind: str  # what the message says of itself
    size: int  # bytes
    title: str  # of the message in it, if there is one
    text: str
    body: str  # all of it, for people; empty if it was refused
    problem: str | None  # why it was refused: one of webhook.REFUSALS
    times: int = 1  # that this id has come

    @property
    def line(self) -> str:
        """For the terminal: nothing of the body, since a log lives long.

        >>> Received(datetime(2025, 6, 1, tzinfo=UTC), "msg_1", "alert.opened", 120, "", "", "{}", None, 2).line
        '2025-06-01T00:00:00Z accepted msg_1 alert.opened 120 bytes (came 2 times)'
        """
        state = "accepted" if self.problem is None else "refused"
        words = [f"{self.at:%Y-%m-%dT%H:%M:%SZ}", state, self.identity or "-", self.kind or "-", f"{self.size} bytes"]
        if self.times > 1:
            words.append(f"(came {self.times} times)")
        if self.problem is not None:
            words.append(f"(wrong or missing: {self.problem})")
        return " ".join(words)


class Inbox:
    """The last messages, and what was counted.

    Args:
        verifier: of the signatures.
        kept: how many messages.
        unsigned: the path of a sender that cannot sign; None: there is none.
        now: seconds since 1970.
    """

    def __init__(
        self,
        verifier: Verifier,
        kept: int = KEPT,
        unsigned: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.messages: deque[Received] = deque(maxlen=kept)
        self.accepted = self.refused = self.repeated = 0
        self._verifier, self._unsigned, self._now = verifier, unsigned, now
        self._times: OrderedDict[str, int] = OrderedDict()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Received:
        """A request, checked and kept."""
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
        """How often an id has come: a sender that heard no answer sends again."""
        self._times[identity] = self._times.pop(identity, 0) + 1
        if len(self._times) > _REMEMBERED_IDS:
            self._times.popitem(last=False)
        return self._times[identity]


def _plain(text: str) -> str:
    """What may stand in a terminal: a stranger's bytes could move its cursor."""
    return "".join(one if one.isprintable() else "?" for one in text[:256])


class _Message(msgspec.Struct, frozen=True):
    """What a chat would show."""

    title: str = ""
    plain: str = ""


class _Data(msgspec.Struct, frozen=True):
    message: _Message = _Message()


class _Told(msgspec.Struct, frozen=True):
    """What we know of a body; Standard Webhooks wants a type and data."""

    type: str = ""
    data: _Data = _Data()


# Made once, before any thread decodes: at the first use of a type msgspec fills a table that other threads may read.
_told: Final = msgspec.json.Decoder(_Told)


def _read(body: bytes) -> tuple[str, str, str, str]:
    """A body's type, the title and text of its message, and all of it; what it has not is empty."""
    try:
        whole = msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", "", "", body.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    try:
        told = _told.decode(body)
    except (msgspec.DecodeError, RecursionError):
        told = _Told()
    message = told.data.message
    return _plain(told.type), message.title, message.plain, whole[:_SHOWN_CHARACTERS]


def receiver_app(inbox: Inbox, say: Say) -> web.Application:
    """The pages: POST anywhere delivers, GET / shows, GET /readyz answers."""
    template = Environment(
        loader=PackageLoader("stream_app.demo", "page"), autoescape=True, undefined=StrictUndefined
    ).get_template("receiver.html.j2")
    voices = {lang: DemoVoice(lang) for lang in ("en", "zh")}

    async def deliver(request: web.Request) -> web.Response:
        body = await request.read()
        received = inbox.take(request.path, {name.lower(): value for name, value in request.headers.items()}, body)
        say(received.line)
        return web.Response(status=HTTPStatus.NO_CONTENT if received.problem is None else HTTPStatus.UNAUTHORIZED)

    async def page(request: web.Request) -> web.Response:
        if not asked_directly(request.headers.get("Host")):
            raise web.HTTPNotFound(headers=_HEADERS)
        lang = _language(request)
        html = template.render(voice=voices[lang], inbox=inbox, refresh=_REFRESH_SECONDS)
        return web.Response(text=html, content_type="text/html", headers=_HEADERS)

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"ready": True, "checks": {}}, headers=_HEADERS)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes([web.get("/", page), web.get("/readyz", ready), web.post("/{path:.*}", deliver)])
    return app


def _language(request: web.Request) -> str:
    asked = request.query.get("lang", "") or request.headers.get("Accept-Language", "")
    return "zh" if asked.lower().startswith("zh") else "en"


async def serve(inbox: Inbox, host: str, port: int, say: Say) -> web.AppRunner:
    """Begin to receive; `await runner.cleanup()` ends it. Raises NoReceiverAddress."""
    runner = web.AppRunner(receiver_app(inbox, say), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        problem = getattr(error, "strerror", None) or str(error)
        raise NoReceiverAddress(host=host, port=port, problem=problem) from error
    return runner
