"""Run the benchmarks: `python -m benchmarks [all|replay|live] [--quick]`."""

from __future__ import annotations

import os

# As the command line of the product does, and before numpy is imported: one thread for linear algebra.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from benchmarks.run import main

if __name__ == "__main__":
    main()
