"""E-mail and more than a hundred other services, by apprise (https://github.com/caronc/apprise).

Apprise reports no error codes, and it opens its own connections, so private addresses cannot be refused here.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from stream_app.core.delivery.answer import Answer, Delivered, Refused, Retry
from stream_app.core.delivery.records import OutboundMessage
from stream_app.notifications.channels.channel import ChannelKind, Endpoint

_REMEDY: Final = "See https://github.com/caronc/apprise/wiki for the address format of your service."


class AppriseChannel:
    """An address of apprise.

    Args:
        url: address in the format of apprise; it usually contains a secret.
        timeout_seconds: time after which an attempt counts as failed, although its thread may continue.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        import apprise  # noqa: PLC0415 - takes half a second, and few shops use it

        # The log lines of apprise contain addresses.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._apprise = apprise.Apprise()
        self._is_valid = bool(self._apprise.add(url))
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apprise")  # per channel, since it may hang

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        if not self._is_valid:
            return Refused("apprise does not understand the address", _REMEDY)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                done = await loop.run_in_executor(self._thread, self._notify, message)
        except TimeoutError:
            return Retry(f"no answer within {self._timeout_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - each service fails in its own way; the message may contain a secret
            return Retry(f"apprise failed: {type(error).__name__}")
        return Delivered() if done else Retry("the service did not accept the message; apprise gives no reason")

    def _notify(self, message: OutboundMessage) -> bool:
        return bool(self._apprise.notify(title=message.title, body=message.plain, body_format="text"))

    async def close(self) -> None:
        """See `Channel.close`."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _make(endpoint: Endpoint) -> AppriseChannel:
    return AppriseChannel(endpoint.url, endpoint.timeout_seconds)


KIND: Final = ChannelKind("apprise", _make, guarded=False)
