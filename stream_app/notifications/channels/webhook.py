"""Webhooks signed as in Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), one JSON message per alert."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from stream_app.core.delivery.answer import Answer, Delivered, Gone
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.messages.alerts import AlertText, WebhookBody, WebhookData
from stream_app.core.messages.schema import encode_message
from stream_app.core.units import from_micros
from stream_app.notifications.channels.address_guard import Lookup, system_lookup
from stream_app.notifications.channels.channel import ChannelKind, Endpoint
from stream_app.notifications.channels.http import HttpChannel, Reply, unexpected
from stream_app.notifications.webhook_signature import signature, webhook_key


class WebhookChannel(HttpChannel):
    """A receiver of Standard Webhooks.

    While a secret is being replaced, each request carries one signature per secret, newest first.
    """

    def __init__(
        self, endpoint: Endpoint, now: Callable[[], float] = time.time, lookup: Lookup = system_lookup
    ) -> None:
        super().__init__(endpoint, now, lookup)
        self._keys = [webhook_key(key) for key in endpoint.keys]

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body, seconds = payload(message), int(self._now())
        headers = {
            "webhook-id": message.id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signature(key, message.id, seconds, body) for key in self._keys),
        }
        reply = await self.post(body, headers)
        if not isinstance(reply, Reply):
            return reply
        if 200 <= reply.status < 300:
            return Delivered()
        if reply.status == HTTPStatus.GONE:
            return Gone(f"{self.host} answered HTTP 410: it no longer accepts messages")
        return unexpected(reply, self.host)


def payload(message: OutboundMessage) -> bytes:
    """Return the request body. It depends only on the message, so every attempt sends the same bytes."""
    if message.alert is None:
        raise ValueError("a webhook gets each alert separately")
    text = AlertText(message.title, message.markdown, message.plain)
    return encode_message(WebhookBody(from_micros(message.opened_at), WebhookData(message.alert, text)))


KIND: Final = ChannelKind("webhook", WebhookChannel, concurrency=4, single=True, signing="required", rotates=True)
