"""What staff must know of the contact policy before they contact a customer, as sent with alerts."""

from __future__ import annotations

from typing import Annotated

import msgspec

Period = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]


class ContactRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rules of the contact policy for the staff.

    Attributes:
        hours: periods of the day in which to contact the customer, such as 09:00-12:00; may span midnight; empty: no
            limit.
        zone: time zone of the hours.
    """

    hours: Annotated[tuple[Period, ...], msgspec.Meta(max_length=2)] = ()
    zone: Annotated[str, msgspec.Meta(max_length=64)] = ""
