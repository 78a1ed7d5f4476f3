"""Requests to DingTalk, Feishu and WeCom robots, which report errors as a code in the body of an HTTP 200 response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from stream_app.core.delivery.answer import Answer, Delivered, Refused, Retry
from stream_app.notifications.channels.http import Poster, Reply, shown, unexpected


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


async def post_to_robot(
    poster: Poster, codes: Codes, body: object, max_bytes: int, secrets: Sequence[str], query: str = ""
) -> Answer:
    """Post a body to a chat robot and map the code in its reply to an answer."""
    encoded = msgspec.json.encode(body)
    if len(encoded) > max_bytes:
        return Refused(
            f"the message has {len(encoded):,} bytes, more than the limit of {max_bytes:,}", "Shorten its template."
        )
    reply = await poster.post(encoded, query=query)
    if not isinstance(reply, Reply):
        return reply
    if reply.status != 200:
        # An HTTP 400 response may also contain a code; if it does not, the status decides.
        return _read(reply, codes, secrets) or unexpected(reply, poster.host)
    return _read(reply, codes, secrets) or Retry(f"{poster.host} sent a reply without a code")


def _read(reply: Reply, codes: Codes, secrets: Sequence[str]) -> Answer | None:
    """Return the answer for the code in a reply, or None if it contains no code."""
    try:
        found = msgspec.json.decode(reply.body, type=dict[str, object])
    except ValueError:  # from msgspec, or for bytes that are not UTF-8
        return None
    code = found.get(codes.field)
    if not isinstance(code, int):
        return None
    if code == 0:
        return Delivered() if reply.status == 200 else None
    problem = f"code {code}: {shown(found.get(codes.message, ''), *secrets)}"
    if code in codes.busy:
        return Retry(problem, max(codes.busy[code], reply.retry_after or 0))
    return Refused(problem, codes.refused.get(code, codes.otherwise))
