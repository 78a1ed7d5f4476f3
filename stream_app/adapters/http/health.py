"""Health and metrics over HTTP, from threads: they answer while the event loop is blocked, when they matter."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream_app.errors import NoHealthAddress

MAX_REQUESTS: Final = 8  # at once; more are closed: a probe that is not answered is repeated
REQUEST_SECONDS: Final = 5  # for a client to say what it wants
BEAT_SECONDS: Final = 30.0  # without a beat of the event loop it counts as blocked
JSON: Final = "application/json"


@dataclass(frozen=True)
class Check:
    """One thing that must be well."""

    ok: bool
    reason: str


class Health:
    """What the process knows of its own health. Written by the event loop, read by the server's threads.

    Args:
        expected: names of the checks that must be well before the process is ready.
        beat_within: seconds in which `beat` must be called again.
        clock: seconds that never go back.

    >>> health = Health(["redis"], clock=lambda: 0.0)
    >>> health.ready, health.checks["redis"].reason
    (False, 'not heard of yet')
    >>> health.set("redis", True)
    >>> health.ready, health.alive
    (True, True)
    """

    def __init__(
        self,
        expected: Iterable[str] = (),
        beat_within: float = BEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._checks = {name: Check(False, "not heard of yet") for name in expected}
        self._beat_within = beat_within
        self._clock = clock
        self._beaten = clock()

    def set(self, name: str, ok: bool, reason: str = "") -> None:
        """Tell how one thing is; `reason` is for who has to mend it."""
        with self._lock:
            self._checks[name] = Check(ok, reason)

    def beat(self) -> None:
        """Tell that the event loop turns."""
        self._beaten = self._clock()

    @property
    def silent_seconds(self) -> float:
        """Time since the last beat."""
        return self._clock() - self._beaten

    @property
    def alive(self) -> bool:
        """Whether the event loop turns."""
        return self.silent_seconds <= self._beat_within

    @property
    def ready(self) -> bool:
        """Whether the process is alive and every check is well."""
        return self.alive and all(check.ok for check in self.checks.values())

    @property
    def checks(self) -> dict[str, Check]:
        """A copy of all checks."""
        with self._lock:
            return dict(self._checks)


class HealthServer:
    """Serves /livez, /readyz and /metrics, and nothing else.

    Args:
        health: of the process.
        registry: its metrics.
        host: address to listen on; beyond the loopback only by decision, since nothing here asks who is there.
        port: 0 takes a free one; `port` then tells which.

    Raises:
        NoHealthAddress: host and port cannot be listened on.
    """

    def __init__(self, health: Health, registry: CollectorRegistry, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._server = _Server(health, registry, host, port)
        except (OSError, OverflowError) as error:
            problem = getattr(error, "strerror", None) or str(error)
            raise NoHealthAddress(host=host, port=port, problem=problem) from error
        self.port: Final = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, health: Health, registry: CollectorRegistry, host: str, port: int) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.health = health
        self.registry = registry
        self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name in HTTPServer, which may take seconds and is used for nothing."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Say nothing of clients that go away in the middle: probes do so."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        answers = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}
        answer = answers.get(self.path.partition("?")[0])
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, JSON, msgspec.json.encode({"paths": sorted(answers)}))
        else:
            self._send(*answer())

    do_HEAD = do_GET  # noqa: N815 - named by BaseHTTPRequestHandler

    def _livez(self) -> tuple[HTTPStatus, str, bytes]:
        health = self.server.health
        body = {"alive": health.alive, "silent_seconds": round(health.silent_seconds, 3)}
        return _status(health.alive), JSON, msgspec.json.encode(body)

    def _readyz(self) -> tuple[HTTPStatus, str, bytes]:
        health = self.server.health
        ready = health.ready
        checks = {name: asdict(check) for name, check in health.checks.items()}
        body = {"ready": ready, "alive": health.alive, "checks": checks}
        return _status(ready), JSON, msgspec.json.encode(body)

    def _metrics(self) -> tuple[HTTPStatus, str, bytes]:
        encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
        return HTTPStatus.OK, content_type, encoder(self.server.registry)

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "stream-app"

    def log_message(self, *_: object) -> None:
        """Write no line for a probe: there is one every few seconds."""


def _status(well: bool) -> HTTPStatus:
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
