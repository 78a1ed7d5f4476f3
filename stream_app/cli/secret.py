"""The `stream-app secret` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream_app.cli.options import one_of
from stream_app.cli.output import messages
from stream_app.demo.secrets import FORMS, write_missing


def secret(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to write. An existing file is left unchanged.")],
    form: Annotated[str, typer.Option(help="Format of the secret: webhook (whsec_…) or password.")] = "webhook",
    shared: Annotated[bool, typer.Option("--shared", help="Make the file readable by all users.")] = False,
) -> None:
    """Write a new random secret to a file."""
    written = write_missing(path, one_of("--form", form, tuple(FORMS)), shared=shared)
    messages().print(f"{path}: {'written' if written else 'already exists'}", highlight=False, markup=False)
