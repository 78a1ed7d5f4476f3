"""The deliverer as a service: alerts from Kafka into the book, letters from the book to the channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.adapters.kafka.faust_transport import BatchingTransport
from stream_app.adapters.kafka.topics import require_topics
from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.config import LiveConfig
from stream_app.config.fields import SECOND_US
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.alerts import decode_alert
from stream_app.core.messages.decoding import Record, read_internal
from stream_app.core.stall import Progress
from stream_app.metrics import CommitMetrics, DeliveryMetrics, InputMetrics, SkippedMetrics
from stream_app.notifications.channel_file import read_channels
from stream_app.notifications.channels.registry import (
    KINDS,
    Words,
    make_channels,
    make_composer,
    make_policy,
    make_route,
)
from stream_app.services.notifier.clock import now_us
from stream_app.services.notifier.commits import Commits
from stream_app.services.notifier.requests import Requests
from stream_app.services.notifier.sender import Sender
from stream_app.services.runtime.faust_app import batches, make_app
from stream_app.services.runtime.process import Crash
from stream_app.services.runtime.skipped_batches import SkippedBatches
from stream_app.services.runtime.stores import open_stores
from stream_app.services.runtime.topic_watch import TopicWatch

INSTANCE: Final = "deliver"
CHUNK: Final = 200  # records of one commit
_REQUEST_SECONDS: Final = 1.0
_FORGET_SECONDS: Final = 5.0  # so long one that was started anew elsewhere may go on, if it has nothing to store
_FINISH_SECONDS: Final = 15.0
_log = logging.getLogger(__name__)


class NotifierService:
    """One agent over the alerts of all partitions, and a sender for each channel.

    Args:
        config: all settings.
        registry: for the metrics.
        crash: ends the process.
        on_step: told before each step; for tests that crash there.
    """

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config, self._crash, self._on_step = config, crash, on_step
        self._topic = config.kafka.topics.alerts
        channels = read_channels(config.delivery.config)
        self._file = channels.file
        self._receivers = make_channels(channels)
        zone = config.shop.settings().clock
        routes = [make_route(name, one, zone) for name, one in self._file.channels.items()]
        self.book = DeliveryScheduler(routes, make_policy(self._file, zone), Words(make_composer(config)))
        self._stores = open_stores(config)
        self.topic_watch = TopicWatch(config, ["alerts"])
        self._store = RedisDeliveryStore(self._stores.client, config.redis.prefix)
        self._metrics, self._commit_metrics = DeliveryMetrics(registry, routes), CommitMetrics(registry)
        self._skipped = SkippedBatches(SkippedMetrics(registry), "alerts", config)
        self._tasks: list[asyncio.Task[None]] = []
        self._progress = Progress(position=(), lag=0)
        self.app = make_app(config, f"{config.kafka.group}-deliver", INSTANCE)
        self._transport = BatchingTransport.install(
            self.app, positions=self._positions, skipped=InputMetrics(registry).unreadable.inc
        )
        channel = self.app.topic(self._topic, key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name="alerts")(self._consume)

    async def start(self) -> None:
        """Become the only deliverer, take up what is pending, and begin to consume and to send."""
        await asyncio.to_thread(require_topics, self._config)
        await self.topic_watch.begin()
        await self._stores.eviction.begin()
        await self._store.claim(INSTANCE)
        self.topic_watch.require(await self._store.keep_topics(self.topic_watch.ids))
        self.book.begin(await self._store.load(), now_us())
        for problem in self.book.unreadable:
            _log.error("a stored record cannot be read: it is left alone", extra={"problem": problem})
        self._commits = Commits(self.book, self._store, self._commit_metrics, self._on_step)
        self._senders = {name: self._sender(name) for name in self.book.routes}
        self._requests = Requests(self.book, self._store, self._commits)
        await self._commits.store()
        _log.info("delivering", extra={"mode": self._file.mode, "channels": len(self._senders)})
        for work in (*(sender.run() for sender in self._senders.values()), self._answer(), self._forget()):
            self._tasks.append(asyncio.create_task(self._watched(work)))
        await self.app.start()

    async def stop(self) -> None:
        """Take in nothing more, let the requests under way end, and store what came of them."""
        await self.app.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(sender.finish(_FINISH_SECONDS) for sender in self._senders.values()))
        await self._commits.store()
        await self._skipped.close()
        for receiver in self._receivers.values():
            await receiver.close()
        await self._stores.close()

    def report(self, health: Health) -> None:
        """See Service."""
        problem = self._stores.eviction.problem
        health.set("redis", not problem, problem)
        self._metrics.note(self.book, now_us())
        assigned = len(self.app.consumer.assignment()) if self.app.started else 0
        wanted = self._config.kafka.partitions
        health.set("assigned", assigned == wanted, f"{assigned} of {wanted} partitions of {self._topic}")

    @property
    def progress(self) -> Progress:
        """See Service. Alerts are few: hours without one are as they should be."""
        return self._progress

    def _sender(self, name: str) -> Sender:
        channel = self._file.channels[name]
        concurrency = channel.concurrency or KINDS[channel.kind].concurrency
        return Sender(
            name,
            self._receivers[name],
            self.book,
            self._commits,
            self._metrics,
            concurrency,
            channel.timeout / SECOND_US,
            now_us,
            self._on_step,
        )

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, what is stored is whole, and the process ends
            await self._crash(error)

    async def _positions(self, tps: frozenset[Any]) -> dict[Any, int]:
        wanted = {tp: self.book.position.get(tp.partition, 0) for tp in tps}
        return {tp: offset for tp, offset in wanted.items() if offset}  # the others: from what Kafka still has

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            records = [one for one in fetched.records if one.offset >= self.book.position.get(tp.partition, 0)]
            for start in range(0, len(records), CHUNK):
                self._progress = Progress(position=(tp, records[start].offset), lag=len(records) - start)
                chunk = records[start : start + CHUNK]
                # What cannot be read may stand for more offsets than its own.
                end = fetched.end if chunk[-1] is records[-1] else chunk[-1].offset + 1
                await self._take(tp, chunk, end)
            self._progress = Progress(position=(), lag=0)
            yield

    async def _take(self, tp: TP, records: Sequence[Record], end: int) -> None:
        """Some records, and their commit with the position behind them."""
        # 1. Decode. What cannot be read is nobody's alert.
        messages = []
        for record in records:
            told = read_internal(record, decode_alert, self._config.worker.skew, numbered=False)
            if isinstance(told, Rejected):
                self._skipped.note(tp, record, told)
            else:
                messages.append(told)
        await self._skipped.bury()
        # 2. What has been made before is not made again: a relay may send twice.
        known = await self._store.known([name for message in messages for name in self.book.delivery_ids(message)])
        # 3. Decide, and commit the deliveries together with the position.
        self.book.add_alerts(tp.partition, end, messages, known, now_us())
        await self._commits.store()
        # 4. Tell Kafka, for its displays of lag, and send.
        self._transport.done(tp, end)
        self._metrics.alerts.inc(len(messages))
        for sender in self._senders.values():
            sender.wake()

    async def _answer(self) -> None:
        """Carry out what people ask for."""
        while True:
            if await self._requests.answer(now_us()):
                for sender in self._senders.values():
                    sender.wake()
            await asyncio.sleep(_REQUEST_SECONDS)

    async def _forget(self) -> None:
        """Drop what ended long ago. Raises Fenced if there is a later deliverer."""
        while True:
            while await self._store.forget(now_us() - self._file.keep, self._file.keep_at_most):
                self.book.dead = len(await self._store.dead())
            await asyncio.sleep(_FORGET_SECONDS)
