"""Memory of a replay: of the process, of one customer, and of one waiting decision."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import psutil

from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Pending

_STATUS: Final = Path("/proc/self/status")
_SAMPLE: Final = 2_000
_COLUMNS_BYTES: Final = 8 * 4 + 1  # of the ranking: four numbers and a flag
_ENTRY_BYTES: Final = 100  # an entry of a dict at two thirds full, and a place in the list of names


def resident() -> int:
    """Return the resident set of this process, bytes."""
    return int(psutil.Process().memory_info().rss)


def resident_peak() -> int:
    """Return the largest resident set of this process so far, bytes.

    Linux reports it in two ways. `ru_maxrss` survives exec, so a small process started by a large one reports the
    large one's; /proc is preferred.
    """
    if _STATUS.exists():
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def state_bytes(customers: Iterable[Customer]) -> float:
    """Return the mean size of a customer's state in Python, bytes, without waiting decisions."""
    return _mean_size(customers, "alert") + _COLUMNS_BYTES + _ENTRY_BYTES


def pending_bytes(decisions: Iterable[Pending]) -> float:
    """Return the mean size of a decision that waits for its label, bytes."""
    return _mean_size(decisions, "customer")


def _mean_size(objects: Iterable[Customer | Pending], skipped: str) -> float:
    """Mean size of structs, without what one field refers to."""
    sizes = [
        sys.getsizeof(one) + sum(_own_size(getattr(one, name)) for name in one.__struct_fields__ if name != skipped)
        for one in islice(objects, _SAMPLE)
    ]
    return sum(sizes) / max(len(sizes), 1)


def _own_size(value: object) -> int:
    """Size of a value unless Python shares it (None, small integers)."""
    shared = value is None or (isinstance(value, int) and -5 <= value <= 256)
    return 0 if shared else sys.getsizeof(value)
