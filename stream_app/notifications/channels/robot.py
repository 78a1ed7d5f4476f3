"""What the robots of the three chats share: HTTP 200 means nothing, the code in the body does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from stream_app.core.delivery.answer import Answer, Delivered, Refused, Retry
from stream_app.notifications.channels.http import Poster, Reply, shown, unexpected


@dataclass(frozen=True)
class Codes:
    """What the codes of a robot's answers mean.

    Attributes:
        field: where the code stands in the body.
        message: where its words stand.
        busy: codes that say "later", with how long to wait, microseconds.
        refused: codes that say "not like this", with the remedy.
    """

    field: str
    message: str
    busy: Mapping[int, int]
    refused: Mapping[int, str]
    otherwise: str  # the remedy for a code that is not listed


async def told(
    poster: Poster, codes: Codes, body: object, max_bytes: int, secrets: Sequence[str], query: str = ""
) -> Answer:
    """Post to a robot, and read what it really answered."""
    encoded = msgspec.json.encode(body)
    if len(encoded) > max_bytes:
        return Refused(f"the message has {len(encoded):,} bytes, more than {max_bytes:,}", "Shorten its template.")
    reply = await poster.post(encoded, query=query)
    if not isinstance(reply, Reply):
        return reply
    if reply.status != 200:
        # They answer 400 with a code in the body too; where there is none, the status counts.
        return _read(reply, codes, secrets) or unexpected(reply, poster.host)
    return _read(reply, codes, secrets) or Retry(f"{poster.host} answered what is not understood")


def _read(reply: Reply, codes: Codes, secrets: Sequence[str]) -> Answer | None:
    """The answer in a body; None: there is none."""
    try:
        found = msgspec.json.decode(reply.body, type=dict[str, object])
    except ValueError:  # of msgspec, and of bytes that are not UTF-8
        return None
    code = found.get(codes.field)
    if not isinstance(code, int):
        return None
    if code == 0:
        return Delivered() if reply.status == 200 else None
    said = f"code {code}: {shown(found.get(codes.message, ''), *secrets)}"
    if code in codes.busy:
        return Retry(said, max(codes.busy[code], reply.retry_after or 0))
    return Refused(said, codes.refused.get(code, codes.otherwise))
