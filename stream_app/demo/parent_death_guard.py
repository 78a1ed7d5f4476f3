"""Starts a command that ends when whoever started it does: `python leash.py PARENT COMMAND`.

It is run as a file and imports nothing of ours: until it has asked for the signal, a killed demo leaves it behind.

Kernels other than Linux don't know of such a thing: there a killed demo leaves its services behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_SET_SIGNAL_OF_PARENTS_DEATH: Final = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>; it outlasts the exec that follows


def main(command: list[str], parent: int) -> None:
    """Become the command. `parent`: the process id of whoever started this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before we could ask
            return
    os.execv(command[0], command)  # noqa: S606 - a command of our own


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
