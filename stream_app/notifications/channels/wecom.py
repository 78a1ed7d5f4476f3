"""A robot of a WeCom group (企业微信群机器人): Markdown, at most 20 messages a minute, 2,048 bytes of text."""

from __future__ import annotations

from typing import Final

from stream_app.core.delivery.answer import Answer, Refused
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import MINUTE, SECOND, Limit
from stream_app.notifications.channels.http import Poster, hidden_parts
from stream_app.notifications.channels.robot import Codes, told

LIMITS: Final = (Limit(20, MINUTE),)
TEXT_BYTES: Final = 2_048  # what every kind of message takes; Markdown alone takes 4,096
MAX_BYTES: Final = 16_384  # of the whole body, which JSON makes longer than its text

CODES: Final = Codes(
    field="errcode",
    message="errmsg",
    busy={-1: 10 * SECOND, 45009: MINUTE, 45033: 10 * SECOND},
    refused={
        93000: "The key is unknown: copy the robot's address again.",
        93004: "The robot is switched off: switch it on in the group.",
        93008: "The robot is not in the group any more: add it again.",
        40058: "The message is too long or not as WeCom wants it: shorten its template.",
        44004: "The message is empty: look at its template.",
    },
    otherwise="Look the code up in WeCom's documentation of group robots.",
)


class WeCom:
    """One robot.

    Args:
        poster: to its address, which holds its key.
        url: its address, so that it is never shown.
    """

    def __init__(self, poster: Poster, url: str) -> None:
        self._poster = poster
        self._hidden = hidden_parts(url)

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        size = len(message.markdown.encode())
        if size > TEXT_BYTES:
            return Refused(f"the text has {size:,} bytes, more than {TEXT_BYTES:,}", "Shorten its template.")
        body = {"msgtype": "markdown", "markdown": {"content": message.markdown}}
        return await told(self._poster, CODES, body, MAX_BYTES, self._hidden)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()
