"""Runs a command that is killed when its parent dies: `python parent_death_guard.py PARENT COMMAND`.

It runs as a script and imports nothing from the package, which sets the guard as early as possible: if the demo is
killed before that, the process keeps running. This works only on Linux; elsewhere, a killed demo leaves its services
running.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # from <sys/prctl.h>; the setting survives exec


def main(command: list[str], parent: int) -> None:
    """Replace this process with the command. `parent` is the process id of the parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the guard was set
            return
    os.execv(command[0], command)  # noqa: S606 - the demo's own command


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
