"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("river", "numpy", "msgspec", "duckdb")
_CPUINFO: Final = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    """Facts about the machine, none of them a name or a path of it."""
    vector = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    return vector | {name: version(name) for name in PACKAGES}


def load_average() -> float:
    """Processes that wanted to run in the last minute, ours included: above the number of cores the figures suffer."""
    return os.getloadavg()[0]


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
