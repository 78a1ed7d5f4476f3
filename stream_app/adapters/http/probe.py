"""Asks a service of this machine whether it is ready: what `curl` would do, where there is none."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

_SECONDS: Final = 3.0  # for an answer; a container's health check waits for 5


@dataclass(frozen=True)
class Answer:
    """Whether it is ready, and if not, why."""

    ready: bool
    reason: str


class _Check(msgspec.Struct):
    ok: bool = False
    reason: str = ""


class _Told(msgspec.Struct):
    """What we want of /readyz."""

    alive: bool = True
    checks: dict[str, _Check] = {}


def ask(port: int, host: str = "127.0.0.1") -> Answer:
    """The answer of /readyz on a port. Never raises."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return Answer(False, f"does not answer on port {port}: {getattr(error, 'strerror', None) or error}")
    finally:
        connection.close()
    return Answer(answer.status == HTTPStatus.OK, _reason(body))


def _reason(body: bytes) -> str:
    """Which checks are not well."""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError:
        return "does not say how it is"
    wrong = [f"{name}: {check.reason}" for name, check in told.checks.items() if not check.ok]
    return "; ".join(([] if told.alive else ["its event loop stands still"]) + wrong)
