"""Interface of a channel, and what is known about each kind of channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stream_app.core.delivery.answer import Answer
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.retry import Limit


class Channel(Protocol):
    """A receiver of messages."""

    async def send(self, message: OutboundMessage) -> Answer:
        """Try to send a message once. Return errors of the receiver or the network; never show a secret."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True)
class Endpoint:
    """Where a channel sends to. Address and keys are secret and never shown."""

    url: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)  # newest first
    timeout_seconds: float
    allow_private: bool  # whether the receiver may have a private address


@dataclass(frozen=True)
class ChannelKind:
    """Properties of a kind of channel. Each module of a channel defines one, and `registry.KINDS` lists them.

    Attributes:
        name: value of `kind` in the channel file.
        make: factory of the channel. Raises ValueError for an invalid secret, without showing it.
        limits: documented rate limits.
        max_bytes: largest message text, in bytes of UTF-8.
        concurrency: requests at the same time.
        single: whether each alert is sent in a separate message, instead of a digest.
        signing: whether requests are signed, and so whether the setting `secret` is required.
        rotates: whether `old_secrets` stay valid while a secret is replaced.
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
