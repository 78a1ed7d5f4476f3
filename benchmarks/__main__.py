"""Run the benchmarks: `python -m benchmarks [all|replay|live] [--quick]`."""

from __future__ import annotations

import os

# Before numpy is imported, as in the product's command line: one thread for linear algebra.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from benchmarks.run import main

if __name__ == "__main__":
    main()
