"""The command `stream-app demo`. It imports what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.cli.telling import console, errors_told, extra_needed


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)


def demo(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    seconds: Annotated[float, typer.Option(min=5, help="It ends by itself after so long.")] = 75.0,
    customers: Annotated[int, typer.Option(min=100, max=20_000, help="Of the simulated shop.")] = 3_000,
    history: Annotated[int, typer.Option(min=45, max=400, help="Days played fast, so that there is a model.")] = 110,
    day_seconds: Annotated[float, typer.Option(min=0.3, max=60, help="How long a day of the shop takes then.")] = 1.25,
    capacity: Annotated[int, typer.Option(min=1, max=100, help="New alerts that the staff can take a day.")] = 5,
    lang: Annotated[str, typer.Option(help="en or zh. Default: the environment's.")] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same shop.")] = 1,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Of its page on this machine; 0: any free. Default 8465.")
    ] = None,
) -> None:
    """Show a living shop on the real services, with a Kafka and a Redis of its own: no server, no Docker."""
    with errors_told(), extra_needed("demo"):
        from stream_app.cli.options import language, one_of
        from stream_app.demo import Request, run_demo

        request = Request(
            customers=customers,
            history_days=history,
            day_seconds=day_seconds,
            capacity=capacity,
            seconds=seconds,
            lang=one_of("--lang", lang or language(), "en", "zh"),
            seed=seed,
            port=port,
        )
        run_demo(request, console())
