"""The `stream-app demo` command."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from stream_app.cli.options import LangOption, language
from stream_app.cli.output import messages
from stream_app.demo import Request, run_demo

_IN_TERMINAL: Final = 150.0  # seconds of simulated days, which people watch until they have seen enough


def demo(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    seconds: Annotated[
        float | None,
        typer.Option(
            min=5,
            help="Seconds until the demo ends. Default: 75; in a terminal, it stays on view until Ctrl-C.",
        ),
    ] = None,
    customers: Annotated[int, typer.Option(min=100, max=20_000, help="Number of simulated customers.")] = 3_000,
    history: Annotated[
        int, typer.Option(min=45, max=400, help="Number of days to fast-forward at the start to train a model.")
    ] = 110,
    day_seconds: Annotated[float, typer.Option(min=0.3, max=60, help="Seconds per simulated day after that.")] = 1.25,
    capacity: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of new alerts per day.")] = 5,
    lang: LangOption = "",
    seed: Annotated[int, typer.Option(help="Random seed of the shop.")] = 1,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Port of the web page on this machine, or 0 for any free port. Default: 8465."
        ),
    ] = None,
) -> None:
    """Run a simulated shop on the real services, with embedded Kafka and Redis.

    Needs neither servers nor Docker.
    """
    console = messages()
    stays = seconds is None and console.is_terminal
    request = Request(
        customers=customers,
        history_days=history,
        day_seconds=day_seconds,
        capacity=capacity,
        seconds=seconds or (_IN_TERMINAL if stays else Request.seconds),
        stays=stays,
        lang=language(lang),
        seed=seed,
        port=port,
    )
    run_demo(request, console)
