"""Bounds on event timestamps, used by both the replay and the live services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from stream_app.core.events.schema import EARLIEST, LATEST, Event, Rejected

# A single event from the year 2300 would finalize every label. A day of skew allows for wrong clocks and time zones.
TOLERATED_SKEW: Final = timedelta(days=1)


class Bounds(msgspec.Struct, frozen=True):
    """Earliest and latest time that an event may have, both inclusive.

    >>> from datetime import UTC
    >>> from stream_app.core.events.schema import Order
    >>> bounds = Bounds.until(datetime(2024, 1, 1, tzinfo=UTC))
    >>> late = Order(event_id="1", customer_id="c", occurred_at=datetime(2300, 1, 1, tzinfo=UTC))
    >>> bounds.contain([late]), bounds.problem(late).field
    (False, 'occurred_at')
    """

    earliest: datetime
    latest: datetime

    @classmethod
    def until(cls, not_after: datetime | None, skew: timedelta = TOLERATED_SKEW) -> Bounds:
        """Return bounds from 1980 to `not_after` plus `skew`, or to LATEST if `not_after` is None."""
        return cls(EARLIEST, min(not_after + skew, LATEST) if not_after else LATEST)

    def contain(self, events: Sequence[Event]) -> bool:
        """Return whether all events are within the bounds. Fast for large blocks of events."""
        times = [event.occurred_at for event in events]
        return not times or (min(times) >= self.earliest and max(times) <= self.latest)

    def problem(self, event: Event | Rejected) -> Rejected | None:
        """Return why the decoder or the bounds reject an event, or None if it is accepted."""
        if isinstance(event, Rejected):
            return event
        if not self.earliest <= event.occurred_at <= self.latest:
            return self.out_of_bounds(event.occurred_at)
        return None

    def out_of_bounds(self, at: datetime) -> Rejected:
        """Return the rejection for an instant outside the bounds."""
        if at < self.earliest:
            reason = (
                f"{at.isoformat()} is before {self.earliest.date()}, like a missing time that is written as zero: check"
                " the time's unit and format"
            )
        else:
            reason = (
                f"{at.isoformat()} is in the future (after {self.latest.isoformat()}): check the source's clock, and"
                " the time's unit and zone"
            )
        return Rejected(reason, "occurred_at")
