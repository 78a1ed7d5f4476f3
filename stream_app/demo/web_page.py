"""The demo's page: alerts with cause, evidence and measure as they come, beside live figures; on this machine only."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import jinja2
import msgspec

from stream_app.demo.host_check import asked_directly
from stream_app.demo.page_model import URGENT, PageModel
from stream_app.demo.screen import Show
from stream_app.demo.simulation import ShopSimulation
from stream_app.demo.state import OPEN, DemoState, Listed
from stream_app.demo.voice import DemoVoice
from stream_app.demo.webhook import Verifier
from stream_app.errors import NoPageAddress

DEFAULT_PORT: Final = 8465
HOST: Final = "127.0.0.1"
_KEPT: Final = 60  # alerts that a page which opens late gets
_TEXTS: Final = ("alert_id", "at", "rank", "tone", "who", "risk", "about", "todo", "never", "until")
_LISTS: Final = ("causes", "evidence", "steps")
DELIVERED: Final = "delivered"  # path to which alerts are delivered
_REMEMBERED: Final = 2_000  # alerts that were delivered
_MOST_BYTES: Final = 100_000  # of a delivery
# Nothing is loaded from elsewhere, and nothing that an alert says can run.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json"}


_Told = tuple[dict[str, Any], list[dict[str, Any]], dict[str, str]]  # figures, alerts, their states
_BLANK: Final[dict[str, dict[str, Any]]] = {  # an alert that the script fills
    "alert": {"urgent": False} | dict.fromkeys(_TEXTS, "") | {name: [] for name in _LISTS},
    "state": {"name": "", "tone": "", "ended": False},
}


class _Alert(msgspec.Struct):
    alert_id: str


class _Data(msgspec.Struct):
    alert: _Alert


class _Delivered(msgspec.Struct):
    """As much of a webhook's body as is read here."""

    data: _Data


# Made once, before any thread decodes: at the first use of a type msgspec fills a table that other threads may read.
_delivered: Final = msgspec.json.Decoder(_Delivered)


