"""Urgent cases in the hands of the staff: worked on like alerts, and closed once, by the first who does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest

from stream_app.core.alerts.sla import UNANSWERED, UNSOLVED, breach_id
from stream_app.core.alerts.staff_actions import AlertNote, WorkNote
from stream_app.core.events.enumerations import ComplaintAction
from stream_app.core.events.schema import Event, encode
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.schema import AlertAction, AlertStep, encode_message
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.state.vector import CASES
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from tests.harness.in_memory import APPENDED_MS, TOPICS, Record, tick
from tests.harness.shops import SHOP, T0, complaint, order
from tests.unit.core.partition.test_task import fetch, sent, steps_of

ANSWERED, RESOLVED = ComplaintAction.ANSWERED, ComplaintAction.RESOLVED
OPENED: Final = T0 + HOUR_US
DUE: Final = OPENED + DAY_US
ALERT: Final = breach_id("c", (DUE, UNANSWERED))
UNTIL: Final = EPOCH + (DUE + 9 * HOUR_US) * MICROSECOND


def of(case: str, at: int, action: ComplaintAction = ComplaintAction.OPENED) -> Event:
    return complaint("c", at, action=action, complaint_id=case)


# The shop is known to say when complaints are answered and solved; then one is opened and nothing is done.
LOG: Final = [of("a", T0 - 9), of("a", T0 - 8, ANSWERED), of("a", T0 - 7, RESOLVED), of("k", OPENED)]


def lane_at(at: int, limits: Limits | None = None, *more: bytes) -> tuple[PartitionTask, list[Step]]:
    """A lane whose customer c has complained, at a moment; `more`: control messages that come with the rest."""
    task = PartitionTask(0, TOPICS, SHOP, limits or Limits())
    task.begin(b"", b"")
    complaints = [encode(one) for one in LOG]
    fetch(task, orders=[encode(order("c", T0 - DAY_US))], complaints=complaints, ticks=[tick(at)], control=more)
    return task, steps_of(task)


def noted(steps: list[Step], before: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """What is stored of open cases after some commits."""
    stored = dict(before or {})
    for step in steps:
        stored |= step.commit.alerts
    return {key: note for key, note in stored.items() if note}


def said(action: str, at: int, **more: Any) -> bytes:
    fields: dict[str, Any] = {"customer_id": "c", "alert_id": ALERT, "staff": "li"} | more
    return encode_message(
        AlertStep(f"{action}-{at}", occurred_at=EPOCH + at * MICROSECOND, action=AlertAction(action), **fields)
    )


def hear(task: PartitionTask, *steps: bytes) -> list[Step]:
    fetch(task, control=steps)
    return steps_of(task)


def work_of(stored: Mapping[str, bytes]) -> WorkNote:
    return msgspec.json.decode(stored.get(f"{ALERT}:work", b"{}"), type=WorkNote)


def told(steps: list[Step]) -> list[AlertOpened | AlertClosed]:
    return [msgspec.json.decode(one.payload, type=AlertOpened | AlertClosed) for one in sent(steps, "alerts")]


def restarted(steps: list[Step]) -> PartitionTask:
    """A lane that knows nothing but what the steps have stored."""
    states: dict[str, bytes] = {}
    for step in steps:
        states |= step.commit.states
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    task.restore(list(states.items()))
    found = task.begin(steps[-1].commit.position, steps[-1].commit.summary)
    assert found is not None
    for role in task.inputs.positions.keys() | {"control", "cart", "browsing"}:
        at = found.offsets.get(role, 0)
        task.inputs.receive(role, at, [], at, at)
    return task


def test_a_case_is_noted_when_it_opens_with_its_score_and_its_reason() -> None:
    _, steps = lane_at(DUE + 1)
    stored = noted(steps)
    assert list(stored) == [ALERT]
    note = msgspec.json.decode(stored[ALERT], type=AlertNote)
    (alert,) = told(steps)
    assert isinstance(alert, AlertOpened)
    assert (note.urgent, note.rank, note.customer_id) == (True, 0, "c")
    same = ("alert_id", "opened_at", "expires_at", "probability", "monthly_worth", "explanation")
    assert [getattr(note, name) for name in same] == [getattr(alert, name) for name in same]
    assert noted(lane_at(DUE)[1]) == {}


def test_who_acks_owns_it_until_somebody_takes_it_over() -> None:
    task, steps = lane_at(DUE + 1)
    stored = noted(hear(task, said("episode_acked", DUE + HOUR_US)), noted(steps))
    assert work_of(stored) == WorkNote("li", EPOCH + (DUE + HOUR_US) * MICROSECOND)
    stored = noted(hear(task, said("episode_acked", DUE + 2 * HOUR_US, staff="wang")), stored)
    assert work_of(stored).owner == "li"
    assert told(hear(task, said("episode_resolved", DUE + 3 * HOUR_US, staff="wang", outcome="lost"))) == []
    stored = noted(hear(task, said("episode_snoozed", DUE + 4 * HOUR_US, staff="wang", take_over=True, until=UNTIL)))
    assert work_of(stored) == WorkNote("wang", EPOCH + (DUE + 4 * HOUR_US) * MICROSECOND, UNTIL)


def test_a_resolved_case_is_closed_once_whatever_becomes_of_the_complaint() -> None:
    task, steps = lane_at(DUE + 1)
    at = DUE + HOUR_US
    resolve = said("episode_resolved", at, outcome="retained", cause="service")
    done = hear(task, resolve)
    closed = AlertClosed(ALERT, "c", EPOCH + at * MICROSECOND, "resolved", "retained", "service", "li")
    assert told(done) == [closed]
    assert sum((step.outcomes for step in done), start=Counter()) == {("retained", "service", "complaining"): 1}
    assert noted(done, noted(steps)) == {}
    assert told(hear(task, resolve, said("episode_acked", at + 1))) == []
    fetch(task, complaints=[encode(of("k", at + 2, ANSWERED))])
    assert told(steps_of(task)) == []
    fetch(task, ticks=[tick(OPENED + 4 * DAY_US)])  # it was not solved: another target, and so another case
    (other,) = told(steps_of(task))
    assert other.alert_id == breach_id("c", (OPENED + 3 * DAY_US, UNSOLVED))


def test_a_complaint_that_is_answered_ends_its_case_and_what_was_known_of_it() -> None:
    task, steps = lane_at(DUE + 1)
    worked = hear(task, said("episode_acked", DUE + HOUR_US))
    assert task.processor.customers["c"].cases
    fetch(task, complaints=[encode(of("k", DUE + 2 * HOUR_US, ANSWERED))])
    done = steps_of(task)
    assert [(one.alert_id, one.reason) for one in told(done) if isinstance(one, AlertClosed)] == [(ALERT, "met")]
    assert noted(done, noted(worked, noted(steps))) == {}
    assert not task.processor.customers["c"].cases
    assert not any(step.outcomes for step in done)
    assert hear(task, said("episode_acked", DUE + 3 * HOUR_US))[-1].commit.alerts == {}


def test_newer_complaints_push_no_case_out_that_may_be_acted_on() -> None:
    task, steps = lane_at(DUE + 1)
    stored = noted(hear(task, said("episode_acked", DUE + 1)), noted(steps))
    fetch(task, complaints=[encode(of(f"new-{place}", DUE + HOUR_US + place)) for place in range(2 * CASES)])
    more = steps_of(task)
    assert told(more) == []
    assert {key for key in noted(more, stored) if key.startswith(ALERT)} == {ALERT, f"{ALERT}:work"}
    fetch(task, complaints=[encode(of("k", DUE + 2 * HOUR_US, ANSWERED))])
    assert [(one.alert_id, one.reason) for one in told(steps_of(task)) if isinstance(one, AlertClosed)] == [
        (ALERT, "met")
    ]


def test_a_case_that_newer_complaints_push_out_is_not_told_as_met() -> None:
    task, steps = lane_at(OPENED + 3 * DAY_US + 1, None)
    fetch(task, complaints=[encode(of("k", OPENED + 3 * DAY_US + 1, ANSWERED))])
    unsolved = breach_id("c", (OPENED + 3 * DAY_US, UNSOLVED))
    steps += hear(task, said("episode_acked", OPENED + 3 * DAY_US + 2, alert_id=unsolved))
    stored = noted(steps)
    assert unsolved in stored
    at = OPENED + 3 * DAY_US + HOUR_US
    fetch(task, complaints=[encode(of(f"new-{place}", at + place)) for place in range(CASES)])
    more = steps_of(task)
    assert [one for one in told(more) if isinstance(one, AlertClosed)] == []
    assert not task.processor.customers["c"].cases
    assert not [key for key in noted(more, stored) if key.startswith(unsolved)]


def test_a_pause_that_is_over_before_it_begins_changes_nothing() -> None:
    task, steps = lane_at(DUE + 1)
    before = noted(steps)
    assert noted(hear(task, said("episode_snoozed", DUE + 1, until=EPOCH)), before) == before


@pytest.mark.parametrize("action", ["episode_acked", "episode_snoozed", "episode_resolved"])
def test_what_comes_twice_counts_once(action: str) -> None:
    task, steps = lane_at(DUE + 1)
    step = said(action, DUE + HOUR_US, take_over=True, outcome="lost", until=UNTIL)
    over = said("episode_acked", DUE + 2 * HOUR_US, staff="wang", take_over=True)
    first = hear(task, step)
    stored = noted(first + hear(task, over), noted(steps))
    assert noted(hear(task, step), stored) == stored
    assert len(told(first)) == (action == "episode_resolved")


@pytest.mark.parametrize("odd", [{"alert_id": "al_other"}, {"alert_id": None}, {"customer_id": "d"}, {"staff": " "}])
def test_what_names_no_open_case_or_nobody_changes_nothing(odd: dict[str, Any]) -> None:
    task, steps = lane_at(DUE + 1)
    stored = noted(steps)
    assert noted(hear(task, said("episode_acked", DUE + 1, **odd)), stored) == stored


def test_a_case_whose_target_has_not_passed_cannot_be_worked_on() -> None:
    task, _ = lane_at(DUE)
    assert noted(hear(task, said("episode_acked", DUE))) == {}


def test_after_a_restart_the_owner_is_known_and_a_resolved_case_stays_so() -> None:
    task, steps = lane_at(DUE + 1)
    steps += hear(task, said("episode_acked", DUE + HOUR_US))
    again = restarted(steps)
    again.inputs.receive(
        "control", 1, [Record(1, APPENDED_MS, None, said("episode_acked", DUE + 2, staff="wang"))], 2, 2
    )
    assert noted(steps_of(again)) == {}
    steps += hear(task, said("episode_resolved", DUE + 2 * HOUR_US, outcome="lost"))
    again = restarted(steps)
    start = again.inputs.ends["complaints"]
    late = Record(start, APPENDED_MS, None, encode(of("k", DUE + 3 * HOUR_US, ANSWERED)))
    again.inputs.receive("complaints", start, [late], start + 1, start + 1)
    after = steps_of(again)
    assert after
    assert told(after) == []


def test_an_expired_case_leaves_the_list_also_after_a_restart() -> None:
    task, steps = lane_at(DUE + 1)
    stored = noted(steps)
    expired = tick(DUE + SHOP.alert_lifetime + 1)
    again = restarted(steps)
    start = again.inputs.ends["ticks"]
    again.inputs.receive("ticks", start, [Record(start, APPENDED_MS, None, expired)], start + 1, start + 1)
    assert ALERT not in noted(steps_of(again), stored)
    fetch(task, ticks=[expired])
    assert ALERT not in noted(steps_of(task), stored)
    assert hear(task, said("episode_acked", DUE + SHOP.alert_lifetime + 2))[-1].commit.alerts == {}


@pytest.mark.parametrize("events", [1, 2, 1_000])
def test_catching_up_in_one_commit_or_in_many_comes_to_the_same(events: int) -> None:
    """The case opens and is resolved in one step where commits are large."""
    sent = (said("episode_acked", DUE + 2), said("episode_resolved", DUE + 3, outcome="lost"))
    _, steps = lane_at(DUE + 1, Limits(events=events), *sent)
    assert noted(steps) == {}
    opened, closed = told(steps) if len(told(steps)) == 2 else (None, None)
    assert isinstance(opened, AlertOpened)
    assert isinstance(closed, AlertClosed)
    assert (opened.alert_id, closed.alert_id, closed.reason, closed.staff) == (ALERT, ALERT, "resolved", "li")
