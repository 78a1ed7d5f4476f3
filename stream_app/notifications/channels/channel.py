"""What the deliverer needs of a receiver."""

from __future__ import annotations

from typing import Protocol

from stream_app.core.delivery.answer import Answer
from stream_app.core.delivery.records import OutboundMessage


class Channel(Protocol):
    """A receiver of letters."""

    async def send(self, message: OutboundMessage) -> Answer:
        """Try once. Never raises for what the receiver or the network does, and shows no secret."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
