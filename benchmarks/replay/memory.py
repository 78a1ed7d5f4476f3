"""What a replay holds in memory: of the process, and of one customer."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Pending

_STATUS: Final = Path("/proc/self/status")
_SAMPLE: Final = 2_000


def resident() -> int:
    """The resident set of this process now, bytes; where the system does not tell, its peak."""
    return _status("VmRSS") or resident_peak()


def resident_peak() -> int:
    """The largest resident set of this process so far, bytes.

    Linux tells it in two ways. `ru_maxrss` survives exec: a small process that a large one started has the large one's.
    """
    if high := _status("VmHWM"):
        return high
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def state_bytes(customers: Iterable[Customer]) -> float:
    """Mean bytes of a customer's state as Python holds it, without the decisions that wait."""
    sizes = [_state_size(customer) for customer in islice(customers, _SAMPLE)]
    return sum(sizes) / max(len(sizes), 1)


def pending_bytes(decisions: Iterable[Pending]) -> float:
    """Mean bytes of a decision that waits for its label."""
    sizes = [_slots_size(pending, skip=("customer",)) for pending in islice(decisions, _SAMPLE)]
    return sum(sizes) / max(len(sizes), 1)


def _state_size(customer: Customer) -> int:
    in_columns = 8 * 4 + 1  # of the ranking (alerts.Ranking): four numbers and a flag
    in_dict = 100  # an entry of a dict at two thirds full, and a place in the list of names
    return _slots_size(customer, skip=("episode",)) + in_columns + in_dict


def _slots_size(thing: object, skip: Sequence[str]) -> int:
    names: Sequence[str] = getattr(type(thing), "__slots__", ())
    return sys.getsizeof(thing) + sum(_own_size(getattr(thing, name)) for name in names if name not in skip)


def _own_size(value: object) -> int:
    """Bytes of a value unless Python shares it among all (None, small integers)."""
    shared = value is None or (isinstance(value, int) and -5 <= value <= 256)
    return 0 if shared else sys.getsizeof(value)


def _status(name: str) -> int:
    if not _STATUS.exists():
        return 0
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
