"""Web page of the demo: live figures, and alerts with cause, evidence and measure. Served on loopback only."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jinja2
import msgspec

from stream_app.demo.host_check import is_local_host
from stream_app.demo.page_model import URGENT, PageModel
from stream_app.demo.simulation import ShopSimulation
from stream_app.demo.state import OPEN, DemoState, ListedAlert
from stream_app.demo.views import View
from stream_app.errors import CannotListen
from stream_app.i18n import Translator
from stream_app.notifications.webhook_signature import Verifier

DEFAULT_PORT: Final = 8465
HOST: Final = "127.0.0.1"
_KEPT: Final = 60  # maximum alerts kept for a page that is opened late
_TEXTS: Final = ("alert_id", "at", "rank", "tone", "who", "risk", "about", "todo", "never", "until")
_LISTS: Final = ("causes", "evidence", "steps")
DELIVERED: Final = "delivered"  # path of the webhook
_MAX_DELIVERED: Final = 2_000  # maximum ids kept
_MAX_BYTES: Final = 100_000  # maximum size of a webhook delivery
# The page loads nothing from elsewhere, and text in an alert cannot run as script.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json"}

_Content = tuple[dict[str, Any], list[dict[str, Any]], dict[str, str]]  # figures, alerts, states by alert id
_BLANK: Final[dict[str, dict[str, Any]]] = {  # an alert for the script to fill in
    "alert": {"urgent": False} | dict.fromkeys(_TEXTS, "") | {name: [] for name in _LISTS},
    "state": {"name": "", "tone": "", "ended": False},
}


class WebPage(View):
    """A view served on a loopback port from construction until its context exits.

    The page is served by threads, so its content is always replaced as a whole.

    Args:
        translator: translator into the viewer's language.
        model: view model of the page.
        port: port to listen on; 0 for any free port, None for the default port or, if that is taken, any free one.
        verifier: verifier of the notifier's signatures; without one, all deliveries are rejected.

    Raises CannotListen if the port is taken.
    """

    def __init__(
        self, translator: Translator, model: PageModel, port: int | None = None, verifier: Verifier | None = None
    ) -> None:
        self._model, self._verifier = model, verifier
        self._delivered: dict[str, None] = {}  # ids of alerts, in order
        self._alerts: list[dict[str, Any]] = []
        self._states: dict[str, str] = {}
        self._count = 0
        self._content: _Content = (model.initial_figures(), [], {})
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("stream_app.demo", "web"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._template = environment.get_template("index.html.j2")
        self._state_names = model.states()
        words = {"over": translator.text("page.over"), "states": self._state_names}
        self._constants = {
            "lang": translator.lang,
            "text": translator.text,
            "words": json.dumps(words, ensure_ascii=False),
            "blank": _BLANK,
        }
        folder = files("stream_app.demo") / "web"
        self._files = {
            "/style.css": ((folder / "style.css").read_bytes(), "css"),
            "/page.js": ((folder / "page.js").read_bytes(), "js"),
        }
        self._server = self._start(DEFAULT_PORT if port is None else port, or_any=port is None)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def _start(self, port: int, *, or_any: bool) -> ThreadingHTTPServer:
        try:
            return ThreadingHTTPServer((HOST, port), _handler(self))
        except OSError as error:
            if or_any:
                return self._start(0, or_any=False)
            problem, remedy = error.strerror or error, "Choose another --port, or 0 for any free port."
            raise CannotListen(server="The demo page", host=HOST, port=port, problem=problem, remedy=remedy) from error

    @property
    def address(self) -> str:
        """URL of the page."""
        return f"http://{HOST}:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def update(self, state: DemoState, shop: ShopSimulation, changed: Sequence[ListedAlert], left: float) -> None:
        """See `View.update`."""
        for listed in changed:
            self._keep(listed)
        figures = self._model.figures(state, shop, left)
        self._content = (figures, list(self._alerts), dict(self._states))

    def _keep(self, listed: ListedAlert) -> None:
        alert_id = listed.alert.alert_id
        if listed.state == OPEN:
            self._count += 1
            self._alerts.append(self._model.alert(listed, self._count))
        elif alert_id not in self._states:
            return  # too old to be stored, or opened and closed between two updates
        self._states[alert_id] = listed.state
        for gone in self._alerts[:-_KEPT]:
            self._states.pop(gone["alert_id"], None)
        del self._alerts[:-_KEPT]

    def deliver(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Accept a delivery from the notifier and return the HTTP status."""
        if self._verifier is None or self._verifier.problem(headers, body, time.time()) is not None:
            return HTTPStatus.UNAUTHORIZED
        try:
            alert_id = json.loads(body)["data"]["alert"]["alert_id"]
        except (ValueError, LookupError, TypeError):
            return HTTPStatus.BAD_REQUEST
        self._delivered[str(alert_id)] = None
        while len(self._delivered) > _MAX_DELIVERED:
            del self._delivered[next(iter(self._delivered))]
        return HTTPStatus.NO_CONTENT

    def answer(self, path: str) -> tuple[bytes, str] | None:
        """Return the content served at a path and its kind, or None if there is nothing."""
        url = urlsplit(path)
        if url.path == "/":
            return self._render(), "html"
        if url.path != "/state":
            return self._files.get(url.path)
        figures, alerts, states = self._content
        try:
            after = int(parse_qs(url.query).get("after", ["0"])[0])
        except ValueError:
            after = 0
        new = [alert for alert in alerts if alert["number"] > after]
        delivered = [alert_id for alert_id in states if alert_id in self._delivered]
        update = {"figures": figures, "alerts": new, "states": states, "delivered": delivered}
        return msgspec.json.encode(update), "json"

    def _render(self) -> bytes:
        """Render the page with its current content. It is complete before its script runs."""
        figures, alerts, states = self._content
        newest_first = sorted(alerts, key=lambda one: (-one["at"], one["rank"], -one["number"]))
        shown = [
            {
                "alert": alert,
                "state": self._state(states[alert["alert_id"]], urgent=alert["urgent"]),
                "delivered": alert["alert_id"] in self._delivered,
            }
            for alert in newest_first
        ]
        after = max((alert["number"] for alert in alerts), default=0)
        return self._template.render(**self._constants, figures=figures, alerts=shown, after=after).encode()

    def _state(self, state: str, *, urgent: bool) -> dict[str, Any]:
        return self._state_names[URGENT if urgent and state == OPEN else state] | {"ended": state != OPEN}


def _handler(page: WebPage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0  # timeout in seconds, after which an idle connection releases its thread

        def do_GET(self) -> None:
            """Serve a file or the state, but only if the Host header names this machine."""
            found = page.answer(self.path) if is_local_host(self.headers.get("Host")) else None
            body, kind = found or (b"", "html")
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", f"{_TYPES[kind]}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            """Accept a delivery."""
            size = self.headers.get("Content-Length", "")
            if self.path != f"/{DELIVERED}" or not size.isdecimal() or int(size) > _MAX_BYTES:
                status = HTTPStatus.NOT_FOUND
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = page.deliver(headers, self.rfile.read(int(size)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
            """Log nothing, since the demo uses the terminal."""

    return Handler
