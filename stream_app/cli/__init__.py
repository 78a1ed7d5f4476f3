"""The command line: one module per command or command group, imported when it is called."""

import os

# Small matrices are faster on one thread, and sums are then the same on all machines of a kind. Set before numpy loads.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from stream_app.cli.commands import app, main  # noqa: E402

__all__ = ["app", "main"]
