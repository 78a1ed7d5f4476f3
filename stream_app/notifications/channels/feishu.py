"""Feishu group robots (飞书自定义机器人): cards, 100 per minute and 5 per second, 20 KB, signed in the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.notifications.channels.channel import ChannelKind
from stream_app.notifications.channels.robot import Codes, Robot

LIMITS: Final = (Limit(100, MINUTE_US), Limit(5, SECOND_US))
TEXT_BYTES: Final = 15_000  # leaves room in the body for JSON escapes of quotes and line breaks


class Feishu(Robot):
    """A robot in one group chat. It has a secret if signatures (签名校验) are turned on."""

    max_bytes = 20 * 1024
    codes = Codes(
        field="code",
        message="msg",
        busy={11232: MINUTE_US, 230020: MINUTE_US, 99991400: MINUTE_US},
        refused={
            9499: "Feishu rejected the format of the body. Please report this as a bug.",
            19001: "The address is unknown: copy the robot's address again.",
            19021: "The signature was rejected: check the secret (签名校验) and this machine's clock.",
            19022: "Add this machine's address to the robot's list (IP 白名单).",
            19024: "Messages must contain the keyword (自定义关键词): add it to the template, or use signatures.",
        },
        otherwise="Look the code up in Feishu's documentation of custom bots.",
    )

    def request(self, message: OutboundMessage) -> tuple[dict[str, object], str]:
        """See `Robot.request`."""
        body: dict[str, object] = {
            "msg_type": "interactive",
            "card": {
                "header": {"title": {"tag": "plain_text", "content": message.title}},
                "elements": [{"tag": "markdown", "content": below_header(message.title, message.markdown)}],
            },
        }
        if self.secret:
            stamp = int(self._now())
            body |= {"timestamp": str(stamp), "sign": signature(self.secret, stamp)}
        return body, ""


def below_header(title: str, markdown: str) -> str:
    r"""Return a card's text without its first line if that repeats the title shown in the header.

    >>> below_header("2 customers at risk", "**2 customers at risk**\n\nann ...")
    'ann ...'
    """
    return markdown.removeprefix(f"**{title}**").lstrip("\n") or markdown


def signature(secret: str, now: int) -> str:
    """Return the signature: HMAC-SHA256 of an empty message, with the time and the secret as the key.

    >>> signature("s", 1_700_000_000)
    '+z1fiKH1w9xoRwSUZju5W5ZBj/d5cwS4H+5mTClDOl4='
    """
    return base64.b64encode(hmac.new(f"{now}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


KIND: Final = ChannelKind("feishu", Feishu, LIMITS, TEXT_BYTES, signing="optional")
