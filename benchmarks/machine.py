"""Conditions of a measurement: the machine, its load, and the time that the measurement took."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("river", "numpy", "msgspec", "duckdb")
_CPUINFO: Final = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    """Return facts about the machine; none of them identifies it."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    return facts | {name: version(name) for name in PACKAGES}


@dataclass
class Conditions:
    """Conditions of a measurement that begins when the object is created; `end` completes them."""

    machine: dict[str, str] = field(default_factory=machine)
    # Load averages of the last minute, which include the benchmark itself.
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    load_after: float = 0.0
    seconds: float = field(default_factory=lambda: -time.perf_counter())

    def end(self) -> None:
        """Record the load and the duration."""
        self.load_after = os.getloadavg()[0]
        self.seconds += time.perf_counter()


def _processor() -> str:
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines() if _CPUINFO.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "unknown")
