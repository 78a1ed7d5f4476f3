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
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its first day.")] = datetime(2025, 1, 1),  # noqa: DTZ001 - a day; its zone is the shop's
    history: Annotated[int, typer.Option(min=0, help="Days at its beginning, sent as fast as it goes.")] = 110,
    day_seconds: Annotated[float, typer.Option(min=0.1, help="How long a day takes then.")] = 60.0,
    real_time: Annotated[bool, typer.Option("--real-time", help="Fast until today, then as time goes.")] = False,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so long. Default: never.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same shop.")] = 1,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Keep a simulated shop alive on Kafka, with its own clock. Stopped or killed, the command goes on from there."""
    with errors_told(), extra_needed("shop"):
        from stream_app.cli.shopping import run_shop  # noqa: PLC0415
        from stream_app.demo.shop import REAL_TIME, Plan  # noqa: PLC0415
        from stream_app.simulate.calendar import SHOP_ZONE  # noqa: PLC0415

        plan = Plan(
            customers=customers,
            days=days,
            start=start.replace(tzinfo=SHOP_ZONE),
            seed=seed,
            history_days=history,
            day_seconds=REAL_TIME if real_time else day_seconds,
        )
        run_shop(settings(config, bootstrap, given), plan, seconds)


def receiver(
    secret: Annotated[str, typer.Option(metavar="env:NAME|file:PATH", help="Where the secret, whsec_…, stands.")],
    host: Annotated[str, typer.Option(help="Where it listens; beyond the loopback only by decision.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where it listens.")] = 8090,
    keep: Annotated[int, typer.Option(min=1, max=10_000, help="How many messages are kept, in memory.")] = 100,
) -> None:
    """Receive webhooks, check their signatures (Standard Webhooks), and show what came on a page."""
    with errors_told():
        from stream_app.cli.receiving import run_receiver  # noqa: PLC0415

        run_receiver(secret, host, port, keep, output())


def health(
    service: Annotated[str, typer.Argument(help="worker, trainer, desk, ..., shop or receiver.")],
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Where. Default: as the settings say.")] = None,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Ask a service on this machine whether it is ready: exit status 0, or 1 and why not."""
    with errors_told():
        from stream_app.cli.asking import port_of, run_health  # noqa: PLC0415

        asked = port or port_of(service, settings(config, given=given))
        raise typer.Exit(run_health(service, asked, console()))


def secret(
    path: Annotated[Path, typer.Argument(help="The file; one that is there is left as it is.")],
    form: Annotated[str, typer.Option(help="webhook: whsec_…; or password.")] = "webhook",
    shared: Annotated[bool, typer.Option("--shared", help="Readable for all users, not for its owner alone.")] = False,
) -> None:
    """Write a new random secret into a file, unless it is there."""
    with errors_told():
        from stream_app.cli.options import one_of  # noqa: PLC0415
        from stream_app.demo.secrets import FORMS, write_missing  # noqa: PLC0415

        written = write_missing(path, one_of("--form", form, *FORMS), shared=shared)
        console().print(f"{path}: {'written' if written else 'was there already'}", highlight=False, markup=False)
