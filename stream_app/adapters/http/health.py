"""Serves health and metrics over HTTP from threads, which keep working while the event loop is blocked."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream_app.adapters.http.probe import Check
from stream_app.errors import CannotListen

MAX_REQUESTS: Final = 8  # maximum number of concurrent requests; others are closed, and probes retry
REQUEST_SECONDS: Final = 5  # time for a client to send its request
BEAT_SECONDS: Final = 30.0  # without a heartbeat, after which the event loop counts as blocked
JSON: Final = "application/json"


class Health:
    """Health of the process, written by the event loop and read by the server's threads.

    Args:
        expected: names of checks that must pass before the process is ready.
        beat_within: maximum number of seconds between two calls of `beat`.
        clock: returns monotonic seconds.

    >>> health = Health(["redis"], clock=lambda: 0.0)
    >>> health.ready, health.checks["redis"].reason
    (False, 'not checked yet')
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
        self._checks = {name: Check(False, "not checked yet") for name in expected}
        self._beat_within = beat_within
        self._clock = clock
        self._beaten = clock()

    def set(self, name: str, ok: bool, reason: str = "") -> None:
        """Set the result of a check.

        Args:
            name: name of the check.
            ok: whether the check passed.
            reason: explanation for operators.
        """
        with self._lock:
            self._checks[name] = Check(ok, reason)

    def beat(self) -> None:
        """Record a heartbeat of the event loop."""
        self._beaten = self._clock()

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last heartbeat."""
        return self._clock() - self._beaten

    @property
    def alive(self) -> bool:
        """Whether the event loop is running."""
        return self.silent_seconds <= self._beat_within

    @property
    def ready(self) -> bool:
        """Whether the process is alive and all checks pass."""
        return self.alive and all(check.ok for check in self.checks.values())

    @property
    def checks(self) -> dict[str, Check]:
        """A copy of all check results."""
        with self._lock:
            return dict(self._checks)


class HealthServer(ThreadingHTTPServer):
    """HTTP server for /livez, /readyz and /metrics.

    Args:
        health: health of the process.
        registry: the process's metrics.
        host: address to listen on. There is no authentication, so use the loopback interface unless the network is
            trusted.
        port: port to listen on. If 0, a free one is chosen and stored in the attribute `port`.

    Raises:
        CannotListen: the server cannot listen on this address and port.
    """

    daemon_threads = True

    def __init__(self, health: Health, registry: CollectorRegistry, host: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.health, self.registry = health, registry
        self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            problem, server = getattr(error, "strerror", None) or error, "The health endpoint"
            remedy = "Set health.port to a free port, or to 0 to disable the endpoint."
            raise CannotListen(server=server, host=host, port=port, problem=problem, remedy=remedy) from error
        self.port: Final = int(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and release the port."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without HTTPServer's host name lookup, which is not needed and may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Handle a request in a thread, or close the connection if there are too many."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Handle a request and release its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Ignore errors of clients that disconnect early, as probes do."""


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
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
        return _report(health.alive, {"alive": health.alive, "silent_seconds": round(health.silent_seconds, 3)})

    def _readyz(self) -> tuple[HTTPStatus, str, bytes]:
        health = self.server.health
        ready = health.ready
        return _report(ready, {"ready": ready, "alive": health.alive, "checks": health.checks})

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
        """Do not log requests: probes arrive every few seconds."""


def _report(well: bool, body: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, JSON, msgspec.json.encode(body)
