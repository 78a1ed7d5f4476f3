"""The `stream-app schema` command."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.schema import render


def schema(
    of: Annotated[str, typer.Argument(metavar="[OF]", help="events, alerts or webhook.")] = "events",
    form: Annotated[str, typer.Option("--format", help="json-schema or asyncapi.")] = "json-schema",
) -> None:
    """Print the schema of events, alerts or webhooks.

    The AsyncAPI document contains events and alerts.
    """
    typer.echo(render(form, of), nl=False)
