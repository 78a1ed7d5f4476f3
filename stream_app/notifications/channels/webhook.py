"""Webhooks signed as in Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), one JSON message per alert."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from stream_app.core.delivery.answer import Answer, Delivered, Gone
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.units import from_micros
from stream_app.notifications.channels.channel import ChannelKind, Endpoint
from stream_app.notifications.channels.http import Poster, Reply, unexpected
from stream_app.notifications.webhook_signature import signature, webhook_key

OPENED: Final = "alert.opened"


class WebhookChannel:
    """A receiver of Standard Webhooks.

    Args:
        poster: client for the receiver's address.
        keys: signing keys, newest first. While a key is being replaced, each request carries one signature per key.
        now: clock, seconds since 1970.
    """

    def __init__(self, poster: Poster, keys: Sequence[bytes], now: Callable[[], float] = time.time) -> None:
        self._poster, self._keys, self._now = poster, keys, now

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body, seconds = payload(message), int(self._now())
        headers = {
            "webhook-id": message.id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signature(key, message.id, seconds, body) for key in self._keys),
        }
        reply = await self._poster.post(body, headers)
        if not isinstance(reply, Reply):
            return reply
        if 200 <= reply.status < 300:
            return Delivered()
        if reply.status == HTTPStatus.GONE:
            return Gone(f"{self._poster.host} answered HTTP 410: it accepts no more messages")
        return unexpected(reply, self._poster.host)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()


def payload(message: OutboundMessage) -> bytes:
    """Return the request body. It depends only on the message, so every attempt sends the same bytes."""
    return msgspec.json.encode(
        {
            "type": OPENED,
            "timestamp": from_micros(message.opened_at),
            "data": {
                "alert": message.alert,
                "message": {"title": message.title, "markdown": message.markdown, "plain": message.plain},
            },
        }
    )


def _make(endpoint: Endpoint) -> WebhookChannel:
    return WebhookChannel(Poster.to(endpoint), [webhook_key(key) for key in endpoint.keys])


KIND: Final = ChannelKind("webhook", _make, concurrency=4, single=True, signing="required", rotates=True)
