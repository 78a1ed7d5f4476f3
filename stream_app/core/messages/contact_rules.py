"""What staff must know of the contact policy before they contact a customer, as sent with alerts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import msgspec

from stream_app.core.causes.explanation import Key

Period = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]
MeasureKey = Annotated[str, msgspec.Meta(max_length=81)]  # `cause` or `cause.segment`
MAX_STOPPED = 1_000


class ContactRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rules of the contact policy for the staff.

    Attributes:
        hours: periods of the day in which to contact the customer, such as 09:00-12:00; may span midnight; empty: no
            limit.
        zone: time zone of the hours.
        per_week: maximum number of contacts with the customer within seven days.
        stopped: measures that the policy has stopped, as `cause` or `cause.segment`.
    """

    hours: Annotated[tuple[Period, ...], msgspec.Meta(max_length=2)] = ()
    zone: Annotated[str, msgspec.Meta(max_length=64)] = ""
    per_week: Annotated[int, msgspec.Meta(ge=1, le=7)] = 1
    stopped: Annotated[tuple[MeasureKey, ...], msgspec.Meta(max_length=MAX_STOPPED)] = ()


def is_stopped(stopped: Collection[str], cause: str, segments: Collection[Key]) -> bool:
    """Return whether the measure for a cause is stopped, for all customers or for one of a customer's segments.

    >>> is_stopped(("price", "service.vip"), "service", ("loyal", "vip")), is_stopped(("service.vip",), "service", ())
    (True, False)
    """
    return cause in stopped or any(f"{cause}.{segment}" in stopped for segment in segments)
