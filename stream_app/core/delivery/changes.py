"""What the deliverer has to store at once, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Changes:
    """Records that changed since the last commit, stored as a whole or not at all.

    Attributes:
        base: number of the commit that these follow; 0: the first.
        position: how far the alerts have been read, encoded.
        deliveries: encoded, by id.
        letters: encoded, by id; None: it is not needed any more.
        channels: encoded states, by name.
        opened: ids of deliveries that are pending now.
        ended: ids of deliveries that were sent, suppressed, or are dead, with the moment, microseconds.
        dead: those of `ended` that can be delivered after all, if somebody asks for it.
        answered: so many requests, the oldest ones, have been carried out.
    """

    base: int
    position: bytes
    deliveries: dict[str, bytes] = field(default_factory=dict)
    messages: dict[str, bytes | None] = field(default_factory=dict)
    channels: dict[str, bytes] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    answered: int = 0


@dataclass
class Stored:
    """What a deliverer finds when it starts."""

    number: int = 0  # of the last commit
    position: bytes = b""
    deliveries: list[bytes] = field(default_factory=list)  # those that are pending
    messages: list[bytes] = field(default_factory=list)  # in which those go
    channels: dict[str, bytes] = field(default_factory=dict)
    dead: int = 0  # so many deliveries are dead
