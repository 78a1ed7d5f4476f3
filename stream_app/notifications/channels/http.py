"""HTTP client for receivers: guarded addresses, no redirects, a timeout, and errors that contain no secrets."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from yarl import URL

from stream_app.core.delivery.answer import Refused, Retry
from stream_app.core.units import SECOND_US
from stream_app.errors import PrivateAddress
from stream_app.notifications.channels.address_guard import (
    GuardedResolver,
    Lookup,
    refuse_private_literal,
    system_lookup,
)
from stream_app.notifications.channels.channel import Endpoint

MAX_ANSWER_BYTES: Final = 65_536
_SHOWN: Final = 200  # maximum characters shown of a receiver's error message
_JSON: Final = "application/json; charset=utf-8"
_ALLOW: Final = "Set allow_private: true for the channel if the receiver is in your own network."
_SECRET_LENGTH: Final = 8  # minimum length of a value to hide; shorter ones are ordinary words or numbers
_AGENT: Final = "stream-app"


@dataclass(frozen=True)
class Reply:
    """A receiver's HTTP response."""

    status: int
    body: bytes
    retry_after: int | None  # microseconds


class HttpChannel:
    """Base class of channels that post to one address.

    Args:
        endpoint: the receiver. Its address may contain a secret, so only its host is ever shown.
        now: clock, seconds since 1970.
        lookup: function that resolves names.
    """

    def __init__(
        self, endpoint: Endpoint, now: Callable[[], float] = time.time, lookup: Lookup = system_lookup
    ) -> None:
        self._endpoint, self._now, self._lookup = endpoint, now, lookup
        self._session: aiohttp.ClientSession | None = None
        self.host = host_of(endpoint.url)

    async def post(
        self, body: bytes, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> Reply | Retry | Refused:
        """Post once. Return the reply, or a Retry or Refused answer if the request fails.

        Args:
            body: JSON.
            headers: headers in addition to the usual ones.
            query: encoded query string to append to the address.
        """
        try:
            if not self._endpoint.allow_private:  # as aiohttp normalizes it: 127.0.0.1 has many spellings
                refuse_private_literal(URL(self._endpoint.url).raw_host or "")
            return await self._post(body, headers or {}, query)
        except PrivateAddress as error:
            return Refused(f"{self.host} resolves to {error.facts['address']}, which is not a public address", _ALLOW)
        except TimeoutError:
            return Retry(f"no answer from {self.host} within {self._endpoint.timeout_seconds:g} s")
        except (aiohttp.InvalidURL, ValueError):
            return Refused("the address is not a URL", "Use https://host/path.")
        except (aiohttp.ClientError, OSError) as error:
            return Retry(self._failed(error))

    def _failed(self, error: Exception) -> str:
        """Describe a network error without quoting its message, which may contain the address."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return f"the certificate of {self.host} is not trusted"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"cannot connect to {self.host}: {_words(error.os_error)}"
        return f"the connection to {self.host} failed: {type(error).__name__}"

    async def _post(self, body: bytes, headers: Mapping[str, str], query: str) -> Reply:
        url = self._endpoint.url
        if query:
            url += f"{'&' if '?' in url else '?'}{query}"
        all_headers = {"Content-Type": _JSON, "User-Agent": _AGENT, **headers}
        session = self._open()
        async with session.post(url, data=body, headers=all_headers, allow_redirects=False) as response:
            head = await _head_of(response.content)
            return Reply(response.status, head, retry_after(response.headers.get("Retry-After"), datetime.now(UTC)))

    def _open(self) -> aiohttp.ClientSession:
        """Return the session, creating it if needed. Proxy variables are ignored, since proxies would resolve names."""
        if self._session is None:
            resolver = GuardedResolver(allow_private=self._endpoint.allow_private, lookup=self._lookup)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=32),
                timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """See `Channel.close`."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)


async def _head_of(content: aiohttp.StreamReader) -> bytes:
    """Read the first MAX_ANSWER_BYTES of a body, which may arrive in several chunks."""
    read = bytearray()
    while len(read) < MAX_ANSWER_BYTES and (piece := await content.read(MAX_ANSWER_BYTES - len(read))):
        read += piece
    return bytes(read)


def _words(error: OSError) -> str:
    if error.errno is None or isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return os.strerror(error.errno)


def host_of(url: str) -> str:
    """Return the host of a URL.

    >>> host_of("https://oapi.dingtalk.com/robot/send?access_token=secret")
    'oapi.dingtalk.com'
    """
    try:
        return urlsplit(url).hostname or "the receiver"
    except ValueError:
        return "the receiver"


def hidden_parts(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that may be secret: the URL itself, its query values, and the last part of its path.

    >>> hidden_parts("https://host/send?access_token=0123456789&v=1")
    ('https://host/send?access_token=0123456789&v=1', '0123456789')
    """
    try:
        parts = urlsplit(url)
        found = [value for _, value in parse_qsl(parts.query)] + [parts.path.rpartition("/")[2]]
    except ValueError:
        found = []
    return (url, *(one for one in found if len(one) >= _SECRET_LENGTH))


def retry_after(text: str | None, now: datetime) -> int | None:
    """Parse a Retry-After header into microseconds to wait; return None if it is missing or invalid.

    >>> retry_after("120", datetime.now(UTC)), retry_after("soon", datetime.now(UTC))
    (120000000, None)
    """
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(int(text), 10**7) * SECOND_US
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(round((at - now).total_seconds() * SECOND_US), 0)


def shown(text: object, *secrets: str) -> str:
    """Return a receiver's error message as one short line, with our secrets masked.

    >>> shown("bad token t0psecret", "t0psecret")
    'bad token ***'
    """
    line = " ".join(str(text).split())
    for secret in secrets:
        line = line.replace(secret, "***")
    return line[:_SHOWN]


def unexpected(reply: Reply, host: str) -> Retry:
    """Return a Retry for an HTTP status that is not caused by the message, so a later attempt may succeed."""
    if 300 <= reply.status < 400:
        return Retry(f"{host} answered with a redirect (HTTP {reply.status}), which is not followed")
    return Retry(f"{host} answered HTTP {reply.status}", reply.retry_after)
