"""The `stream-app topics` commands."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from stream_app.adapters.kafka.placement import check_placement
from stream_app.adapters.kafka.topics import Mismatch, Severity, check_topics, create_topics
from stream_app.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, load_settings
from stream_app.cli.output import messages, write_json
from stream_app.config import INPUTS, OUTPUTS, LiveConfig

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Create and check the Kafka topics.")


@app.command()
def create(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Create missing topics, then check all topics. Exits with status 1 if a topic has a problem."""
    settings = load_settings(config, bootstrap, given)
    created = create_topics(settings)
    messages().print(f"Created: {', '.join(created)}." if created else "All topics exist.", highlight=False)
    _show(check_topics(settings), settings, as_json=as_json)


@app.command()
def check(
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Check all topics and print problems with remedies. Exits with status 1 if a topic has a problem."""
    settings = load_settings(config, bootstrap, given)
    mismatches = check_topics(settings)
    mismatches += check_placement(settings, {one.topic for one in mismatches if one.unequal})
    _show(mismatches, settings, as_json=as_json)


@app.command()
def accept(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Name of the topic in Kafka.")],
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Accept a topic that was deleted and created again, and read it from the beginning.

    Stop the services first.
    """
    from stream_app.services.runtime.topic_acceptance import accept_topic

    accepted = asyncio.run(accept_topic(load_settings(config, bootstrap, given), topic))
    done = "will be read from the beginning at the next start" if accepted else "has not been created again"
    messages().print(f"{topic} {done}.", highlight=False)


def _show(mismatches: list[Mismatch], config: LiveConfig, *, as_json: bool) -> None:
    if as_json:
        write_json(
            {name: getattr(one, name) for name in ("topic", "severity", "problem", "remedy")} for one in mismatches
        )
    elif not mismatches:
        topics, partitions = len(INPUTS) + len(OUTPUTS), config.kafka.partitions
        messages().print(f"All {topics} topics are valid, with {partitions} partitions each.", highlight=False)
    else:
        _print_table(mismatches)
    if mismatches:
        raise typer.Exit(1)


def _print_table(mismatches: list[Mismatch]) -> None:
    table = Table(show_lines=True)
    for column in ("topic", "", "problem", "remedy"):
        table.add_column(column, overflow="fold")
    for one in mismatches:
        colour = "red" if one.severity is Severity.ERROR else "yellow"
        table.add_row(one.topic, f"[{colour}]{one.severity}[/]", one.problem, one.remedy)
    console = messages()
    console.print(table)
    if any(one.severity is Severity.ERROR for one in mismatches):
        console.print("[red]Workers do not start until the errors are fixed.[/]")
