"""What all commands share in how they speak: to standard error, and an error of ours in one paragraph."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from stream_app.errors import ChurnMonitorError, MissingExtra

if TYPE_CHECKING:
    from rich.console import Console

_EXTRAS: Final = ("altair", "vl_convert", "duckdb", "pyarrow")


def console() -> Console:
    """What people read goes to standard error, so that standard output can be piped."""
    from rich.console import Console

    return Console(stderr=True)


def output() -> Console:
    """Standard output, for what was asked for."""
    from rich.console import Console

    return Console()


@contextmanager
def errors_told() -> Iterator[None]:
    """Tell an error of ours in one paragraph, with its exit status, instead of a traceback."""
    try:
        yield
    except ChurnMonitorError as error:
        from rich.text import Text

        console().print(Text(f"stream-app: {error}", style="bold red"), soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        raise typer.Exit(0) from None


@contextmanager
def extra_needed(command: str) -> Iterator[None]:
    """Say how to install what a slim installation lacks."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _EXTRAS:
            raise MissingExtra(command=command, package=error.name) from error
        raise
