"""`stream-app receiver`: a line for each message in the terminal, and the page."""

from __future__ import annotations

import asyncio
import signal

from rich.console import Console
from rich.text import Text

from stream_app.demo.receiver import Inbox, Say, serve
from stream_app.demo.webhook import Verifier, read_secret, webhook_key


def run_receiver(secret: str, host: str, port: int, keep: int, console: Console) -> None:
    """Receive until a signal."""
    inbox = Inbox(Verifier(webhook_key(read_secret(secret), source=secret)), keep)

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True, highlight=False)
        console.file.flush()

    asyncio.run(_life(inbox, host, port, say))


async def _life(inbox: Inbox, host: str, port: int, say: Say) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = await serve(inbox, host, port, say)
    say(f"Receiving on http://{host}:{port}/")
    await ended.wait()
    await runner.cleanup()
