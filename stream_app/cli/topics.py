"""`stream-app topics` as people see it."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.table import Table

from stream_app.adapters.kafka.placement import check_placement
from stream_app.adapters.kafka.topics import Mismatch, Severity, check_topics, create_topics
from stream_app.config import INPUTS, OUTPUTS, LiveConfig
from stream_app.services.runtime.topic_acceptance import accept_topic


def run_create(config: LiveConfig, console: Console) -> int:
    """Make what is missing and check the rest; the exit status."""
    made = create_topics(config)
    console.print(f"Made: {', '.join(made)}." if made else "All topics were there already.", highlight=False)
    return _show(check_topics(config), config, console)


def run_check(config: LiveConfig, console: Console) -> int:
    """Show what is wrong; the exit status, 0 if nothing is."""
    mismatches = check_topics(config)
    mismatches += check_placement(config, {one.topic for one in mismatches if one.unequal})
    return _show(mismatches, config, console)


def _show(mismatches: list[Mismatch], config: LiveConfig, console: Console) -> int:
    if not mismatches:
        topics, partitions = len(INPUTS) + len(OUTPUTS), config.kafka.partitions
        console.print(f"All {topics} topics are as they must be, with {partitions} partitions each.", highlight=False)
        return 0
    table = Table(show_lines=True)
    for column in ("topic", "", "what is wrong", "what to do"):
        table.add_column(column, overflow="fold")
    for one in mismatches:
        colour = "red" if one.severity is Severity.ERROR else "yellow"
        table.add_row(one.topic, f"[{colour}]{one.severity}[/]", one.problem, one.remedy)
    console.print(table)
    if any(one.severity is Severity.ERROR for one in mismatches):
        console.print("[red]No worker starts on these topics.[/]")
    return 1


def run_accept(config: LiveConfig, topic: str, console: Console) -> int:
    """Accept a topic that was created again; the exit status."""
    accepted = asyncio.run(accept_topic(config, topic))
    done = "is read from its beginning at the next start" if accepted else "is the topic that was read before"
    console.print(f"{topic} {done}.", highlight=False)
    return 0
