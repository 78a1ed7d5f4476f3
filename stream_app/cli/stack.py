"""The commands that a whole stack needs beside the services: shop, receiver, health, secret."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from stream_app.cli.live import BootstrapOption, ConfigOption, SetOption, settings
from stream_app.cli.telling import console, errors_told, extra_needed, output


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (shop, receiver, health, secret):
        app.command()(command)


def shop(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    customers: Annotated[int, typer.Option(min=100, help="Of all its years.")] = 12_000,
    days: Annotated[int, typer.Option(min=30, help="For which it exists; then it is closed.")] = 1_461,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Its first day. Default: that of the topics, or months ago."),
    ] = None,
    last_days: Annotated[float, typer.Option(min=0, help="Before today, shown at the pace of --day-seconds.")] = 13.0,
    day_seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="How long such a day takes.")] = 60.0,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so long. Default: never.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same shop.")] = 1,
    staff: Annotated[
        bool, typer.Option(help="A simulated staff works on the alerts. Without it, you do: stream-app episode.")
    ] = True,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Keep a simulated shop alive on Kafka: its past fast, its last days at a pace for people, then in real time.

    It is the clock of the services (ticks.clock = log). Stopped or killed, the same command goes on from there.
    """
    with errors_told(), extra_needed("shop"):
        from stream_app.cli.shopping import Asked, run_shop

        run_shop(
            settings(config, bootstrap, given),
            Asked(customers, days, start, seed, last_days, day_seconds, seconds, staff),
        )


def receiver(
    secret: Annotated[str, typer.Option(metavar="env:NAME|file:PATH", help="Where the secret, whsec_…, stands.")],
    host: Annotated[str, typer.Option(help="Where it listens; beyond the loopback only by decision.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where it listens.")] = 8080,
    keep: Annotated[int, typer.Option(min=1, max=10_000, help="How many messages are kept, in memory.")] = 100,
    unsigned: Annotated[
        str | None, typer.Option(metavar="/PATH", help="What is posted there needs no signature: Alertmanager's.")
    ] = None,
) -> None:
    """Receive webhooks, check their signatures (Standard Webhooks), and show what came on a page."""
    with errors_told():
        from stream_app.cli.receiving import Wishes, run_receiver

        run_receiver(secret, host, port, Wishes(keep, unsigned), output())


def health(
    service: Annotated[str, typer.Argument(help="worker, trainer, desk, ..., shop or receiver.")],
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Where. Default: as the settings say.")] = None,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Ask a service on this machine whether it is ready: exit status 0, or 1 and why not."""
    with errors_told():
        from stream_app.cli.asking import port_of, run_health

        asked = port or port_of(service, settings(config, given=given))
        raise typer.Exit(run_health(service, asked, console()))


def secret(
    path: Annotated[Path, typer.Argument(help="The file; one that is there is left as it is.")],
    form: Annotated[str, typer.Option(help="webhook: whsec_…; or password.")] = "webhook",
    shared: Annotated[bool, typer.Option("--shared", help="Readable for all users, not for its owner alone.")] = False,
) -> None:
    """Write a new random secret into a file, unless it is there."""
    with errors_told():
        from stream_app.cli.options import one_of
        from stream_app.demo.secrets import FORMS, write_missing

        written = write_missing(path, one_of("--form", form, *FORMS), shared=shared)
        console().print(f"{path}: {'written' if written else 'was there already'}", highlight=False, markup=False)
