"""Robots of WeCom groups (企业微信群机器人): Markdown, at most 20 messages per minute, 2,048 bytes of text."""

from __future__ import annotations

from typing import Final

from stream_app.core.delivery.answer import Answer, Refused
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.notifications.channels.channel import ChannelKind, Endpoint
from stream_app.notifications.channels.http import Poster, hidden_parts
from stream_app.notifications.channels.robot import Codes, post_to_robot

LIMITS: Final = (Limit(20, MINUTE_US),)
TEXT_BYTES: Final = 2_048  # the limit common to all message types; Markdown allows 4,096
MAX_BYTES: Final = 16_384  # limit of the request body, which is longer than its text because of JSON escapes

CODES: Final = Codes(
    field="errcode",
    message="errmsg",
    busy={-1: 10 * SECOND_US, 45009: MINUTE_US, 45033: 10 * SECOND_US},
    refused={
        93000: "The key is unknown: copy the robot's address again.",
        93004: "The robot is disabled: enable it in the group's settings.",
        93008: "The robot was removed from the group: add it again.",
        40058: "The message is too long or malformed: shorten or fix its template.",
        44004: "The message is empty: check its template.",
    },
    otherwise="Look the code up in WeCom's documentation of group robots.",
)


class WeCom:
    """A robot in one group chat.

    Args:
        poster: client for the robot's address, which contains its key.
        url: the robot's address; no part of it is ever shown.
    """

    def __init__(self, poster: Poster, url: str) -> None:
        self._poster = poster
        self._hidden = hidden_parts(url)

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        size = len(message.markdown.encode())
        if size > TEXT_BYTES:
            return Refused(
                f"the text has {size:,} bytes, more than the limit of {TEXT_BYTES:,}", "Shorten its template."
            )
        body = {"msgtype": "markdown", "markdown": {"content": message.markdown}}
        return await post_to_robot(self._poster, CODES, body, MAX_BYTES, self._hidden)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()


def _make(endpoint: Endpoint) -> WeCom:
    return WeCom(Poster.to(endpoint), endpoint.url)


KIND: Final = ChannelKind("wecom", _make, LIMITS, TEXT_BYTES)
