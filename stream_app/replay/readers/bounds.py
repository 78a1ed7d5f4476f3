"""What an event must fulfil beyond its schema before it may touch a clock or a customer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from stream_app.core.events import Event, Rejected

# Missing times are written as zero: 1970 by Unix, 1900 by spreadsheets, year 1 by .NET. No online shop is older.
EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
# One event from the year 2300 would close every label; clocks and zones of sources may well be a day off.
TOLERATED_SKEW: Final = timedelta(days=1)

NO_CUSTOMER: Final = Rejected(
    'there is no customer: every event needs one (missing_customer = "skip" in a mapping passes over such lines)',
    "customer_id",
)


class Bounds(msgspec.Struct, frozen=True):
    """The instants between which an event may lie, both included.

    >>> from stream_app.core.events import Order
    >>> bounds = Bounds.until(datetime(2024, 1, 1, tzinfo=UTC))
    >>> late = Order(event_id="1", customer_id="c", occurred_at=datetime(2300, 1, 1, tzinfo=UTC))
    >>> bounds.hold([late]), bounds.problem(late).field
    (False, 'occurred_at')
    """

    earliest: datetime
    latest: datetime

    @classmethod
    def until(cls, not_after: datetime | None) -> Bounds:
        """From 1980 to one day after `not_after` (None: for ever)."""
        return cls(EARLIEST, not_after + TOLERATED_SKEW if not_after else datetime.max.replace(tzinfo=UTC))

    def hold(self, events: Sequence[Event]) -> bool:
        """Whether all events are fine: a fast answer for a whole block."""
        if not events:
            return True
        times = [event.occurred_at for event in events]
        if min(times) < self.earliest or max(times) > self.latest:
            return False
        return not any(map(str.isspace, [event.customer_id for event in events]))

    def problem(self, event: Event) -> Rejected | None:
        """What is wrong with one event, None if nothing is."""
        if event.customer_id.isspace():
            return NO_CUSTOMER
        if not self.earliest <= event.occurred_at <= self.latest:
            return self.out_of_bounds(event.occurred_at)
        return None

    def out_of_bounds(self, at: datetime) -> Rejected:
        """The rejection of an instant that lies before or after the bounds."""
        if at < self.earliest:
            reason = (
                f"{at.isoformat()} lies before {self.earliest.date()}, as a missing time written as zero does: check"
                " the time's unit and format"
            )
        else:
            reason = (
                f"{at.isoformat()} lies in the future (after {self.latest.isoformat()}): check the source's clock, and"
                " the time's unit and zone"
            )
        return Rejected(reason, "occurred_at")
