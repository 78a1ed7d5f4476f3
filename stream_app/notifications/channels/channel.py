"""Interface of channels, and the properties of each kind of channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stream_app.core.delivery.answer import Answer
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit


class Channel(Protocol):
    """Sends messages to one receiver."""

    async def send(self, message: OutboundMessage) -> Answer:
        """Try once to send a message. Receiver and network errors are returned, not raised, and contain no secret."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True)
class Endpoint:
    """The destination of a channel. Its address and keys are secret and never shown."""

    url: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)  # newest first
    timeout_seconds: float
    allow_private: bool  # whether the receiver may have a private address


@dataclass(frozen=True)
class ChannelKind:
    """Properties of a kind of channel. Each channel module defines one; `registry.KINDS` lists them all.

    Attributes:
        name: the value of `kind` in the channel file.
        make: creates a channel. Raises ValueError if the secret is invalid, without showing it.
        limits: documented rate limits.
        max_bytes: maximum size of the message text, in UTF-8 bytes.
        concurrency: maximum number of concurrent requests.
        single: whether each alert is sent as a separate message instead of in a digest.
        signing: whether requests are signed, which makes the setting `secret` required.
        rotates: whether `old_secrets` remain valid while a secret is being replaced.
        guarded: whether private addresses can be refused.
    """

    name: str
    make: Callable[[Endpoint], Channel]
    limits: tuple[Limit, ...] = ()
    max_bytes: int = 15_000
    concurrency: int = 1
    single: bool = False
    signing: Literal["required", "optional", "none"] = "none"
    rotates: bool = False
    guarded: bool = True
