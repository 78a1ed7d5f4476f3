"""`stream-app receiver`: a line for each message in the terminal, and the page."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from stream_app.demo.receiver import Inbox, Print, serve
from stream_app.notifications.webhook_signature import Verifier, read_webhook_key


@dataclass(frozen=True)
class Wishes:
    """How many messages are kept, and what needs no signature."""

    keep: int
    unsigned: str | None


def run_receiver(secret: str, host: str, port: int, wishes: Wishes, console: Console) -> None:
    """Receive until a signal."""
    verifier = Verifier(read_webhook_key(secret))
    inbox = Inbox(verifier, wishes.keep, unsigned=wishes.unsigned)

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True, highlight=False)
        console.file.flush()

    asyncio.run(_life(inbox, host, port, say))


async def _life(inbox: Inbox, host: str, port: int, say: Print) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = await serve(inbox, host, port, say)
    say(f"Receiving on http://{host}:{port}/")
    await ended.wait()
    await runner.cleanup()
