"""The long tail, e-mail and a hundred services more, by apprise (https://github.com/caronc/apprise).

It knows no error codes and connects by itself, so the guard of private addresses does not hold here.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import apprise

from stream_app.core.delivery.answer import Answer, Delivered, Refused, Retry
from stream_app.core.delivery.records import OutboundMessage

TEXT_BYTES: Final = 15_000
_REMEDY: Final = "See https://github.com/caronc/apprise/wiki for how the address of your service is written."


class AppriseChannel:
    """One address of apprise.

    Args:
        url: as apprise writes it; it usually holds a secret.
        timeout_seconds: after it the attempt counts as failed, though its thread may go on.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        # Its log lines show addresses.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._apprise = apprise.Apprise()
        self._known = bool(self._apprise.add(url))
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apprise")  # one that hangs holds up only this channel

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        if not self._known:
            return Refused("apprise does not understand the address", _REMEDY)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                done = await loop.run_in_executor(self._thread, self._notify, message)
        except TimeoutError:
            return Retry(f"no answer within {self._timeout_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a hundred services fail in a hundred ways; the text may show a secret
            return Retry(f"apprise failed: {type(error).__name__}")
        return Delivered() if done else Retry("the service did not take it; apprise does not say why")

    def _notify(self, message: OutboundMessage) -> bool:
        return bool(
            self._apprise.notify(title=message.title, body=message.plain, body_format=apprise.NotifyFormat.TEXT)
        )

    async def close(self) -> None:
        """See `Channel.close`."""
        self._thread.shutdown(wait=False, cancel_futures=True)
