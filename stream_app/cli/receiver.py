"""The `stream-app receiver` command."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer
from rich.text import Text

from stream_app.cli.output import results
from stream_app.demo.receiver import Inbox, serve
from stream_app.notifications.webhook_signature import Verifier, read_webhook_key


def receiver(
    secret: Annotated[str, typer.Option(metavar="env:NAME|file:PATH", help="Reference to the secret (whsec_…).")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8080,
    keep: Annotated[int, typer.Option(min=1, max=10_000, help="Number of messages to keep in memory.")] = 100,
    unsigned: Annotated[
        str | None, typer.Option(metavar="/PATH", help="Path that accepts unsigned messages, for Alertmanager.")
    ] = None,
) -> None:
    """Run a webhook receiver that verifies signatures and shows messages.

    Signatures follow Standard Webhooks. Messages appear in the terminal and on a web page.
    """
    inbox = Inbox(Verifier(read_webhook_key(secret)), keep, unsigned=unsigned)
    asyncio.run(_receive(inbox, host, port))


async def _receive(inbox: Inbox, host: str, port: int) -> None:
    console, ended = results(), asyncio.Event()

    def show(line: str) -> None:
        console.print(Text(line), soft_wrap=True, highlight=False)
        console.file.flush()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = await serve(inbox, host, port, show)
    show(f"Receiving on http://{host}:{port}/")
    await ended.wait()
    await runner.cleanup()
