"""The `stream-app schema` command."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.schema import render


def schema(
    form: Annotated[str, typer.Option("--format", help="json-schema or asyncapi.")] = "json-schema",
) -> None:
    """Print the schema of the events."""
    typer.echo(render(form), nl=False)
