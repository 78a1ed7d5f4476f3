"""Runs a command that is killed when its parent dies: `python parent_death_guard.py PARENT COMMAND`.

It runs as a script without imports of the package, because a demo that is killed before the guard is set leaves the
process behind. Only Linux offers this; elsewhere, a killed demo leaves its services running.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # of <sys/prctl.h>; it survives the exec that follows


def main(command: list[str], parent: int) -> None:
    """Replace this process by the command. `parent` is the process id of the parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the guard was set
            return
    os.execv(command[0], command)  # noqa: S606 - a command of our own


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
