"""The command line. Each command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stream_app import __version__
from stream_app.cli import alerts, demo, live, rights, services, stack, staff
from stream_app.cli.telling import console, errors_told, extra_needed

# Linear algebra on small matrices is faster on one thread, and its sums are then the same on every machine of a kind.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Real-time churn monitor: who is about to leave, why, how sure it is, and what it is worth.",
)


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    """Say what all commands share."""
    if version:
        typer.echo(f"stream-app {__version__}")
        raise typer.Exit


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    logs: Annotated[list[str], typer.Argument(metavar="LOG...", help="Files, folders, or - for standard input.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    form: Annotated[
        str, typer.Option("--format", help="jsonl, parquet, csv, a shipped mapping's name, or a mapping's path.")
    ] = "jsonl",
    horizon: Annotated[str | None, typer.Option(help="Churned: no order within it. Default 60d.")] = None,
    active_window: Annotated[
        str | None, typer.Option(help="Who ordered within it is decided on. Default 180d.")
    ] = None,
    decide_every: Annotated[str | None, typer.Option(help="One decision a customer and period. Default 7d.")] = None,
    lost_after: Annotated[
        str | None, typer.Option(help="Your own rule: lost after so long. Default: the window.")
    ] = None,
    lateness: Annotated[str | None, typer.Option(help="How late an event may come. Default 1d.")] = None,
    columns: Annotated[list[str] | None, typer.Option(help="customer_id=cust,occurred_at=date")] = None,
    kinds: Annotated[list[str] | None, typer.Option(help="The log's words: click=browsing,buy=order")] = None,
    kind: Annotated[str | None, typer.Option(help="What every line is, for logs of one kind.")] = None,
    order_action: Annotated[str | None, typer.Option(help="What counts as an order: placed or paid.")] = None,
    zone: Annotated[str | None, typer.Option(help="The shop's time zone, like Asia/Shanghai. Default UTC.")] = None,
    capacity: Annotated[int | None, typer.Option(help="New alerts that the staff can take a working day.")] = None,
    rank_by: Annotated[str | None, typer.Option(help="Who is called first: risk, or worth (risk × money).")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with these and all other settings.")] = None,
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="Spread the customers as Kafka would.")] = 1,
    predictions: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",
    max_rejected: Annotated[str, typer.Option(help="More rejected lines than this: exit status 3.")] = "1%",
    lang: Annotated[str, typer.Option(help="Of the report: en or zh.")] = "",
    not_after: Annotated[
        datetime | None, typer.Option(help="Reject events later than this day (UTC), as typing errors.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Shown beside money, like CNY.")] = "",
    seed: Annotated[
        int | None, typer.Option(help="Kept with the results; today's models draw nothing by chance.")
    ] = None,
) -> None:
    """Replay a shop's recorded log: how early and how surely you would have known who was leaving."""
    from stream_app.cli import options
    from stream_app.core.durations import duration

    durations = {
        "horizon": horizon,
        "active_window": active_window,
        "decide_every": decide_every,
        "lost_after": lost_after,
        "lateness": lateness,
    }
    plain = {"order_action": order_action, "zone": zone, "capacity": capacity, "rank_by": rank_by, "seed": seed}
    with errors_told(), extra_needed("replay"):
        from stream_app.cli.replaying import run_replay
        from stream_app.ingest import LogFormat
        from stream_app.replay.session import Request

        given = plain | {name: duration(text) for name, text in durations.items() if text is not None}
        request = Request(
            logs=tuple(logs),
            form=LogFormat(form, options.pairs(columns), options.pairs(kinds), kind),
            settings=options.read_settings(settings, given),
            out=out,
            partitions=partitions,
            predictions=options.one_of("--predictions", predictions, "csv", "parquet"),
            lang=options.one_of("--lang", lang or options.language(), "en", "zh"),
            max_rejected=options.share(max_rejected),
            currency=currency,
            not_after=not_after.replace(tzinfo=UTC) if not_after else None,
        )
        run_replay(request, console())


@app.command()
def simulate(
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 5000,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 365,
    seed: Annotated[int, typer.Option(help="Same seed, same shop, same bytes.")] = 1,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output if not given.")] = None,
) -> None:
    """Simulate a shop whose customers leave for known hidden causes, as JSON lines in the wire format."""
    with errors_told():
        from stream_app.cli.simulating import run_simulate

        run_simulate(customers, days, seed, out, console())


@app.command()
def schema(
    form: Annotated[str, typer.Option("--format", help="json-schema or asyncapi.")] = "json-schema",
) -> None:
    """Print the schema of the events."""
    with errors_told():
        from stream_app.cli import options
        from stream_app.schema import render

        typer.echo(render(options.one_of("--format", form, "json-schema", "asyncapi")), nl=False)


def main() -> None:
    """Run the command line."""
    app()


live.register(app)
services.register(app)
staff.register(app)
alerts.register(app)
demo.register(app)
stack.register(app)
rights.register(app)
