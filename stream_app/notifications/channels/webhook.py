"""Signed webhooks by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): each alert as JSON."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from stream_app.core.delivery.answer import Answer, Delivered, Gone
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.notifications.channels.http import Poster, Reply, unexpected

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)  # as Standard Webhooks 1.0.0 wants it
OPENED: Final = "alert.opened"


class Webhook:
    """A receiver of Standard Webhooks.

    Args:
        poster: to its address.
        keys: secrets in bytes, the newest first. While one is replaced, each request bears a signature by each.
        now: seconds since 1970.
    """

    def __init__(self, poster: Poster, keys: Sequence[bytes], now: Callable[[], float] = time.time) -> None:
        self._poster, self._keys, self._now = poster, keys, now

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body, stamp = payload(message), str(int(self._now()))
        headers = {
            "webhook-id": message.id,
            "webhook-timestamp": stamp,
            "webhook-signature": signatures(self._keys, message.id, stamp, body),
        }
        reply = await self._poster.post(body, headers)
        if not isinstance(reply, Reply):
            return reply
        if 200 <= reply.status < 300:
            return Delivered()
        if reply.status == HTTPStatus.GONE:
            return Gone(f"{self._poster.host} answered HTTP 410: it wants no more")
        return unexpected(reply, self._poster.host)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()


def payload(message: OutboundMessage) -> bytes:
    """The body: a function of the letter alone, so that it is the same at every attempt."""
    return msgspec.json.encode(
        {
            "type": OPENED,
            "timestamp": EPOCH + message.opened_at * MICROSECOND,
            "data": {
                "alert": message.alert,
                "message": {"title": message.title, "markdown": message.markdown, "plain": message.plain},
            },
        }
    )


def signatures(keys: Sequence[bytes], name: str, stamp: str, body: bytes) -> str:
    """The header `webhook-signature`: one signature a key.

    >>> signatures([b"k" * 24], "msg", "0", b"{}")
    'v1,7oae1+wsAOG4o0P0WIjPDotxZBYqz6uG3XxwwLF7ohE='
    """
    signed = name.encode() + b"." + stamp.encode() + b"." + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def key_of(secret: str) -> bytes:
    """The key in a secret, `whsec_` and base64; raises ValueError, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in KEY_BYTES:
        raise ValueError("is no secret of Standard Webhooks")
    return key
