"""One way to post to a receiver: guarded, without redirects, within a time, and with errors that show no secret."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from yarl import URL

from stream_app.core.delivery.answer import Refused, Retry
from stream_app.errors import PrivateAddress
from stream_app.notifications.channels.address_guard import (
    GuardedResolver,
    Lookup,
    refuse_private_literal,
    system_lookup,
)

MAX_ANSWER_BYTES: Final = 65_536
_SHOWN: Final = 200  # characters of what a receiver says
_JSON: Final = "application/json; charset=utf-8"
_ALLOW: Final = "Write allow_private: true for the channel if this is a receiver of yours."
_SECRET_LENGTH: Final = 8  # what is shorter is a word or a number, and nobody's key
_AGENT: Final = "stream-app"


@dataclass(frozen=True)
class Reply:
    """What a receiver answered."""

    status: int
    body: bytes
    retry_after: int | None  # microseconds


class Poster:
    """Posts to one address.

    Args:
        url: the receiver's. It may hold a secret, so only its host is ever told.
        timeout_seconds: for the whole request.
        allow_private: whether it may stand in our own network.
        lookup: where addresses of names come from.
    """

    def __init__(
        self, url: str, *, timeout_seconds: float, allow_private: bool, lookup: Lookup = system_lookup
    ) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._allow_private, self._lookup = allow_private, lookup
        self._session: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """The only part of the address that may be shown."""
        return host_of(self._url)

    async def post(
        self, body: bytes, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> Reply | Retry | Refused:
        """Post once; what the network says instead of a reply is an answer already.

        Args:
            body: JSON.
            headers: beside the usual ones.
            query: to be appended to the address, encoded.
        """
        try:
            if not self._allow_private:  # as aiohttp will write the host: it makes 127.0.0.1 of other ways to write it
                refuse_private_literal(URL(self._url).raw_host or "")
            return await self._post(body, headers or {}, query)
        except PrivateAddress as error:
            return Refused(f"{self.host} leads to {error.facts['address']}, which is not a public address", _ALLOW)
        except TimeoutError:
            return Retry(f"no answer of {self.host} within {self._timeout_seconds:g} s")
        except (aiohttp.InvalidURL, ValueError):
            return Refused("the address is none", "Write https://host/path.")
        except (aiohttp.ClientError, OSError) as error:
            return Retry(self._failed(error))

    def _failed(self, error: Exception) -> str:
        """What the network did, without the error's text, which may show the address."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return f"the certificate of {self.host} is not trusted"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"cannot connect to {self.host}: {_words(error.os_error)}"
        return f"the connection to {self.host} broke: {type(error).__name__}"

    async def _post(self, body: bytes, headers: Mapping[str, str], query: str) -> Reply:
        url = f"{self._url}{'&' if '?' in self._url else '?'}{query}" if query else self._url
        given = {"Content-Type": _JSON, "User-Agent": _AGENT, **headers}
        session = self._opened()
        async with session.post(url, data=body, headers=given, allow_redirects=False) as response:
            answer = await _head_of(response.content)
            return Reply(response.status, answer, retry_after(response.headers.get("Retry-After"), datetime.now(UTC)))

    def _opened(self) -> aiohttp.ClientSession:
        """Made in the running loop. Proxies of the environment are not asked: they would resolve names themselves."""
        if self._session is None:
            resolver = GuardedResolver(allow_private=self._allow_private, lookup=self._lookup)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=32),
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)


async def _head_of(content: aiohttp.StreamReader) -> bytes:
    """An answer's body, as much of it as is read: it may come in pieces."""
    read = bytearray()
    while len(read) < MAX_ANSWER_BYTES and (piece := await content.read(MAX_ANSWER_BYTES - len(read))):
        read += piece
    return bytes(read)


def _words(error: OSError) -> str:
    if error.errno is None or isinstance(error, socket.gaierror):
        return "its name is not known"
    return os.strerror(error.errno)


def host_of(url: str) -> str:
    """The host of an address, all that may be shown of it.

    >>> host_of("https://oapi.dingtalk.com/robot/send?access_token=secret")
    'oapi.dingtalk.com'
    """
    try:
        return urlsplit(url).hostname or "the receiver"
    except ValueError:
        return "the receiver"


def hidden_parts(url: str, *secrets: str) -> tuple[str, ...]:
    """What must not be shown of an address: the whole, every value of its query, and the end of its path.

    >>> hidden_parts("https://host/send?access_token=0123456789&v=1")
    ('https://host/send?access_token=0123456789&v=1', '0123456789')
    """
    try:
        parts = urlsplit(url)
        found = [value for _, value in parse_qsl(parts.query)] + [parts.path.rpartition("/")[2]]
    except ValueError:
        found = []
    return (*(one for one in secrets if one), url, *(one for one in found if len(one) >= _SECRET_LENGTH))


def retry_after(text: str | None, now: datetime) -> int | None:
    """How long a receiver wants to be left alone, microseconds; None: it does not say, or nothing that is understood.

    >>> retry_after("120", datetime.now(UTC)), retry_after("soon", datetime.now(UTC))
    (120000000, None)
    """
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(int(text), 10**7) * 1_000_000
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(round((at - now).total_seconds() * 1e6), 0)


def shown(text: object, *secrets: str) -> str:
    """What a receiver said, in one short line and without our secrets.

    >>> shown("bad token t0psecret", "t0psecret")
    'bad token ***'
    """
    said = " ".join(str(text).split())
    for secret in secrets:
        if secret:
            said = said.replace(secret, "***")
    return said[:_SHOWN]


def unexpected(reply: Reply, host: str) -> Retry:
    """A status that says nothing of the message: later it may be another."""
    if 300 <= reply.status < 400:
        return Retry(f"{host} redirects (HTTP {reply.status}), which is not followed")
    return Retry(f"{host} answered HTTP {reply.status}", reply.retry_after)
