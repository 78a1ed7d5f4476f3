"""Notifier service: turns alerts from Kafka into deliveries and sends their messages to the channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.config import LiveConfig
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.alerts import decode_alert
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.decoding import read_internal
from stream_app.core.stall import Progress
from stream_app.core.units import SECOND_US
from stream_app.metrics.notifier import DeliveryMetrics
from stream_app.notifications.channel_factory import make_channels, make_policy, make_route, silent_channels
from stream_app.notifications.channel_file import read_channels
from stream_app.notifications.channels.registry import KINDS
from stream_app.notifications.messages.writer import MessageWriter, make_composer
from stream_app.services.notifier.commits import Commits
from stream_app.services.notifier.requests import Requests
from stream_app.services.notifier.sender import Sender
from stream_app.services.runtime.consumer_service import SingletonService
from stream_app.services.runtime.crash import Crash
from stream_app.services.runtime.faust_app import batches
from stream_app.services.runtime.wall_clock import now_us

CHUNK: Final = 200  # records per commit
_REQUEST_SECONDS: Final = 1.0
_DELETE_SECONDS: Final = 5.0  # also limits how long a replaced notifier with nothing to commit keeps running
_FINISH_SECONDS: Final = 15.0
_log = logging.getLogger(__name__)


class NotifierService(SingletonService):
    """Consumes the alerts of all partitions and runs a sender for each channel."""

    name = "notifier"
    role = "alerts"

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(config, registry, crash, on_step)
        channels = read_channels(config.delivery.config)
        self._file = channels.file
        self._receivers = make_channels(channels)
        shop = config.shop.settings()
        zone = shop.clock
        for name in silent_channels(self._file, shop.contact_rules.hours if shop.contact_rules else ()):
            remedy = "Change the channel's quiet_hours, or quiet_hours and working_hours of the policy."
            _log.warning("A channel is quiet in all contact hours", extra={"channel": name, "remedy": remedy})
        routes = [make_route(name, one, zone) for name, one in self._file.channels.items()]
        self.scheduler = DeliveryScheduler(routes, make_policy(self._file, zone), MessageWriter(make_composer(config)))
        self._store = RedisDeliveryStore(self._stores.client, config.redis.prefix)
        self._metrics = DeliveryMetrics(registry, routes)
        self._progress = Progress(position=(), lag=0)

    async def _begin(self) -> None:
        await self._store.claim(self.name)
        self.topic_watch.require(await self._store.keep_topics(self.topic_watch.ids))
        self.scheduler.begin(await self._store.load(), now_us())
        for problem in self.scheduler.unreadable:
            _log.error("Unreadable record in the store ignored", extra={"problem": problem})
        self._batches = Commits(self.scheduler, self._store, self._commits, self._on_step)
        self._senders = {
            name: Sender(
                name,
                self._receivers[name],
                self.scheduler,
                self._batches,
                self._metrics,
                channel.concurrency or KINDS[channel.kind].concurrency,
                channel.timeout / SECOND_US,
                now_us,
                self._on_step,
            )
            for name, channel in self._file.channels.items()
        }
        self._requests = Requests(self.scheduler, self._store, self._batches)
        await self._batches.store()
        _log.info("Delivery started", extra={"mode": self._file.mode, "channels": len(self._senders)})
        for work in (
            *(sender.run() for sender in self._senders.values()),
            self._serve_requests(),
            self._delete_ended(),
        ):
            self._run(work)

    async def _finish(self) -> None:
        await asyncio.gather(*(sender.finish(_FINISH_SECONDS) for sender in self._senders.values()))
        await self._batches.store()
        for receiver in self._receivers.values():
            await receiver.close()
        await super()._finish()

    def _report(self, health: Health) -> None:
        super()._report(health)
        self._metrics.update(self.scheduler, now_us())

    @property
    def progress(self) -> Progress:
        """See ConsumerService. Alerts are rare, so it is normal to make no progress for hours."""
        return self._progress

    def _position(self, partition: int) -> int:
        return self.scheduler.position.get(partition, 0)

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            records = [one for one in fetched.records if one.offset >= self._position(tp.partition)]
            for start in range(0, len(records), CHUNK):
                self._progress = Progress(position=(tp, records[start].offset), lag=len(records) - start)
                chunk = records[start : start + CHUNK]
                # An unreadable record may span several offsets.
                end = fetched.end if chunk[-1] is records[-1] else chunk[-1].offset + 1
                await self._take(tp, chunk, end)
            self._progress = Progress(position=(), lag=0)
            yield

    async def _take(self, tp: TP, records: Sequence[Record], end: int) -> None:
        """Process records and commit the results together with the position after them."""
        # 1. Decode the records and skip invalid ones.
        messages = []
        for record in records:
            message = read_internal(record, decode_alert, self._config.worker.skew, numbered=False)
            if isinstance(message, Rejected):
                self._skipped.add(tp, record, message)
            else:
                messages.append(message)
        await self._skipped.write_dead_letters()
        # 2. Find existing deliveries: a relay may send an alert twice.
        ids = [name for message in messages for name in self.scheduler.delivery_ids(message)]
        known = set(await self._store.deliveries(ids))
        # 3. Decide, and commit the deliveries and the position.
        self.scheduler.add_alerts(tp.partition, end, messages, known, now_us())
        await self._batches.store()
        # 4. Commit the offsets to Kafka, for display of the lag only, and send.
        self._transport.done(tp, end)
        self._metrics.alerts.inc(len(messages))
        self._wake_senders()

    def _wake_senders(self) -> None:
        for sender in self._senders.values():
            sender.due.set()

    async def _serve_requests(self) -> None:
        while True:
            if await self._requests.answer(now_us()):
                self._wake_senders()
            await asyncio.sleep(_REQUEST_SECONDS)

    async def _delete_ended(self) -> None:
        """Delete old deliveries until cancelled. Raises Fenced if there is a newer notifier."""
        while True:
            while await self._store.forget(now_us() - self._file.keep, self._file.keep_at_most):
                self.scheduler.dead = len(await self._store.dead())
            await asyncio.sleep(_DELETE_SECONDS)
