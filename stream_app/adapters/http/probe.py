"""Client of /readyz, for health checks in containers without curl."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import Final

import msgspec

_SECONDS: Final = 3.0  # timeout; a container's health check waits 5 s


class Check(msgspec.Struct, frozen=True):
    """Result of one health check, as in the body of /readyz."""

    ok: bool = False
    reason: str = ""


class _Readiness(msgspec.Struct):
    alive: bool = True
    checks: dict[str, Check] = {}


def why_not_ready(port: int, host: str = "127.0.0.1") -> str:
    """Return why the service on a port is not ready, or an empty string if it is. Never raises."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer on port {port}: {getattr(error, 'strerror', None) or error}"
    finally:
        connection.close()
    return "" if answer.status == HTTPStatus.OK else _reason(body)


def _reason(body: bytes) -> str:
    """Return the failing checks with their reasons, from the body of /readyz."""
    try:
        readiness = msgspec.json.decode(body, type=_Readiness)
    except msgspec.DecodeError:
        return "does not send a valid readiness report"
    wrong = [f"{name}: {check.reason}" for name, check in readiness.checks.items() if not check.ok]
    return "; ".join(([] if readiness.alive else ["the event loop is blocked"]) + wrong) or "gives no reason"
