"""Our recent contacts with a customer and the end of their last case, which limit further planned calls.

Kept only for customers who had an alert, an urgent alert, an opt-out or a message that counts. The size is bounded,
and the values do not depend on the order in which they are recorded within a week.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from stream_app.core.policy.policy import MAX_PER_WEEK
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US

WEEK_US: Final = 7 * DAY_US
COOLDOWN: Final = "cooldown"
CONTACT_LIMIT: Final = "contact_limit"
OPT_OUT: Final = "opted_out"


class ContactHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What limits further planned calls to a customer.

    Attributes:
        ended_at: end of the last case, microseconds; 0: none.
        opted_out_at: time when the customer last unsubscribed, microseconds; 0: never.
        contacts: times of the contacts in the week up to the latest one, at most MAX_PER_WEEK, rising, microseconds.
        messages: times of the messages of the shop's own tools, kept likewise, if the policy counts them.
        called_at: time of the last planned call, microseconds; 0: never. Urgent alerts are contacts, but no calls.
    """

    ended_at: int = 0
    opted_out_at: int = 0
    contacts: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()
    called_at: int = 0

    def after_contact(self, at: int) -> ContactHistory:
        """Return the history with a contact added.

        >>> NO_HISTORY.after_contact(9 * DAY_US).after_contact(DAY_US).after_contact(8 * DAY_US).contacts
        (691200000000, 777600000000)
        """
        return msgspec.structs.replace(self, contacts=_last_week([*self.contacts, at]))

    def after_message(self, at: int) -> ContactHistory:
        """Return the history with a message of the shop's own tools added."""
        return msgspec.structs.replace(self, messages=_last_week([*self.messages, at]))

    def after_call(self, at: int) -> ContactHistory:
        """Return the history with a planned call added, which is a contact too."""
        return msgspec.structs.replace(self.after_contact(at), called_at=max(self.called_at, at))

    def after_case(self, at: int) -> ContactHistory:
        """Return the history with the end of a case added."""
        return msgspec.structs.replace(self, ended_at=max(self.ended_at, at))

    def after_opt_out(self, at: int) -> ContactHistory:
        """Return the history with an opt-out added."""
        return msgspec.structs.replace(self, opted_out_at=max(self.opted_out_at, at))

    def has_call_since(self, at: int) -> bool:
        """Return whether the customer had a planned call after a time."""
        return self.called_at > at

    def obstacle(self, at: int, settings: Settings, opted_in_at: int = 0) -> str:
        """Return the rule that forbids a planned call at a time, or "" if there is none.

        Args:
            at: time of the call, microseconds.
            settings: of the shop.
            opted_in_at: time when the customer last agreed to be contacted, microseconds; 0: never.
        """
        limits = settings.policy.contacts
        if self.opted_out_at > opted_in_at and at - self.opted_out_at < limits.rest_after_opt_out:
            return OPT_OUT
        if self.ended_at and at - self.ended_at < settings.cooldown:
            return COOLDOWN
        counted = (*self.contacts, *(self.messages if limits.count_shop_messages else ()))
        recent = sum(one > at - WEEK_US for one in counted)
        return CONTACT_LIMIT if recent >= limits.per_week else ""


def _last_week(times: Iterable[int]) -> tuple[int, ...]:
    """Return the times in the week up to the latest one, rising, at most MAX_PER_WEEK."""
    rising = sorted(set(times))
    return tuple(one for one in rising if one > rising[-1] - WEEK_US)[-MAX_PER_WEEK:]


NO_HISTORY: Final = ContactHistory()
