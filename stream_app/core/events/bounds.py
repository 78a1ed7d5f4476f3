"""Between which instants an event may lie: the same for a replay and for the live services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from stream_app.core.events.schema import EARLIEST, LATEST, Event, Rejected

# One event from the year 2300 would close every label; clocks and zones of sources may well be a day off.
TOLERATED_SKEW: Final = timedelta(days=1)


class Bounds(msgspec.Struct, frozen=True):
    """The instants between which an event may lie, both included.

    >>> from datetime import UTC
    >>> from stream_app.core.events.schema import Order
    >>> bounds = Bounds.until(datetime(2024, 1, 1, tzinfo=UTC))
    >>> late = Order(event_id="1", customer_id="c", occurred_at=datetime(2300, 1, 1, tzinfo=UTC))
    >>> bounds.hold([late]), bounds.problem(late).field
    (False, 'occurred_at')
    """

    earliest: datetime
    latest: datetime

    @classmethod
    def until(cls, not_after: datetime | None, skew: timedelta = TOLERATED_SKEW) -> Bounds:
        """From 1980 to `skew` after `not_after` (None: to the latest instant of all)."""
        return cls(EARLIEST, min(not_after + skew, LATEST) if not_after else LATEST)

    def hold(self, events: Sequence[Event]) -> bool:
        """Whether all events are fine: a fast answer for a whole block."""
        times = [event.occurred_at for event in events]
        return not times or (min(times) >= self.earliest and max(times) <= self.latest)

    def problem(self, event: Event) -> Rejected | None:
        """What is wrong with one event, None if nothing is."""
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
