"""What is pending, and what has changed in it since it was stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from stream_app.core.delivery.changes import Changes, Stored
from stream_app.core.delivery.records import (
    DEAD,
    SUPPRESSED,
    ChannelState,
    Delivery,
    OutboundMessage,
    encode_record,
    readable,
)


class Ledger:
    """Deliveries and letters that are pending, in memory. Whoever changes them says so here, for the next commit.

    Args:
        channels: names of those that there are.
    """

    def __init__(self, channels: Iterable[str]) -> None:
        self.position: dict[int, int] = {}  # next offset by partition
        self.channels = {name: ChannelState() for name in channels}
        self.deliveries: dict[str, Delivery] = {}  # pending
        self.messages: dict[str, OutboundMessage] = {}  # pending
        self.outcomes: Counter[tuple[str, str, str]] = Counter()  # channel, state, reason: since somebody took them
        self.dead = 0
        self.unreadable: list[str] = []  # what was stored and cannot be read: it stays in the store
        self._number = 0
        self._changes: Changes | None = None

    def _load(self, stored: Stored) -> None:
        self._number, self.dead = stored.number, stored.dead
        if stored.position:
            self.position = msgspec.json.decode(stored.position, type=dict[int, int])
        for name, value in stored.channels.items():
            if name in self.channels:
                states, unread = readable([value], ChannelState)
                self.unreadable += unread
                self.channels[name] = states[0] if states else ChannelState()
        deliveries, unread = readable(stored.deliveries, Delivery)
        messages, unread_letters = readable(stored.messages, OutboundMessage)
        self.unreadable += [*unread, *unread_letters]
        self.deliveries = {delivery.id: delivery for delivery in deliveries}
        self.messages = {message.id: message for message in messages}

    def changes(self) -> Changes | None:
        """What is to be stored since the last time; None: nothing."""
        changes, self._changes = self._changes, None
        if changes is None:
            return None
        changes.position = msgspec.json.encode(self.position)
        changes.base = self._number
        self._number += 1
        return changes

    def oldest(self) -> dict[str, int]:
        """By channel: when the oldest letter was written that has not arrived yet."""
        oldest: dict[str, int] = {}
        for message in self.messages.values():
            oldest[message.channel] = min(message.opened_at, oldest.get(message.channel, message.opened_at))
        return oldest

    def pending(self) -> Counter[str]:
        """By channel: deliveries that are pending."""
        return Counter(delivery.channel for delivery in self.deliveries.values())

    def _noted(self) -> Changes:
        if self._changes is None:
            self._changes = Changes(0, b"")
        return self._changes

    def _keep(self, delivery: Delivery) -> None:
        self._noted().deliveries[delivery.id] = encode_record(delivery)

    def _keep_channel(self, name: str) -> None:
        self._noted().channels[name] = encode_record(self.channels[name])

    def _write(self, message: OutboundMessage) -> None:
        """A new letter, which carries its deliveries from now on."""
        self.messages[message.id] = message
        for name in message.deliveries:
            self.deliveries[name].message = message.id
        self._noted().messages[message.id] = encode_record(message)

    def _end(self, message: OutboundMessage, state: str, reason: str, now: int) -> None:
        """A letter's way ends, and that of all its deliveries."""
        self.messages.pop(message.id, None)
        if state == DEAD:
            message.problem = reason
        self._noted().messages[message.id] = encode_record(message) if state == DEAD else None
        for name in message.deliveries:
            if (delivery := self.deliveries.get(name)) is not None:
                self._finish(delivery, state, reason, now)

    def _finish(self, delivery: Delivery, state: str, reason: str, now: int) -> None:
        self.deliveries.pop(delivery.id, None)
        delivery.state, delivery.reason, delivery.changed_at, delivery.alert = state, reason, now, None
        self._keep(delivery)
        changes = self._noted()
        changes.ended[delivery.id] = now
        if delivery.id in changes.opened:
            changes.opened.remove(delivery.id)
        if state == DEAD:
            changes.dead.append(delivery.id)
            self.dead += 1
        self.outcomes[delivery.channel, state, reason if state == SUPPRESSED else ""] += 1
