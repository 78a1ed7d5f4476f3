"""Task of one partition number: turns records into commits. Contains a worker's whole logic, but performs no I/O.

A task merges the records of seven topics into one order, applies a bounded chunk of them to its customers, and returns
a commit: the new position, the changed states, and the records to send. Nothing takes effect until the commit is
stored. If storing fails, the task is discarded and rebuilt from the store. A commit's position matches its states
exactly, so a record that is fetched twice is applied only once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.events.schema import Event, Rejected
from stream_app.core.messages.dead_letters import DeadLetter, Record
from stream_app.core.messages.decoding import CONTROL, ROLES, TICKS
from stream_app.core.messages.outgoing import pack
from stream_app.core.messages.schema import AlertStep, AllocationDone, PolicyRecord, Tick
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.scores import Model
from stream_app.core.partition import outbox
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.inputs import TaskInputs, more_ticks_follow
from stream_app.core.partition.known_policies import KnownPolicies
from stream_app.core.partition.placement import PLACEMENT_REMEDY
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.progress import Hold, Position, Summary, decode_summary
from stream_app.core.partition.score_batch import frame_of
from stream_app.core.partition.step import Step
from stream_app.core.settings import Settings
from stream_app.core.state.complaint_kinds import TextReader, unclassified
from stream_app.core.units import DAY_US, HOUR_US, micros

MAX_DEAD_LETTER_BYTES: Final = 8 << 20  # per commit; Redis accepts 512 MB per argument but blocks while it copies
_MISPLACED: Final = f"the customer belongs to another partition. {PLACEMENT_REMEDY}"


class Limits(msgspec.Struct, frozen=True):
    """Limits and options of a task. The results do not depend on the limits."""

    events: int = 1_000  # per commit
    decisions: int = 1_000  # per commit; after an idle night, tens of thousands may become due with one tick
    skew: int = HOUR_US // 12  # how far an event may be ahead of the broker's append time, microseconds
    scores: bool = True  # whether to send scores to `shop.scores`
    dead_letter_misplaced: bool = False  # whether misplaced records become dead letters
    follows: bool = False  # whether records wait for the next tick from the publisher that writes them


class PartitionTask:
    """Processes one partition number.

    Call `restore` with all stored customers, then `begin`. After that, pass every fetch to `inputs.receive`, and call
    `step` with the model of `version` until it returns None. Commit every step before requesting the next one. If it
    returns None because a policy is missing, add it to `policies`.

    Args:
        number: partition number.
        topics: topic names by role (`decoding.ROLES`).
        settings: the shop's settings, under the policy of the stored summary.
        limits: limits of a step, and options.
        buffer_bytes: size limit of the buffered records.
        reader: reads a complaint's text if the shop does not send its category.
        partition_of: returns a customer's partition; None if all records belong to this one.
    """

    def __init__(
        self,
        number: int,
        topics: dict[str, str],
        settings: Settings,
        limits: Limits,
        buffer_bytes: int = 1 << 24,
        reader: TextReader = unclassified,
        partition_of: Callable[[str], int] | None = None,
    ) -> None:
        self.number = number
        self.topics = topics
        self.limits = limits
        self.processor = PartitionProcessor(settings, reader)
        self.inputs = TaskInputs(
            buffer_bytes, limits.skew, keeps_records=limits.dead_letter_misplaced, follows_publisher=limits.follows
        )
        self.summary = Summary()
        self.base = b""  # position of the last commit
        self.policies = KnownPolicies(settings)  # with the policy that the next tick names, if it is missing
        self._settings = settings
        self._partition_of = partition_of
        self._commits = 0
        self._released = False  # whether a hold has ended but no commit has recorded it yet

    def restore(self, stored: Sequence[tuple[str, bytes]]) -> None:
        """Restore a chunk of stored customers, given as ids and encoded states."""
        restored = decode_customers(stored, self._settings.horizon)
        self.processor.working_set.add(restored.customers)
        restored.rank(self.processor.ranking)

    def begin(self, position: bytes, summary: bytes) -> Position | None:
        """Start from a stored position. Call this after all customers have been restored.

        Returns:
            The position to resume reading from, or None to read from the beginning.

        Raises:
            UnusableState: the summary was written by an incompatible version.
        """
        self.base = position
        if summary:
            self.summary = decode_summary(summary)
            self.summary.restore(self.processor)
        self.processor.finish_restore(self.summary.aggregator if summary else None)
        found = msgspec.json.decode(position, type=Position) if position else None
        start = found or Position({}, (0, 0), mixed_until=0)
        self._commits, self.inputs.mixed_until = start.cursor[1], start.mixed_until
        self.inputs.begin(start.offsets)
        self.inputs.follow_publisher({}, more=self.summary.following)
        return found

    @property
    def version(self) -> int:
        """Version of the current model."""
        return self.summary.version

    @property
    def hold(self) -> Hold | None:
        """The hold that the task is waiting in, if any."""
        return self.summary.hold

    def end_trainer_hold(self, version: int) -> None:
        """Switch to the model version that the trainer has learned up to the moment of the hold."""
        if self.hold is not None:
            self.summary.version = version
            self.hold.trainer = False
            self._release()

    def _release(self) -> None:
        """End the hold if both the trainer and the allocator have answered."""
        if self.hold is not None and not self.hold.trainer and not self.hold.allocator:
            self.summary.hold = None
            self._released = True

    def step(self, model: Model) -> Step | None:
        """Apply a chunk of the waiting records. Return the step to commit, or None if nothing can be done now."""
        (step,) = step_together([self], model)
        return step

    def begin_step(self, model: Model) -> tuple[Step, Tick | None] | None:
        """Apply a chunk of records, without scores. Return the arguments of `end_step`, or None as `step` does.

        Args:
            model: the model of `version`.
        """
        self.processor.use_model(model)
        step = Step(self.number, self.processor.decisions.made + self.limits.decisions)
        tick = self._apply_chunk(step)
        return None if tick is None and step.is_empty and not self._released else (step, tick)

    def end_step(self, step: Step, tick: Tick | None, model: Model, undecided: Floats | None = None) -> None:
        """Complete a step with the scores.

        Args:
            step: the step that `begin_step` returned.
            tick: the tick that ends it, if any.
            model: the model of `version`.
            undecided: the model's scores of `PartitionProcessor.undecided`, if they are known.
        """
        self._finish(step, tick, model, undecided)
        self._seal(step)
        self.base, self._released = step.commit.position, False

    def _apply_chunk(self, step: Step) -> Tick | None:  # noqa: C901 - splitting it would cost a call per record
        """Apply records up to the limit or up to a tick that ends the chunk. Return that tick, if any."""
        processor, timers, customers = self.processor, self.processor.decisions.timers, self.processor.customers
        run = (self.inputs.pop if self.hold is None else self.inputs.pop_control)(self.limits.events)
        for place, (role, _, at, (item, appended, record)) in enumerate(run):
            if isinstance(item, DeadLetter):
                step.add_dead_letter(item, self.topics[item.role])
            elif isinstance(item, Event):
                if at > timers.next_due and not self._advance(at, step):
                    self.inputs.put_back(run[place:])
                    return None
                customer = customers.get(item.customer_id)
                if customer is not None and customer.placed:
                    processor.apply(item, at, customer)
                    step.count_event(role, appended)
                else:
                    self._apply_unplaced(item, at, role, appended, record, step)
            elif isinstance(item, PolicyRecord):
                step.events[ROLES[role]] += 1
            elif not self._is_ready(item, at, step):
                self.inputs.put_back(run[place:])
                return None
            elif self._apply_message(item, at, role, record, step):
                self.inputs.put_back(run[place + 1 :])
                return item if isinstance(item, Tick) else None
            if step.dead_letter_bytes > MAX_DEAD_LETTER_BYTES:
                self.inputs.put_back(run[place + 1 :])
                return None
        return None

    def _advance(self, at: int, step: Step) -> bool:
        """Make decisions due before a time, within the limit. Return whether all due decisions were made."""
        limit = max(step.decision_limit - self.processor.decisions.made, 1)
        step.decisions_left = not self.processor.advance(at, limit)
        return not step.decisions_left

    def _apply_unplaced(
        self, event: Event, at: int, role: int, appended: int, record: Record | None, step: Step
    ) -> None:
        """Apply an event whose customer is new, belongs elsewhere, or has had no event since the start."""
        placed = self._is_placed(event.customer_id)
        if not placed and self._reject_misplaced(ROLES[role], record, step):
            return
        self.processor.apply(event, at)
        step.count_event(role, appended)
        customer = self.processor.customers.get(event.customer_id)
        if customer is not None:  # None if excluded by the settings
            customer.placed = placed

    def _is_placed(self, name: str) -> bool:
        """Return whether a customer belongs to this partition. Cached per customer, since hashing is slow."""
        customer = self.processor.customers.get(name)
        if customer is not None and customer.placed is not None:
            return customer.placed
        return self._partition_of is None or self._partition_of(name) == self.number

    def _reject_misplaced(self, role: str, record: Record | None, step: Step) -> bool:
        """Count a misplaced record. Return whether it becomes a dead letter."""
        step.misplaced[role] += 1
        if record is None:
            return False
        step.add_dead_letter(DeadLetter(role, record, Rejected(_MISPLACED, "customer_id")), self.topics[role])
        return True

    def _is_ready(self, item: Tick | AlertStep | AllocationDone, at: int, step: Step) -> bool:
        """Return whether a message can be applied now.

        A tick is ready when its policy is known and all decisions before it have been made. While on hold, the task
        reads only control messages, and may encounter those from the allocator for later moments, which have to wait.
        """
        if isinstance(item, Tick):
            return (at <= self.summary.ticked or self.policies.has(item.policy)) and self._advance(at, step)
        by_allocator = isinstance(item, AllocationDone) or item.opening is not None
        return self.hold is None or at <= self.hold.moment or not by_allocator

    def _apply_message(
        self, item: Tick | AlertStep | AllocationDone, at: int, role: int, record: Record | None, step: Step
    ) -> bool:
        """Apply a tick or a control message. Return whether it ends the chunk."""
        if isinstance(item, Tick):
            step.events[TICKS] += 1
            if self.summary.is_changed_by(item, at):
                return True
            self.summary.ticked, self.summary.following = max(self.summary.ticked, at), more_ticks_follow(item)
            return False
        # Messages from the allocator have a sequence number and are always in the right partition.
        misplaced = isinstance(item, AlertStep) and not item.sequence and not self._is_placed(item.customer_id)
        if misplaced and self._reject_misplaced(ROLES[role], record, step):
            return False
        step.events[ROLES[role]] += 1
        # Messages of earlier releases, on the contacts topic, may follow later ones, and are harmless if repeated.
        if item.sequence and self.summary.is_duplicate(item) and ROLES[role] == CONTROL:
            return self._released
        if isinstance(item, AlertStep):
            self.processor.apply_alert_step(item, at)
        elif self.hold is not None and at >= self.hold.moment:
            self.hold.allocator = False
            self._release()
        return self._released  # reading of the other topics can resume

    def _finish(self, step: Step, tick: Tick | None, model: Model, undecided: Floats | None) -> None:
        """Score the chunk, and carry out the tick that ends it, in the same order as a replay."""
        if tick is None:
            step.add_effects(self.processor.finish(model, undecided=undecided))
            return
        at, summary = micros(tick.occurred_at), self.summary
        # 1. Everything before the tick, with the model used until then.
        step.add_effects(self.processor.finish(model, at - 1 if tick.complete else None, undecided))
        # 2. The policy from here on.
        summary.named_policy = tick.policy or summary.named_policy
        self.processor.use(self.policies[summary.policy])
        # 3. Candidates for the allocator. Alerts closed in the process belong to the same commit.
        if tick.nominates:
            step.add_candidates(at, model, self.processor)
        step.add_effects(self.processor.finish(model))
        # 4. A watermark marker for the trainer.
        if tick.learns:
            moment = at - 1 if tick.complete else at
            step.outbox += outbox.labelled(self.number, [], Cohorts(), moment)
            if tick.waits:
                summary.hold = Hold(moment, trainer=True, allocator=False)
        # 5. The state after the tick.
        if tick.waits and tick.nominates:
            summary.hold = Hold(at, trainer=tick.learns, allocator=True)
        if tick.version is not None:
            summary.version = tick.version
        summary.ticked, summary.following = at, more_ticks_follow(tick)

    def _seal(self, step: Step) -> None:
        processor, summary, changed = self.processor, self.summary, self.processor.working_set.take_changed()
        if self.limits.scores:
            step.add_scores(processor.stream_time, summary.version, processor.ranking, changed)
        self._commits += 1
        summary.update(processor)
        step.take_counts(processor.aggregator.event_counts)
        cursor = processor.stream_time, self._commits
        step.position = Position(self.inputs.positions, cursor, self.inputs.mixed_until)
        step.watermark = processor.stream_time - self._settings.lateness - 1
        step.commit = Commit(
            partition=self.number,
            base=self.base,
            position=msgspec.json.encode(step.position),
            states=dict(zip([one.name for one in changed], encode_customers(changed, processor.ranking), strict=True)),
            summary=msgspec.json.encode(summary),
            outbox=[pack(record) for record in step.outbox],
            alerts=processor.alerts.take_notes(),
        )


def step_together(tasks: Sequence[PartitionTask], model: Model) -> list[Step | None]:
    """Step several tasks that have the same model. The results equal those of stepping one after the other.

    Scoring a few customers costs as much as scoring a hundred, so the customers of all tasks are scored at once. This
    is what a step costs at light load.

    Args:
        tasks: tasks of the same settings, except for the policy.
        model: the model of their `version`.

    Returns:
        One step per task; see `PartitionTask.step`.
    """
    begun = [(task, started) for task in tasks if (started := task.begin_step(model)) is not None]
    scores = _scores([task for task, _ in begun], model) if len(begun) > 1 else [None]
    for (task, (step, tick)), undecided in zip(begun, scores, strict=False):
        task.end_step(step, tick, model, undecided)
    steps = {task: step for task, (step, _) in begun}
    return [steps.get(task) for task in tasks]


def _scores(tasks: Sequence[PartitionTask], model: Model) -> list[Floats]:
    """Return the scores of the tasks' states that are no decisions."""
    undecided = [task.processor.undecided for task in tasks]
    vectors = [vector for vectors, _ in undecided for vector in vectors]
    if not vectors:
        return [np.empty(0) for _ in tasks]
    times = [at for _, times in undecided for at in times]
    scores = model.score(frame_of(vectors, times, tasks[0].processor.settings.horizon / DAY_US))
    return np.split(scores, np.cumsum([len(times) for _, times in undecided])[:-1])
