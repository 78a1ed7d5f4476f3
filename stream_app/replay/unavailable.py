"""Times in which the policy allows no planned call to a customer, whatever was called before.

These are opt-outs, and complaints that staff work on, with the cooldown after them. A comparison of calls with those of
a rule lets neither call these customers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.arrays import Bools, Ints
from stream_app.core.events.enumerations import ComplaintForm, ContactAction
from stream_app.core.events.schema import Complaint, Contact, Event
from stream_app.core.settings import Settings
from stream_app.core.units import NOT_DUE

Spans = tuple[Ints, Ints, Ints, Bools]  # customer index, begin and end in microseconds, whether it is a complaint
_Span = tuple[str, int, int]  # customer, begin, end


def no_spans() -> Spans:
    """Return no times."""
    none = np.zeros(0, np.int64)
    return none, none, none, none.astype(np.bool_)


@dataclass
class OptOuts:
    """Collects opt-outs, with their ends if they are known in advance, and opt-ins."""

    refused: list[_Span] = field(default_factory=list)
    agreed: dict[str, list[int]] = field(default_factory=dict)  # customer -> times

    def record(self, event: Event, at: int, rest: int) -> None:
        """Record an event.

        Args:
            event: any event.
            at: its time, microseconds.
            rest: time without planned calls after a customer unsubscribed, microseconds.
        """
        if isinstance(event, Complaint) and event.form is ComplaintForm.UNSUBSCRIBE:
            self.refused.append((event.customer_id, at, at + rest))
        elif isinstance(event, Contact) and event.action is ContactAction.OPTED_OUT:
            self.refused.append((event.customer_id, at, NOT_DUE))
        elif isinstance(event, Contact) and event.action is ContactAction.OPTED_IN:
            self.agreed.setdefault(event.customer_id, []).append(at)

    def spans(self) -> Iterator[_Span]:
        """Yield the times in which customers did not want to be called: an opt-in ends them."""
        for customer, begin, end in self.refused:
            yield customer, begin, min((at for at in self.agreed.get(customer, ()) if at > begin), default=end)


def unavailable(
    customers: Sequence[str],
    opt_outs: OptOuts,
    breaches: Sequence[SlaBreach],
    ended: Sequence[SlaBreachEnded],
    settings: Settings,
) -> Spans:
    """Return the times in which customers get no planned call.

    Args:
        customers: customer ids, by index.
        opt_outs: of the customers.
        breaches: urgent cases.
        ended: ends of urgent cases.
        settings: of the shop.
    """
    ends, index = {one.alert_id: one.at for one in ended}, {name: place for place, name in enumerate(customers)}
    rows = [(index[name], begin, end, 0) for name, begin, end in opt_outs.spans() if name in index]
    for one in breaches:
        name, begin = one.candidate.customer, one.candidate.at
        if name in index:
            end = min(ends.get(one.alert_id, NOT_DUE), one.expires_at) + settings.cooldown
            rows.append((index[name], begin, end, 1))
    columns = np.array(rows, np.int64).reshape(-1, 4)
    return columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3] == 1
