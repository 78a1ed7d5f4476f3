"""Consent of a customer to be contacted, as reported by the shop's tools.

Consent is one number: the time at which the customer opted out, or minus the time at which they opted in, both in
microseconds; 0 if they said neither. The latest answer counts, in whatever order the answers arrive.
"""

from __future__ import annotations

from typing import Final

from stream_app.core.events.enumerations import ContactAction

CONSENT: Final = (ContactAction.OPTED_OUT, ContactAction.OPTED_IN)


def consent_after(consent: int, action: ContactAction, at: int) -> int:
    """Return the consent after a contact. If two answers have the same time, the customer has opted out.

    >>> consent_after(0, ContactAction.OPTED_OUT, 7), consent_after(7, ContactAction.OPTED_IN, 9)
    (7, -9)
    >>> consent_after(-9, ContactAction.OPTED_OUT, 8), consent_after(-9, ContactAction.OPTED_OUT, 9)
    (-9, 9)
    """
    if action is ContactAction.OPTED_OUT and at >= abs(consent):
        return at
    if action is ContactAction.OPTED_IN and at > abs(consent):
        return -at
    return consent


def has_opted_out(consent: int) -> bool:
    """Return whether the customer does not want to be contacted.

    >>> has_opted_out(7), has_opted_out(-9), has_opted_out(0)
    (True, False, False)
    """
    return consent > 0
