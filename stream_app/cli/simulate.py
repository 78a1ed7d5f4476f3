"""The `stream-app simulate` command."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer

from stream_app.cli.output import messages
from stream_app.cli.progress import ProgressBars
from stream_app.errors import BadOption
from stream_app.simulate import ShopSettings, write_log

_STEPS: Final = {"simulate": "Simulating the shop", "write": "Writing the log"}


def simulate(
    customers: Annotated[int, typer.Option(min=1, help="Number of customers.")] = 5000,
    days: Annotated[int, typer.Option(min=1, help="Number of days.")] = 365,
    seed: Annotated[int, typer.Option(help="Random seed. The same seed produces the same bytes.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Output file. Default: standard output.")] = None,
) -> None:
    """Write the log of a simulated shop, as JSON lines in the wire format.

    Customers leave for known, hidden causes.
    """
    try:
        settings = ShopSettings(customers=customers, days=days)
    except ValueError as error:
        raise BadOption(option="--customers or --days", value=(customers, days), remedy=f"{error}.") from error
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    with ProgressBars() as bars, nullcontext(sys.stdout.buffer) if out is None else out.open("wb") as file:
        written = write_log(settings, seed, file, lambda step, share: bars.show(_STEPS[step], completed=share))
        file.flush()
    messages().print(f"{written:,} events of {customers:,} customers over {days} days" + (f" in {out}" if out else ""))
