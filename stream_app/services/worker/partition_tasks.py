"""The partition numbers that this worker owns: each a lane in work, with its commits and its relay."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec
from faust.types.tuples import TP

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.adapters.kafka.faust_transport import Fetched
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outgoing import pack
from stream_app.core.partition import outbox
from stream_app.core.partition.progress import Position
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.settings import Settings
from stream_app.errors import CommitRefused, SplitPartition
from stream_app.ports import ModelStore, Opened, Outcome, StateStore
from stream_app.services.runtime.outbox_relay import OutboxRelay, Producer
from stream_app.services.runtime.rollback_recovery import go_on_behind, is_behind
from stream_app.services.runtime.topic_watch import TopicWatch
from stream_app.services.worker.model_versions import ModelVersions
from stream_app.services.worker.worker_metrics import WorkerMonitor

_HOLD_POLL_SECONDS: Final = 0.005
_LONGEST_POLL_SECONDS: Final = 0.25
# A fetch takes some turns of the event loop from its thread to the lanes. With a step of some milliseconds in each of
# them it would arrive late, bring more, and make the steps longer still.
_TURNS_BETWEEN_STEPS: Final = 8
_log = logging.getLogger(__name__)
Crash = Callable[[BaseException], Awaitable[None]]
LastSent = Callable[[int], Awaitable[int]]


async def _nothing_sent(_number: int) -> int:
    """Where no topic outlives the store."""
    return 0


class Work:
    """One lane in work: its pump turns what was pushed into commits, one after the other."""

    def __init__(self, task: PartitionTask, relay: OutboxRelay, stored: bytes) -> None:
        self.task, self.relay = task, relay
        self.base = stored  # position that the store has, as far as this worker knows
        self.wake = asyncio.Event()
        self.quiet = asyncio.Lock()  # held during a commit
        self.running: list[asyncio.Task[None]] = []
        self.batch = 0
        self.stopped = False
        self.patience = _HOLD_POLL_SECONDS  # between two questions whether the trainer has learned


class PartitionTasks:
    """All lanes of this worker.

    Args:
        store: of states.
        models: versions, and what the trainer has learned.
        producer: for the relays.
        topics: names by role, inputs and outputs.
        settings: of the shop.
        partition_of: the partition where a customer's records belong.
        limits: of a step.
        buffer_bytes: of a lane.
        instance: name and epoch, for the ids of batches.
        watch: told of everything that is measured.
        crash: ends the process; the cache is worthless after an error.
        topic_watch: the topics that are read; None: their ids are not compared.
        last_sent: the highest sequence number of a partition's outbox that Kafka has.
        done: told the position up to which a topic partition is stored.
        wants_changed: told when more is wanted of what was not.
        on_step: told before each numbered step of a commit; for tests that crash there.
    """

    def __init__(  # noqa: PLR0913 - the parts that a worker is made of
        self,
        *,
        store: StateStore,
        model_store: ModelStore,
        producer: Producer,
        topics: Mapping[str, str],
        settings: Settings,
        partition_of: Callable[[str], int],
        limits: Limits,
        buffer_bytes: int,
        instance: str,
        watch: WorkerMonitor,
        crash: Crash,
        topic_watch: TopicWatch | None = None,
        last_sent: LastSent = _nothing_sent,
        done: Callable[[TP, int], None] = lambda _tp, _position: None,
        wants_changed: Callable[[], None] = lambda: None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._done, self._wants_changed, self._refused = done, wants_changed, False
        self._turn = asyncio.Lock()
        self._last_sent, self._topic_watch = last_sent, topic_watch
        self._store, self._model_store, self._producer = store, model_store, producer
        self._topics, self._settings, self._limits = dict(topics), settings, limits
        self._partition_of = partition_of
        self._roles = {topics[role]: role for role in ROLES}
        self._buffer_bytes, self._instance, self._watch = buffer_bytes, instance, watch
        self._crash, self._on_step = crash, on_step
        self._models = ModelVersions(model_store, settings)
        self._work: dict[int, Work] = {}
        self._opening = asyncio.Lock()
        self._revocations = 0

    @property
    def tasks(self) -> dict[int, PartitionTask]:
        """The lanes by partition number."""
        return {number: work.task for number, work in self._work.items()}

    @property
    def effective_at(self) -> Mapping[int, int]:
        """When the versions that were fetched came into force, microseconds."""
        return self._models.effective_at

    @property
    def pending(self) -> int:
        """Records of the outboxes that Kafka does not have yet."""
        return sum(work.relay.pending for work in self._work.values())

    @property
    def refused(self) -> dict[int, str]:
        """What Kafka refuses for good of an outbox, in words, by partition number."""
        return {number: work.relay.refused for number, work in self._work.items() if work.relay.refused}

    # --- assignment --------------------------------------------------------------------------------------------------

    async def positions(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Take over what was assigned, give up the rest, and say where to read on. Called at every assignment.

        Raises SplitPartition if the topics of a partition number were given to different workers.
        """
        async with self._opening:
            revocations = self._revocations
            numbers = _co_owned(set(tps), set(self._roles))
            await self._give_up(set(self._work) - numbers)
            stored = await self._store.positions(sorted(numbers))
            found: dict[TP, int] = {}
            for number in sorted(numbers):
                work = self._work.get(number)
                if work is not None and work.base != stored.get(number, b""):
                    await self._give_up({number})  # somebody else had it in between
                    work = None
                if work is None:
                    work = await self._open(number)
                else:
                    await self._store.open(number)  # raises Fenced if a later process of our name has been here
                if work.base:
                    offsets = msgspec.json.decode(work.base, type=Position).offsets
                    found |= {TP(self._topics[role], number): offset for role, offset in offsets.items()}
            if self._revocations == revocations:  # else they are on their way to somebody else already
                for work in self._work.values():
                    work.stopped = False
                    work.wake.set()
            self._watch.owned(self.tasks)
            return found

    async def pause(self) -> None:
        """Finish the commits that are under way: the partitions are about to be somebody else's."""
        self._revocations += 1
        for work in self._work.values():
            work.stopped = True
            async with work.quiet:
                pass

    async def close(self) -> None:
        """Finish, relay and let go of everything."""
        async with self._opening:
            await self.pause()
            await self._give_up(set(self._work), relay=True)

    async def _open(self, number: int) -> Work:
        started = time.perf_counter()
        opened = await self._store.open(number)
        if self._topic_watch is not None:
            self._topic_watch.require(await self._store.keep_topics(number, self._topic_watch.ids))
        await self._catch_up(number, opened)
        bounds = self._limits, self._buffer_bytes
        task = PartitionTask(number, self._topics, self._settings, *bounds, complaint_reader(), self._partition_of)
        async for chunk in self._store.states(number):
            task.restore(chunk)
            await asyncio.sleep(0)
        task.begin(opened.position, opened.summary)
        told = self._watch.relayed, self._on_step, self._watch.dropped
        relay = OutboxRelay(number, self._store, self._producer, self._topics, *told)
        await relay.recover()
        gc.freeze()  # customers have no cycles: the collector need not walk over them
        work = Work(task, relay, opened.position)
        work.stopped = True  # until all of the assignment is there
        work.running = [asyncio.create_task(self._guarded(run)) for run in (lambda: self._pump(work), relay.run)]
        self._work[number] = work
        customers, seconds = len(task.processor.customers), round(time.perf_counter() - started, 3)
        _log.info("lane opened", extra={"partition": number, "customers": customers, "seconds": seconds})
        return work

    async def _catch_up(self, number: int, opened: Opened) -> None:
        """Where Kafka has more of our outbox than the store knows of, the store was set back to an older file.

        The shop's events are worked off again from there. What was told meanwhile is void for trainer and desk, and
        is told again under numbers that nobody has heard.
        """
        sent = await self._last_sent(number)
        if not is_behind(opened, sent, number):
            return
        if await go_on_behind(self._store, number, opened, sent, lambda since: _voids(number, since)):
            known = opened.next_sequence - 1
            told = {"partition": number, "known": known, "sent": sent}
            _log.warning("the store was set back: catching up from Kafka", extra=told)

    async def _give_up(self, numbers: set[int], *, relay: bool = False) -> None:
        given_up = {number: self._work.pop(number) for number in numbers}
        for work in given_up.values():
            work.stopped = True
            async with work.quiet:
                pass
            for job in work.running:
                job.cancel()
            await asyncio.gather(*work.running, return_exceptions=True)
        if relay:
            await asyncio.gather(*(work.relay.close() for work in given_up.values()))
        for number in given_up:
            self._store.close(number)
            _log.info("lane given up", extra={"partition": number})

    # --- work --------------------------------------------------------------------------------------------------------

    def wants(self, tp: TP) -> bool:
        """Whether more of a topic partition should be fetched now."""
        work = self._work.get(tp.partition)
        wanted = work is not None and work.task.inputs.wants(self._roles[tp.topic])
        self._refused |= not wanted
        return wanted

    def take(self, tp: TP, fetched: Fetched) -> None:
        """Take in what was fetched."""
        work = self._work.get(tp.partition)
        if work is None:
            return  # given up while the message was on its way
        work.task.inputs.receive(
            self._roles[tp.topic], fetched.start, fetched.records, fetched.end, fetched.high_watermark
        )
        work.wake.set()

    async def _pump(self, work: Work) -> None:
        while True:
            await work.wake.wait()
            work.wake.clear()
            while not work.stopped and await self._step(work):
                pass  # every step waits for a commit, so that the others have their turn
            if work.task.hold is not None and work.task.hold.trainer and not work.stopped:
                await self._ask_the_trainer(work)

    async def _step(self, work: Work) -> bool:
        """One commit; False if there is nothing to do."""
        task = work.task
        await work.relay.has_room()
        model = await self._models.get(task.version)
        async with work.quiet:
            if work.stopped:  # while this waited, the partition was taken away
                return False
            # 1. Decide. Nothing has happened yet.
            self._on_step("decide")
            async with self._turn:
                for _ in range(_TURNS_BETWEEN_STEPS):
                    await asyncio.sleep(0)
                step = task.step(model)
            if step is None:
                return False
            decided = time.perf_counter()
            # 2. Commit, shielded: half a commit is none, but a reply that nobody hears would cost a restart.
            self._on_step("commit")
            await asyncio.shield(self._commit(work, step))
            self._on_step("committed")
            # 3. Tell Kafka, for its displays of lag.
            for role, offset in step.position.offsets.items():
                self._done(TP(self._topics[role], task.number), offset)
            self._on_step("acknowledged")
        self._watch.stepped(task, step, time.perf_counter() - decided)
        if self._refused:
            self._refused = False
            self._wants_changed()
        return True

    async def _commit(self, work: Work, step: Step) -> None:
        work.batch += 1
        relayed = work.relay.relayed
        outcome, first = await self._store.commit(step.commit, f"{self._instance}:{work.batch}", relayed)
        self._watch.committed(outcome)
        if outcome not in (Outcome.DONE, Outcome.ALREADY_DONE):
            raise CommitRefused(partition=step.commit.partition, outcome=outcome.name.lower())
        work.base = step.commit.position
        work.relay.noted_trim(relayed)
        work.relay.add(first, list(step.commit.outbox))

    async def _ask_the_trainer(self, work: Work) -> None:
        """A lane that holds: has the trainer learned up to its moment?"""
        hold = work.task.hold
        if hold is not None and await self._model_store.through() >= hold.moment:
            work.task.end_trainer_hold(await self._model_store.version_at(hold.moment) or 0)
            work.patience = _HOLD_POLL_SECONDS
        else:
            work.patience = min(2 * work.patience, _LONGEST_POLL_SECONDS)
            await asyncio.sleep(work.patience)
        work.wake.set()

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        """An error in a task of ours ends the process: what is cached can't be trusted after it."""
        try:
            await run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            await self._crash(error)


def _voids(number: int, since: int) -> list[bytes]:
    return [pack(record) for record in outbox.retractions(number, since)]


def _co_owned(tps: set[TP], topics: set[str]) -> set[int]:
    """The partition numbers of an assignment, each with all of its topics."""
    numbers = {tp.partition for tp in tps}
    for number in numbers:
        lacking = topics - {tp.topic for tp in tps if tp.partition == number}
        if lacking:
            raise SplitPartition(partition=number, topics=", ".join(sorted(lacking)))
    return numbers
