"""A robot of a DingTalk group (钉钉自定义机器人): Markdown, at most 20 messages a minute, signed in the query."""

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
from stream_app.core.delivery.retry import MINUTE, SECOND, Limit
from stream_app.notifications.channels.http import Poster, hidden_parts
from stream_app.notifications.channels.robot import Codes, told

LIMITS: Final = (Limit(20, MINUTE),)  # who exceeds it is silenced for 10 minutes
MAX_BYTES: Final = 20_000  # of the whole body
TEXT_BYTES: Final = 15_000  # quotation marks and line ends take two bytes each in JSON

CODES: Final = Codes(
    field="errcode",
    message="errmsg",
    busy={-1: 10 * SECOND, 130101: 10 * MINUTE, 410100: 10 * MINUTE, 90030: 10 * MINUTE},
    refused={
        310000: "Its security setting refuses. 加签: check the secret and this machine's clock. 自定义关键词: every"
        " message must hold the keyword. IP 地址段: add this machine's address.",
        300001: "The access_token is unknown: copy the robot's address again.",
        300005: "The access_token is unknown: copy the robot's address again.",
        400101: "The access_token is unknown: copy the robot's address again.",
        400102: "The robot is switched off: switch it on in the group's settings.",
        400106: "The robot is not in the group any more: add it again.",
        460101: "The message is too long: shorten its template.",
    },
    otherwise="Look the code up in DingTalk's documentation of custom robots.",
)


class DingTalk:
    """One robot.

    Args:
        poster: to its address, which holds its access_token.
        secret: SEC…, if its security setting is the signature.
        url: its address, so that it is never shown.
        now: seconds since 1970.
    """

    def __init__(self, poster: Poster, secret: str, url: str, now: Callable[[], float] = time.time) -> None:
        self._poster, self._secret, self._now = poster, secret, now
        self._hidden = hidden_parts(url, secret)

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body = {"msgtype": "markdown", "markdown": {"title": message.title, "text": message.markdown}}
        query = signature(self._secret, int(self._now() * 1_000)) if self._secret else ""
        return await told(self._poster, CODES, body, MAX_BYTES, self._hidden, query)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()


def signature(secret: str, now_ms: int) -> str:
    """The query that proves the secret: HMAC-SHA256 of the time and the secret, under the secret.

    >>> signature("SEC1", 1_700_000_000_000)
    'timestamp=1700000000000&sign=ukR4%2BWoOOBTGaOauYqugxVrMSFyr92q4hPxJxuOkiio%3D'
    """
    digest = hmac.new(secret.encode(), f"{now_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return f"timestamp={now_ms}&sign={quote_plus(base64.b64encode(digest))}"
