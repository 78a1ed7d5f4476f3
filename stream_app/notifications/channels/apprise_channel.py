"""E-mail and more than a hundred other services, via Apprise (https://github.com/caronc/apprise).

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
    """A channel that sends to one Apprise address.

    Args:
        endpoint: an address in Apprise's format, which usually contains a secret. After the timeout, an attempt counts
            as failed, although its thread may keep running.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        import apprise  # noqa: PLC0415 - importing it takes half a second, and few shops use it

        # Apprise's log lines contain addresses.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._apprise = apprise.Apprise()
        self._is_valid = bool(self._apprise.add(endpoint.url))
        self._timeout_seconds = endpoint.timeout_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apprise")  # one per channel, since it may hang

    async def send(self, message: OutboundMessage) -> Answer:
        """See `Channel.send`."""
        if not self._is_valid:
            return Refused("the address is not a valid Apprise URL", _REMEDY)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                done = await loop.run_in_executor(self._thread, self._notify, message)
        except TimeoutError:
            return Retry(f"no answer within {self._timeout_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - each service raises different errors, whose messages may contain a secret
            return Retry(f"apprise failed: {type(error).__name__}")
        return Delivered() if done else Retry("the service did not accept the message; apprise gives no reason")

    def _notify(self, message: OutboundMessage) -> bool:
        return bool(self._apprise.notify(title=message.title, body=message.plain, body_format="text"))

    async def close(self) -> None:
        """See `Channel.close`."""
        self._thread.shutdown(wait=False, cancel_futures=True)


KIND: Final = ChannelKind("apprise", AppriseChannel, guarded=False)
