"""Control messages that a release before 0.3 left on the contacts topic are applied once, and no later ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream_app.core.events.schema import encode
from stream_app.core.messages.schema import AlertAction, AllocationDone, OldAlertStep, decode_control, encode_message
from stream_app.core.partition.progress import Hold, Position, rewind
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from tests.harness.in_memory import APPENDED_MS, TOPICS, Record, tick
from tests.harness.shops import SHOP, T0, contact, order
from tests.unit.core.partition.test_task import MODEL, opening_of, sent, steps_of, task_with

MOMENT = T0 + DAY_US


def at(moment: int) -> Any:
    return EPOCH + moment * MICROSECOND


def old_opening(customer: str, moment: int, sequence: int) -> bytes:
    return opening_of(customer, moment, sequence).replace(b'"alert_step"', b'"contact"')


def old_action(action: str, moment: int = MOMENT + 5) -> bytes:
    step = OldAlertStep(f"{action}-1", "c", at(moment), AlertAction(action), "li", alert_id="al_c", outcome="lost")
    return encode_message(step)


class Upgraded:
    """A task that starts from what a release before 0.3 stored, with the rest of its contacts topic."""

    def __init__(self, *contacts: bytes, hold: Hold | None = None, limits: Limits | None = None) -> None:
        task = task_with(orders=[encode(order(name, T0)) for name in "cd"], ticks=[tick(MOMENT)])
        last = steps_of(task)[-1].commit
        position = msgspec.json.decode(last.position, type=Position)
        offsets = {role: offset for role, offset in position.offsets.items() if role != "control"} | {"contacts": 40}
        summary = msgspec.json.decode(last.summary)
        summary["hold"] = msgspec.to_builtins(hold)
        self.position = msgspec.json.encode({"offsets": offsets, "cursor": position.cursor})
        self.summary = msgspec.json.encode(summary)
        self.states = dict(last.states)
        self.limits = limits or Limits()
        self.topics: dict[str, list[Record]] = {role: [] for role in TOPICS}
        self.contacts, self.control = list(contacts), list[bytes]()
        self.task = self.restarted()

    def restarted(self) -> PartitionTask:
        """A task that starts from what is stored now."""
        self.task = PartitionTask(0, TOPICS, SHOP, self.limits)
        self.task.restore(list(self.states.items()))
        self.task.begin(self.position, self.summary)
        return self.task

    def fetch(self, contacts: int = 99, high_watermark: int | None = None) -> None:
        """Fetch everything, of the contacts topic up to a number of records that it holds."""
        offsets = msgspec.json.decode(self.position, type=Position).offsets
        for role in TOPICS:
            values = {"contacts": self.contacts[:contacts], "control": self.control}.get(role, [])
            begin = {"contacts": 40}.get(role, 0 if role == "control" else offsets.get(role, 0))
            start = self.task.inputs.ends.get(role, begin)
            found = [
                Record(begin + place, APPENDED_MS, b"c", value)
                for place, value in enumerate(values)
                if begin + place >= start
            ]
            end = max(begin + len(values), start)
            known = max(high_watermark or 0, end) if role == "contacts" else end
            self.task.inputs.receive(role, start, found, end, known)

    def store(self, most: int = 99) -> list[Step]:
        """Make some commits and store them."""
        steps: list[Step] = []
        while len(steps) < most and (step := self.task.step(MODEL)) is not None:
            steps.append(step)
            self.position, self.summary = step.commit.position, step.commit.summary
            self.states |= step.commit.states
        return steps

    @property
    def alert(self) -> Any:
        return self.task.processor.customers["c"].alert


def test_an_opening_and_what_the_staff_did_with_it_are_applied() -> None:
    system = Upgraded(old_opening("c", MOMENT, 7), old_action("episode_acked"))
    system.fetch()
    assert sent(system.store(), "dead_letters") == []
    assert (system.alert.alert_id, system.alert.owner) == ("al_c", "li")
    assert msgspec.json.decode(system.position, type=Position).mixed_until == 42


def test_what_comes_after_the_upgrade_is_a_dead_letter_even_after_a_restart() -> None:
    system = Upgraded(old_opening("c", MOMENT, 7))
    system.fetch()
    system.store()
    system.contacts += [old_action("episode_acked"), old_opening("d", MOMENT, 8), encode(contact("c", MOMENT + 6))]
    for restart in (False, True):
        if restart:
            system.contacts += [old_action("episode_resolved")]
            system.restarted()
        system.fetch()
        letters = sent(system.store(), "dead_letters")
        assert len(letters) == (1 if restart else 2)
    assert (system.alert.owner, system.task.processor.customers["d"].alert) == ("", None)


def test_the_end_is_that_of_the_first_fetch_however_small_it_was() -> None:
    """A worker that catches up gets the contacts in several fetches; new ones arrive meanwhile."""
    system = Upgraded(old_opening("c", MOMENT, 7), old_action("episode_acked"))
    system.fetch(contacts=1, high_watermark=42)
    system.store()
    assert system.alert.owner == ""
    system.restarted()
    system.contacts += [old_action("episode_resolved")]
    system.fetch()
    assert len(sent(system.store(), "dead_letters")) == 1
    assert system.alert.owner == "li"


def test_new_openings_may_come_before_old_ones() -> None:
    """The upgraded allocator sends the rest of a round from its outbox, to the control topic."""
    system = Upgraded(encode(contact("c", MOMENT + 9)), old_opening("c", MOMENT, 7))
    system.control = [old_opening("d", MOMENT, 8), encode_message(AllocationDone(at(MOMENT), 9))]
    system.fetch()
    system.store()
    assert [system.task.processor.customers[name].alert is None for name in "cd"] == [False, False]
    assert system.task.summary.allocator_sequence == 9


@pytest.mark.parametrize("on_control", [False, True])
def test_a_hold_ends_with_the_answer_of_the_old_allocator_or_of_the_new_one(on_control: bool) -> None:
    done = encode_message(AllocationDone(at(MOMENT), 9))
    system = Upgraded(
        old_opening("c", MOMENT, 7), *([] if on_control else [done]), hold=Hold(MOMENT, trainer=False, allocator=True)
    )
    system.control = [done] if on_control else []
    assert system.store() == []
    system.fetch()
    system.store()
    assert system.task.hold is None
    assert system.alert is not None


def test_a_hold_reads_the_contacts_topic_up_to_the_upgrade_only() -> None:
    system = Upgraded(old_opening("c", MOMENT, 7), hold=Hold(MOMENT, trainer=False, allocator=True))
    system.fetch()
    system.contacts += [encode(contact("c", MOMENT + 9))]
    system.fetch()
    system.store()
    assert system.task.hold is not None
    assert system.task.inputs.positions["contacts"] == 41


@pytest.mark.parametrize("events", [1, 2, 1_000])
def test_the_result_does_not_depend_on_where_commits_end(events: int) -> None:
    system = Upgraded(
        encode(contact("c", MOMENT + 1, event_id="m1")),
        old_opening("c", MOMENT + 1, 7),
        old_action("episode_acked"),
        limits=Limits(events=events),
    )
    system.fetch()
    while system.store(most=1):
        system.restarted()
        system.fetch()
    assert (system.alert.owner, system.task.summary.allocator_sequence) == ("li", 7)


def test_a_recreated_contacts_topic_has_no_old_messages() -> None:
    system = Upgraded(old_opening("c", MOMENT, 7))
    system.position = rewind(system.position, "contacts")
    assert msgspec.json.decode(system.position, type=Position).mixed_until == 0
    again = rewind(Upgraded().position, "control")
    assert "control" not in msgspec.json.decode(again, type=Position).offsets


def test_a_task_that_never_ran_before_has_no_old_messages() -> None:
    task = task_with(contacts=[old_opening("c", MOMENT, 7)], orders=[encode(order("c", T0))])
    assert len(sent(steps_of(task), "dead_letters")) == 1


def test_old_and_new_steps_are_read_from_the_control_topic() -> None:
    old, new = decode_control(old_opening("c", MOMENT, 7)), decode_control(opening_of("c", MOMENT, 7))
    assert msgspec.structs.asdict(old) == msgspec.structs.asdict(new)
