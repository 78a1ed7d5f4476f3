"""A robot of a Feishu group (飞书自定义机器人): a card, 100 a minute and 5 a second, 20 KB, signed in the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

from stream_app.core.delivery.answer import Answer
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import MINUTE, SECOND, Limit
from stream_app.notifications.channels.http import Poster, hidden_parts
from stream_app.notifications.channels.robot import Codes, told

LIMITS: Final = (Limit(100, MINUTE), Limit(5, SECOND))
MAX_BYTES: Final = 20 * 1024  # of the whole body
TEXT_BYTES: Final = 15_000  # quotation marks and line ends take two bytes each in JSON

CODES: Final = Codes(
    field="code",
    message="msg",
    busy={11232: MINUTE, 230020: MINUTE, 99991400: MINUTE},
    refused={
        9499: "The body is not as Feishu wants it: report this.",
        19001: "The address is unknown: copy the robot's address again.",
        19021: "The signature is refused: check the secret (签名校验) and this machine's clock.",
        19022: "Add this machine's address to the robot's list (IP 白名单).",
        19024: "The keyword (自定义关键词) must be in every message: put it into the template, or use the signature.",
    },
    otherwise="Look the code up in Feishu's documentation of custom bots.",
)


class Feishu:
    """One robot.

    Args:
        poster: to its address, which is a secret by itself.
        secret: if its security setting is the signature.
        url: its address, so that it is never shown.
        now: seconds since 1970.
    """

    def __init__(self, poster: Poster, secret: str, url: str, now: Callable[[], float] = time.time) -> None:
        self._poster, self._secret, self._now = poster, secret, now
        self._hidden = hidden_parts(url, secret)

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body: dict[str, object] = {
            "msg_type": "interactive",
            "card": {
                "header": {"title": {"tag": "plain_text", "content": message.title}},
                "elements": [{"tag": "markdown", "content": below_header(message.title, message.markdown)}],
            },
        }
        if self._secret:
            stamp = int(self._now())
            body |= {"timestamp": str(stamp), "sign": signature(self._secret, stamp)}
        return await told(self._poster, CODES, body, MAX_BYTES, self._hidden)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._poster.close()


def below_header(title: str, markdown: str) -> str:
    r"""The text of a card whose header shows the title: without a first line that says it again.

    >>> below_header("2 customers at risk", "**2 customers at risk**\n\nann ...")
    'ann ...'
    """
    return markdown.removeprefix(f"**{title}**").lstrip("\n") or markdown


def signature(secret: str, now: int) -> str:
    """What proves the secret: HMAC-SHA256 of nothing, under the time and the secret.

    >>> signature("s", 1_700_000_000)
    '+z1fiKH1w9xoRwSUZju5W5ZBj/d5cwS4H+5mTClDOl4='
    """
    return base64.b64encode(hmac.new(f"{now}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()
