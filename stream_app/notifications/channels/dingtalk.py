"""Robots of DingTalk groups (钉钉自定义机器人): Markdown, at most 20 messages per minute, signed in the query."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_plus

from stream_app.core.delivery.answer import Answer
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.notifications.channels.channel import ChannelKind, Endpoint
from stream_app.notifications.channels.http import Poster, hidden_parts
from stream_app.notifications.channels.robot import Codes, post_to_robot

LIMITS: Final = (Limit(20, MINUTE_US),)  # a robot that exceeds this is blocked for 10 minutes
MAX_BYTES: Final = 20_000  # maximum size of the request body
TEXT_BYTES: Final = 15_000  # less than MAX_BYTES, since JSON escapes quotation marks and line breaks

CODES: Final = Codes(
    field="errcode",
    message="errmsg",
    busy={-1: 10 * SECOND_US, 130101: 10 * MINUTE_US, 410100: 10 * MINUTE_US, 90030: 10 * MINUTE_US},
    refused={
        310000: "The robot's security setting rejected the message. 加签: check the secret and this machine's clock."
        " 自定义关键词: add the keyword to the template. IP 地址段: add this machine's address.",
        300001: "The access_token is unknown: copy the robot's address again.",
        300005: "The access_token is unknown: copy the robot's address again.",
        400101: "The access_token is unknown: copy the robot's address again.",
        400102: "The robot is disabled: enable it in the group's settings.",
        400106: "The robot was removed from the group: add it again.",
        460101: "The message is too long: shorten its template.",
    },
    otherwise="Look the code up in DingTalk's documentation of custom robots.",
)


class DingTalk:
    """A robot in one group chat.

    Args:
        poster: client for the robot's address, which contains its access_token.
        secret: SEC…, if the robot's security setting is signatures (加签); otherwise empty.
        url: the robot's address; no part of it is ever shown.
        now: clock, seconds since 1970.
    """

    def __init__(self, poster: Poster, secret: str, url: str, now: Callable[[], float] = time.time) -> None:
        self._poster, self._secret, self._now = poster, secret, now
        self._hidden = hidden_parts(url, secret)

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body = {"msgtype": "markdown", "markdown": {"title": message.title, "text": message.markdown}}
        query = signature(self._secret, int(self._now() * 1_000)) if self._secret else ""
        return await post_to_robot(self._poster, CODES, body, MAX_BYTES, self._hidden, query)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()


def signature(secret: str, now_ms: int) -> str:
    """Return the query string with the signature: HMAC-SHA256 of the time and the secret, with the secret as the key.

    >>> signature("SEC1", 1_700_000_000_000)
    'timestamp=1700000000000&sign=ukR4%2BWoOOBTGaOauYqugxVrMSFyr92q4hPxJxuOkiio%3D'
    """
    digest = hmac.new(secret.encode(), f"{now_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return f"timestamp={now_ms}&sign={quote_plus(base64.b64encode(digest))}"


def _make(endpoint: Endpoint) -> DingTalk:
    return DingTalk(Poster.to(endpoint), endpoint.keys[0] if endpoint.keys else "", endpoint.url)


KIND: Final = ChannelKind("dingtalk", _make, LIMITS, TEXT_BYTES, signing="optional")
