"""Requests to DingTalk, Feishu and WeCom robots, which report errors as a code in the body of an HTTP 200 response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from stream_app.core.delivery.answer import Answer, Delivered, Refused, Retry
from stream_app.core.delivery.records import OutboundMessage
from stream_app.notifications.channels.http import HttpChannel, Reply, hidden_parts, shown, unexpected


@dataclass(frozen=True)
class Codes:
    """Meaning of the codes in a chat robot's replies.

    Attributes:
        field: name of the body field that holds the code.
        message: name of the body field that holds the error message.
        busy: codes of temporary errors, with the microseconds to wait before a retry.
        refused: codes of permanent errors, with the remedy for each.
        otherwise: remedy for any other code.
    """

    field: str
    message: str
    busy: Mapping[int, int]
    refused: Mapping[int, str]
    otherwise: str


class Robot(HttpChannel):
    """Base class of group-chat robots. A subclass sets `codes` and `max_bytes`, and defines `request`."""

    codes: ClassVar[Codes]
    max_bytes: ClassVar[int]  # maximum size of the request body

    @property
    def secret(self) -> str:
        """Signing secret; empty if requests are not signed."""
        return self._endpoint.keys[0] if self._endpoint.keys else ""

    def request(self, message: OutboundMessage) -> tuple[dict[str, object], str]:
        """Return the request body, and the query string to append to the address."""
        raise NotImplementedError

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        body, query = self.request(message)
        encoded = msgspec.json.encode(body)
        if len(encoded) > self.max_bytes:
            return Refused(
                f"the message has {len(encoded):,} bytes, more than the limit of {self.max_bytes:,}",
                "Shorten its template.",
            )
        reply = await self.post(encoded, query=query)
        if not isinstance(reply, Reply):
            return reply
        # An HTTP 400 response may also contain a code; if it does not, the status decides.
        missing = Retry(f"{self.host} sent a reply without a code") if reply.status == 200 else None
        return self._answer(reply) or missing or unexpected(reply, self.host)

    def _answer(self, reply: Reply) -> Answer | None:
        """Return the answer for the code in a reply, or None if it contains no code."""
        try:
            found = msgspec.json.decode(reply.body, type=dict[str, object])
        except ValueError:  # from msgspec, or for bytes that are not UTF-8
            return None
        code = found.get(self.codes.field)
        if not isinstance(code, int):
            return None
        if code == 0:
            return Delivered() if reply.status == 200 else None
        secrets = (*self._endpoint.keys, *hidden_parts(self._endpoint.url))
        problem = f"code {code}: {shown(found.get(self.codes.message, ''), *secrets)}"
        if code in self.codes.busy:
            return Retry(problem, max(self.codes.busy[code], reply.retry_after or 0))
        return Refused(problem, self.codes.refused.get(code, self.codes.otherwise))
