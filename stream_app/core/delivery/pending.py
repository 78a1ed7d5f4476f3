"""Pending deliveries and messages in memory, and their changes since they were last stored."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable

import msgspec

from stream_app.core.delivery.records import (
    DEAD,
    SUPPRESSED,
    ChannelState,
    Delivery,
    DeliveryChanges,
    DeliveryState,
    OutboundMessage,
    encode_record,
    readable,
)


class ChannelQueue:
    """Pending messages and collected deliveries of one channel. Ended messages stay queued until they are reached."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, bool, int, str]] = []  # due, not urgent, created, id
        self.collected: dict[str, Delivery] = {}  # deliveries for the next digest, by id, in order of arrival

    def add(self, message: OutboundMessage) -> None:
        """Add a message, or re-add it with a new due time."""
        not_urgent = message.alert is None or not message.alert.urgent
        heapq.heappush(self._messages, (message.due_at, not_urgent, message.opened_at, message.id))

    def first(self, now: int) -> str | None:
        """Return the id of the first due message, or None if no message is due."""
        return self._messages[0][3] if self._messages and self._messages[0][0] <= now else None

    def pop(self) -> None:
        """Remove the first message."""
        heapq.heappop(self._messages)

    def next_at(self) -> int | None:
        """Return when the first message is due, or None if the queue is empty."""
        return self._messages[0][0] if self._messages else None

    def digest_at(self, settle: int, at_most: int) -> int | None:
        """Return when the next digest may be sent, or None if no deliveries have been collected.

        The digest becomes due with its first delivery, and is then held until no delivery has arrived for the time
        `settle`. Deliveries that become due later are not part of it and do not delay it.

        Args:
            settle: time without new deliveries after which the digest is sent, microseconds.
            at_most: maximum time to hold the digest, microseconds.
        """
        if not self.collected:
            return None
        due = min(delivery.due_at for delivery in self.collected.values())
        created = [delivery.created_at for delivery in self.collected.values() if delivery.due_at == due]
        return min(max(due, max(created) + settle), max(due, min(created)) + at_most)

    def take_digest(self, now: int, settle: int, at_most: int) -> list[Delivery]:
        """Remove and return the deliveries of a digest that can be sent now, in order of arrival, or [] if none can."""
        at = self.digest_at(settle, at_most)
        if at is None or at > now:
            return []
        due = [delivery for delivery in self.collected.values() if delivery.due_at <= now]
        for delivery in due:
            del self.collected[delivery.id]
        return due


class PendingDeliveries:
    """Pending deliveries and messages, together with the changes to store in the next commit.

    Args:
        channels: names of the configured channels.
    """

    def __init__(self, channels: Iterable[str]) -> None:
        self.position: dict[int, int] = {}  # next offset by partition
        self.channels = {name: ChannelState() for name in channels}
        self.deliveries: dict[str, Delivery] = {}
        self.messages: dict[str, OutboundMessage] = {}
        self.outcomes: Counter[tuple[str, str, str]] = Counter()  # channel, state, reason; cleared by the metrics
        self.dead = 0
        self.unreadable: list[str] = []  # errors from stored records that cannot be read; the records stay in the store
        self._number = 0
        self._changes: DeliveryChanges | None = None

    def _load(self, stored: DeliveryState) -> None:
        self._number, self.dead = stored.number, stored.dead
        if stored.position:
            self.position = msgspec.json.decode(stored.position, type=dict[int, int])
        for name, value in stored.channels.items():
            if name in self.channels:
                states, problems = readable([value], ChannelState)
                self.unreadable += problems
                self.channels[name] = states[0] if states else ChannelState()
        deliveries, problems = readable(stored.deliveries, Delivery)
        messages, message_problems = readable(stored.messages, OutboundMessage)
        self.unreadable += problems + message_problems
        self.deliveries = {delivery.id: delivery for delivery in deliveries}
        self.messages = {message.id: message for message in messages}

    def take_changes(self) -> DeliveryChanges | None:
        """Return the changes since the last call, or None if nothing has changed."""
        changes, self._changes = self._changes, None
        if changes is not None:
            changes.position = msgspec.json.encode(self.position)
            changes.base = self._number
            self._number += 1
        return changes

    def oldest(self) -> dict[str, int]:
        """Return the creation time of each channel's oldest pending message."""
        oldest: dict[str, int] = {}
        for message in self.messages.values():
            oldest[message.channel] = min(message.opened_at, oldest.get(message.channel, message.opened_at))
        return oldest

    def pending(self) -> Counter[str]:
        """Return the number of pending deliveries of each channel."""
        return Counter(delivery.channel for delivery in self.deliveries.values())

    def _change(self) -> DeliveryChanges:
        if self._changes is None:
            self._changes = DeliveryChanges(0, b"")
        return self._changes

    def _save_delivery(self, delivery: Delivery) -> None:
        self._change().deliveries[delivery.id] = encode_record(delivery)

    def _save_message(self, message: OutboundMessage) -> None:
        self._change().messages[message.id] = encode_record(message)

    def _save_channel(self, name: str) -> None:
        self._change().channels[name] = encode_record(self.channels[name])

    def _add_message(self, message: OutboundMessage) -> None:
        self.messages[message.id] = message
        for name in message.deliveries:
            delivery = self.deliveries[name]
            delivery.message, delivery.alert = message.id, None
            self._save_delivery(delivery)
        self._save_message(message)

    def _end_message(self, message: OutboundMessage, state: str, reason: str, now: int) -> None:
        self.messages.pop(message.id, None)
        if state == DEAD:
            message.problem = reason
            self._save_message(message)
        else:
            self._change().messages[message.id] = None
        for name in message.deliveries:
            if (delivery := self.deliveries.get(name)) is not None:
                self._end_delivery(delivery, state, reason, now)

    def _end_delivery(self, delivery: Delivery, state: str, reason: str, now: int) -> None:
        self.deliveries.pop(delivery.id, None)
        delivery.state, delivery.reason, delivery.changed_at, delivery.alert = state, reason, now, None
        self._save_delivery(delivery)
        changes = self._change()
        changes.ended[delivery.id] = now
        if delivery.id in changes.opened:
            changes.opened.remove(delivery.id)
        if state == DEAD:
            changes.dead.append(delivery.id)
            self.dead += 1
        self.outcomes[delivery.channel, state, reason if state == SUPPRESSED else ""] += 1
