"""WeCom group robots (企业微信群机器人): Markdown, at most 20 messages per minute, 2,048 bytes of text."""

from __future__ import annotations

from typing import Final

from stream_app.core.delivery.answer import Answer, Refused
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.notifications.channels.channel import ChannelKind
from stream_app.notifications.channels.robot import Codes, Robot

LIMITS: Final = (Limit(20, MINUTE_US),)
TEXT_BYTES: Final = 2_048  # the limit common to all message types; Markdown allows 4,096


class WeCom(Robot):
    """A robot in one group chat."""

    max_bytes = 16_384  # limit of the request body, which is longer than its text because of JSON escapes
    codes = Codes(
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

    def request(self, message: OutboundMessage) -> tuple[dict[str, object], str]:
        """See `Robot.request`."""
        return {"msgtype": "markdown", "markdown": {"content": message.markdown}}, ""

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        size = len(message.markdown.encode())
        if size > TEXT_BYTES:
            return Refused(
                f"the text has {size:,} bytes, more than the limit of {TEXT_BYTES:,}", "Shorten its template."
            )
        return await super().send(message)


KIND: Final = ChannelKind("wecom", WeCom, LIMITS, TEXT_BYTES)
