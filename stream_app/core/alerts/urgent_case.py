"""An urgent case in the hands of the staff: a service target that was missed, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass

Target = tuple[int, str]  # the moment after which it is missed, microseconds; targets.UNANSWERED or targets.UNSOLVED


@dataclass(frozen=True, slots=True)
class UrgentCase:
    """What is remembered of a case that the staff has worked on; that a case is open follows from the complaint."""

    alert_id: str
    expires_at: int  # microseconds
    owner: str = ""  # of the staff; empty: nobody has taken it on
    acked_at: int = 0  # since when, microseconds
    snoozed_until: int = 0  # it rests until then, microseconds; 0: it does not
    resolved: bool = False  # the staff has ended it, whatever becomes of the complaint
