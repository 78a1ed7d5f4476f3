"""DingTalk group robots (钉钉自定义机器人): Markdown, at most 20 messages per minute, signed in the query."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final
from urllib.parse import quote_plus

from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.notifications.channels.channel import ChannelKind
from stream_app.notifications.channels.robot import Codes, Robot

LIMITS: Final = (Limit(20, MINUTE_US),)  # a robot that exceeds this is blocked for 10 minutes
TEXT_BYTES: Final = 15_000  # leaves room in the body for JSON escapes of quotes and line breaks


class DingTalk(Robot):
    """A robot in one group chat. It has a secret (SEC…) if its security setting is signatures (加签)."""

    max_bytes = 20_000
    codes = Codes(
        field="errcode",
        message="errmsg",
        busy={-1: 10 * SECOND_US, 130101: 10 * MINUTE_US, 410100: 10 * MINUTE_US, 90030: 10 * MINUTE_US},
        refused={
            310000: "The robot's security setting rejected the message. 加签: check the secret and this machine's"
            " clock. 自定义关键词: add the keyword to the template. IP 地址段: add this machine's address.",
            300001: "The access_token is unknown: copy the robot's address again.",
            300005: "The access_token is unknown: copy the robot's address again.",
            400101: "The access_token is unknown: copy the robot's address again.",
            400102: "The robot is disabled: enable it in the group's settings.",
            400106: "The robot was removed from the group: add it again.",
            460101: "The message is too long: shorten its template.",
        },
        otherwise="Look the code up in DingTalk's documentation of custom robots.",
    )

    def request(self, message: OutboundMessage) -> tuple[dict[str, object], str]:
        """See `Robot.request`."""
        content = {"title": message.title, "text": message.markdown}
        query = signature(self.secret, int(self._now() * 1_000)) if self.secret else ""
        return {"msgtype": "markdown", "markdown": content}, query


def signature(secret: str, now_ms: int) -> str:
    """Return the query string with the signature: HMAC-SHA256 of the time and the secret, with the secret as the key.

    >>> signature("SEC1", 1_700_000_000_000)
    'timestamp=1700000000000&sign=ukR4%2BWoOOBTGaOauYqugxVrMSFyr92q4hPxJxuOkiio%3D'
    """
    digest = hmac.new(secret.encode(), f"{now_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return f"timestamp={now_ms}&sign={quote_plus(base64.b64encode(digest))}"


KIND: Final = ChannelKind("dingtalk", DingTalk, LIMITS, TEXT_BYTES, signing="optional")
