"""Receivers of alerts: one that takes everything, and one that is out of order."""

from __future__ import annotations

from contextlib import AbstractContextManager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self


class _Site(ThreadingHTTPServer):
    taken: int = 0  # alerts; one thread adds at a time, or one is missed: it is for people


class _Answering(BaseHTTPRequestHandler):
    server: _Site

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        refused = self.path == "/spare"
        self.server.taken += not refused
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE if refused else HTTPStatus.OK)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        pass


class Receiver(AbstractContextManager["Receiver"]):
    """Listens on loopback: `/team` answers 200, `/spare` 503."""

    def __enter__(self) -> Self:
        self._server = _Site(("127.0.0.1", 0), _Answering)
        self._thread = Thread(target=self._server.serve_forever, name="receiver", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def taken(self) -> int:
        """How many posts were answered with 200."""
        return self._server.taken

    def url(self, name: str) -> str:
        """The address of a receiver."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"
