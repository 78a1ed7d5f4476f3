"""The commands that work on Kafka: publish, topics. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_app.cli.telling import console, errors_told, extra_needed

if TYPE_CHECKING:
    from stream_app.config import LiveConfig

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with the settings. Default: $STREAM_APP_CONFIG.")
]
BootstrapOption = Annotated[
    str | None, typer.Option("--bootstrap", metavar="HOST:PORT", help="The broker. Default: setting kafka.bootstrap.")
]

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting of docs/settings.md: --set worker.instance=w2"),
]

topics_app = typer.Typer(no_args_is_help=True, help="Make the topics, and check that they are as they must be.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(publish)
    app.add_typer(topics_app, name="topics")


def settings(config: Path | None, bootstrap: str | None = None, given: list[str] | None = None) -> LiveConfig:
    """The settings of the service, with what the command line says over them."""
    from stream_app.cli.options import settings_given
    from stream_app.config import load_config

    return load_config(config, {"kafka.bootstrap": bootstrap, **settings_given(given)})


def publish(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    logs: Annotated[list[str], typer.Argument(metavar="LOG...", help="Files, folders, or - for standard input.")],
    speed: Annotated[str, typer.Option(help="1000x: so many times as fast as it happened; max: flat out.")] = "max",
    form: Annotated[
        str, typer.Option("--format", help="jsonl, parquet, csv, a shipped mapping's name, or a mapping's path.")
    ] = "jsonl",
    columns: Annotated[list[str] | None, typer.Option(help="customer_id=cust,occurred_at=date")] = None,
    kinds: Annotated[list[str] | None, typer.Option(help="The log's words: click=browsing,buy=order")] = None,
    kind: Annotated[str | None, typer.Option(help="What every line is, for logs of one kind.")] = None,
    open_end: Annotated[bool, typer.Option("--open-end", help="More will follow: don't end the log.")] = False,
    after_other_logs: Annotated[
        bool, typer.Option("--after-other-logs", help="Append, though the topics hold other logs.")
    ] = False,
    rejected: Annotated[Path | None, typer.Option(help="File for the lines that cannot be read.")] = None,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Feed a recorded log into Kafka, with its own ticks. Stopped or killed, the same command goes on from there."""
    with errors_told(), extra_needed("publish"):
        from stream_app.cli import options
        from stream_app.cli.publishing import run_publish
        from stream_app.ingest import LogFormat
        from stream_app.publish import Request, speed_factor

        request = Request(
            logs=tuple(logs),
            form=LogFormat(form, options.pairs(columns), options.pairs(kinds), kind),
            speed=speed_factor(speed),
            open_end=open_end,
            after_other_logs=after_other_logs,
            rejected=rejected,
        )
        run_publish(settings(config, bootstrap, given), request, console())


@topics_app.command()
def create(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Make the topics that are not there yet, then check all of them."""
    with errors_told():
        from stream_app.cli.topics import run_create

        raise typer.Exit(run_create(settings(config, bootstrap, given), console()))


@topics_app.command()
def check(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Say of every topic what is wrong with it and what to do. Exit status 1 if anything is."""
    with errors_told():
        from stream_app.cli.topics import run_check

        raise typer.Exit(run_check(settings(config, bootstrap, given), console()))


@topics_app.command()
def accept(
    topic: Annotated[str, typer.Argument(help="Its name in Kafka.")],
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Accept a topic that was deleted and created again: it is read from its beginning. Stop the services first."""
    with errors_told():
        from stream_app.cli.topics import run_accept

        raise typer.Exit(run_accept(settings(config, bootstrap, given), topic, console()))