class WebPage:
    """A Show on a port of the loopback address: served from now on, until its block is left.

    It is served from threads; what they serve is replaced as a whole.

    Args:
        voice: of the viewer's language.
        sight: what is shown.
        port: 0: any that is free; None: the usual one, or any that is free if it is taken.
        verifier: of the deliverer's signature; None: nothing is delivered here.

    Raises NoPageAddress if the port is taken.
    """

    def __init__(
        self, voice: DemoVoice, sight: PageModel, port: int | None = None, verifier: Verifier | None = None
    ) -> None:
        self._sight, self._verifier = sight, verifier
        self._delivered: dict[str, None] = {}  # ids of alerts, in order
        self._alerts: list[dict[str, Any]] = []
        self._states: dict[str, str] = {}
        self._count = 0
        self._told: _Told = (sight.nothing_yet(), [], {})
        self._page = _Page(voice, sight)
        folder = files("stream_app.demo") / "web"
        self._files = {
            "/style.css": ((folder / "style.css").read_bytes(), "css"),
            "/page.js": ((folder / "page.js").read_bytes(), "js"),
        }
        self._server = self._served(DEFAULT_PORT if port is None else port, or_any=port is None)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def _served(self, port: int, *, or_any: bool) -> ThreadingHTTPServer:
        try:
            return ThreadingHTTPServer((HOST, port), _handler(self))
        except OSError as error:
            if or_any:
                return self._served(0, or_any=False)
            raise NoPageAddress(port=port, problem=error.strerror or error) from error

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self._server.server_port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def update(self, board: DemoState, shop: ShopSimulation, changed: Sequence[Listed], left: float) -> None:
        """See Show."""
        for listed in changed:
            self._note(listed)
        figures = self._sight.figures(board, shop, left)
        self._told = (figures, list(self._alerts), dict(self._states))

    def _note(self, listed: Listed) -> None:
        """Keep an alert that is new, and the state of one that is kept."""
        alert_id = listed.alert.alert_id
        if listed.state == OPEN:
            self._count += 1
            self._alerts.append(self._sight.alert(listed, self._count))
        elif alert_id not in self._states:
            return  # it is older than what is kept, or was over between two looks
        self._states[alert_id] = listed.state
        for gone in self._alerts[:-_KEPT]:
            self._states.pop(gone["alert_id"], None)
        del self._alerts[:-_KEPT]

    def deliver(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Take in what the deliverer brings; anything else is refused."""
        if self._verifier is None or self._verifier.problem(headers, body, time.time()) is not None:
            return HTTPStatus.UNAUTHORIZED
        try:
            told = _delivered.decode(body)
        except ValueError:  # of msgspec, and of bytes that are not UTF-8
            return HTTPStatus.BAD_REQUEST
        self._delivered[told.data.alert.alert_id] = None
        while len(self._delivered) > _REMEMBERED:
            del self._delivered[next(iter(self._delivered))]
        return HTTPStatus.NO_CONTENT

    def answer(self, path: str) -> tuple[bytes, str] | None:
        """What stands at a path: bytes and kind; None: nothing."""
        asked = urlsplit(path)
        if asked.path == "/":
            return self._page.drawn(self._told, self._delivered.keys()), "html"
        if asked.path != "/state":
            return self._files.get(asked.path)
        figures, alerts, states = self._told
        try:
            after = int(parse_qs(asked.query).get("after", ["0"])[0])
        except ValueError:
            after = 0
        new = [alert for alert in alerts if alert["number"] > after]
        delivered = [alert_id for alert_id in states if alert_id in self._delivered]
        told = {"figures": figures, "alerts": new, "states": states, "delivered": delivered}
        return msgspec.json.encode(told), "json"


class Several:
    """Shows that are shown to at once; the first one is entered last, and left first."""

    def __init__(self, *shows: Show) -> None:
        self._shows = shows

    def __enter__(self) -> Self:
        for show in reversed(self._shows):
            show.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for show in self._shows:
            show.__exit__(kind, error, trace)

    def update(self, board: DemoState, shop: ShopSimulation, changed: Sequence[Listed], left: float) -> None:
        """See Show."""
        for show in self._shows:
            show.update(board, shop, changed, left)


class _Page:
    """The page with what is known when somebody asks for it: it tells of it before its script has run."""

    def __init__(self, voice: DemoVoice, sight: PageModel) -> None:
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("stream_app.demo", "web"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._states = sight.states()
        words = {"over": voice.say("page.over"), "states": self._states}
        self._template = environment.get_template("index.html.j2")
        self._always = {
            "lang": voice.lang,
            "say": voice.say,
            "words": json.dumps(words, ensure_ascii=False),
            "blank": _BLANK,
        }

    def drawn(self, told: _Told, delivered: Container[str]) -> bytes:
        """Its bytes."""
        figures, alerts, states = told
        shown = [
            {
                "alert": alert,
                "state": self._state(states[alert["alert_id"]], urgent=alert["urgent"]),
                "delivered": alert["alert_id"] in delivered,
            }
            for alert in sorted(alerts, key=_place)
        ]
        after = max((alert["number"] for alert in alerts), default=0)
        return self._template.render(**self._always, figures=figures, alerts=shown, after=after).encode()

    def _state(self, state: str, *, urgent: bool) -> dict[str, Any]:
        told = self._states[URGENT if urgent and state == OPEN else state]
        return told | {"ended": state != OPEN}


def _place(alert: Mapping[str, Any]) -> tuple[int, int, int]:
    """The newest first, and of one moment the most pressing."""
    return -alert["at"], alert["rank"], -alert["number"]


def _handler(page: WebPage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0  # seconds that a silent connection may hold a thread

        def do_GET(self) -> None:
            """Answer, to those who ask for this machine by its name: no other page may have us asked by ours."""
            found = page.answer(self.path) if asked_directly(self.headers.get("Host")) else None
            body, kind = found or (b"", "html")
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", f"{_TYPES[kind]}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            """Take in a delivery."""
            size = self.headers.get("Content-Length", "")
            if self.path != f"/{DELIVERED}" or not size.isdecimal() or int(size) > _MOST_BYTES:
                status = HTTPStatus.NOT_FOUND
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = page.deliver(headers, self.rfile.read(int(size)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
            """Say nothing: the terminal is in use."""

    return Handler
