"""What waits on one channel: letters by the moment at which they are due, and alerts for the next digest."""

from __future__ import annotations

import heapq

from stream_app.core.delivery.records import Delivery, OutboundMessage


class PendingMessages:
    """Letters and collected deliveries of a channel. A letter that has ended stays in it until it is looked at."""

    def __init__(self) -> None:
        self._letters: list[tuple[int, bool, int, str]] = []  # due, no urgent one, written, id
        self._collected: dict[str, Delivery] = {}

    def put(self, message: OutboundMessage) -> None:
        """Add a letter; again, when the moment at which it is due has changed."""
        patient = message.alert is None or not message.alert.urgent
        heapq.heappush(self._letters, (message.due_at, patient, message.opened_at, message.id))

    def first(self, now: int) -> str | None:
        """The id of the first letter that is due; None: none is."""
        return self._letters[0][3] if self._letters and self._letters[0][0] <= now else None

    def pop(self) -> None:
        """Take the first letter out."""
        heapq.heappop(self._letters)

    def next_at(self) -> int | None:
        """When the first letter is due."""
        return self._letters[0][0] if self._letters else None

    def collect(self, delivery: Delivery) -> None:
        """Let a delivery wait for its digest."""
        self._collected[delivery.id] = delivery

    def leave(self, delivery: Delivery) -> None:
        """Take a delivery out of the digest."""
        self._collected.pop(delivery.id, None)

    def settles_at(self, settle: int, at_most: int) -> int | None:
        """When the next digest may go; None: nothing waits.

        It is the first due moment of all that wait; then it waits until none has come for a while. What is due only
        tomorrow neither holds it up nor goes with it.
        """
        if not self._collected:
            return None
        due = min(delivery.due_at for delivery in self._collected.values())
        held = [delivery.created_at for delivery in self._collected.values() if delivery.due_at == due]
        return min(max(due, max(held) + settle), max(due, min(held)) + at_most)

    def settled(self, now: int, settle: int, at_most: int) -> list[Delivery]:
        """The deliveries of the digest that goes now, in the order in which they came; none, if it must wait."""
        at = self.settles_at(settle, at_most)
        if at is None or at > now:
            return []
        return [delivery for delivery in self._collected.values() if delivery.due_at <= now]
