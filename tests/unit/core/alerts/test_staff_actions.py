"""What the staff says about an alert: applied once, by its owner, and published with its outcome and cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.alerts.staff_actions import MAX_STAFF, OTHER_OUTCOME, AlertNote, WorkNote
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.events.schema import encode
from stream_app.core.messages.alerts import AlertClosed
from stream_app.core.messages.outgoing import Outgoing, unpack
from stream_app.core.messages.schema import AlertAction, AlertStep, encode_message
from stream_app.core.partition.alert_records import opening
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from tests.harness.in_memory import APPENDED_MS, TOPICS, Record, tick
from tests.harness.shops import SHOP, T0, order
from tests.unit.core.partition.test_task import MODEL, fetch, opening_of, sent, steps_of

OPENED = T0 + DAY_US
ALERT = "al_c"


def with_episode() -> tuple[PartitionTask, dict[str, bytes]]:
    """A lane whose customer c has an open episode, and the notes of it that are stored."""
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    task.begin(b"", b"")
    fetch(task, orders=[encode(order("c", T0)), encode(order("d", T0))], ticks=[tick(OPENED)])
    steps_of(task)
    fetch(task, control=[opening_of("c", OPENED, 1)])
    return task, noted(steps_of(task), {})


def noted(steps: list[Step], before: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is stored of open alerts after some commits."""
    stored = dict(before)
    for step in steps:
        stored |= step.commit.alerts
    return {key: note for key, note in stored.items() if note}


def said(action: str, at: int, event_id: str = "", **more: Any) -> bytes:
    fields: dict[str, Any] = {"customer_id": "c", "alert_id": ALERT, "staff": "li"} | more
    occurred_at = EPOCH + at * MICROSECOND
    return encode_message(
        AlertStep(event_id or f"{action}-{at}", occurred_at=occurred_at, action=AlertAction(action), **fields)
    )


def hear(task: PartitionTask, *steps: bytes) -> list[Step]:
    fetch(task, control=steps)
    return steps_of(task)


def work_of(stored: Mapping[str, bytes]) -> WorkNote:
    return msgspec.json.decode(stored.get(f"{ALERT}:work", b"{}"), type=WorkNote)


def closed(steps: list[Step]) -> list[AlertClosed]:
    return [msgspec.json.decode(one.payload, type=AlertClosed) for one in sent(steps, "alerts")]


def test_an_open_alert_is_noted_where_who_looks_for_it_need_not_walk_over_states() -> None:
    _, stored = with_episode()
    assert list(stored) == [ALERT]
    note = msgspec.json.decode(stored[ALERT], type=AlertNote)
    assert (note.customer_id, note.rank, note.probability) == ("c", 1, 0.9)
    assert note.opened_at == EPOCH + OPENED * MICROSECOND


def test_who_acks_owns_it_until_somebody_takes_it_over() -> None:
    task, stored = with_episode()
    stored = noted(hear(task, said("episode_acked", OPENED + HOUR_US)), stored)
    assert work_of(stored) == WorkNote("li", EPOCH + (OPENED + HOUR_US) * MICROSECOND)
    stored = noted(hear(task, said("episode_acked", OPENED + 2 * HOUR_US, staff="wang")), stored)
    assert work_of(stored).owner == "li"
    steps = hear(task, said("episode_resolved", OPENED + 3 * HOUR_US, staff="wang", outcome="lost"))
    assert closed(steps) == []
    stored = noted(hear(task, said("episode_acked", OPENED + 4 * HOUR_US, staff="wang", take_over=True)), stored)
    assert work_of(stored).owner == "wang"


def test_a_pause_ends_when_the_alert_expires_at_the_latest() -> None:
    task, stored = with_episode()
    until = EPOCH + (OPENED + 9 * HOUR_US) * MICROSECOND
    stored = noted(hear(task, said("episode_snoozed", OPENED + HOUR_US, until=until)), stored)
    assert work_of(stored) == WorkNote("li", EPOCH + (OPENED + HOUR_US) * MICROSECOND, until)
    stored = noted(hear(task, said("episode_snoozed", OPENED + 2 * HOUR_US, until=until.replace(year=2100))), stored)
    assert work_of(stored).snoozed_until == EPOCH + (OPENED + DAY_US) * MICROSECOND
    stored = noted(hear(task, said("episode_acked", OPENED + 3 * HOUR_US)), stored)
    assert work_of(stored).snoozed_until is None


def test_an_alert_that_is_resolved_is_closed_with_its_outcome_and_its_confirmed_cause() -> None:
    task, stored = with_episode()
    at = OPENED + HOUR_US
    steps = hear(task, said("episode_resolved", at, outcome="retained", cause="price", note="came back for the tea"))
    assert closed(steps) == [
        AlertClosed(ALERT, "c", EPOCH + at * MICROSECOND, "resolved", "retained", "price", "li"),
    ]
    assert sum((step.outcomes for step in steps), start=type(steps[0].outcomes)()) == {
        ("retained", "price", "unknown"): 1
    }
    assert noted(steps, stored) == {}
    assert task.processor.customers["c"].alert is None
    assert not task.processor.alerts.open
    assert b"tea" not in b"".join(b"".join(step.commit.outbox) for step in steps)


@pytest.mark.parametrize("action", ["episode_acked", "episode_snoozed", "episode_resolved"])
def test_what_comes_twice_counts_once(action: str) -> None:
    task, stored = with_episode()
    more: dict[str, Any] = {"outcome": "lost", "until": EPOCH + (OPENED + 5 * HOUR_US) * MICROSECOND}
    step = said(action, OPENED + HOUR_US, take_over=True, **more)
    over = said("episode_acked", OPENED + 2 * HOUR_US, staff="wang", take_over=True)
    first = hear(task, step)
    stored = noted(first + hear(task, over), stored)
    assert noted(hear(task, step), stored) == stored  # it does not take the episode back
    assert len(closed(first)) == (action == "episode_resolved")


@pytest.mark.parametrize(
    "odd",
    [
        {"alert_id": "al_other"},
        {"alert_id": None},
        {"customer_id": "d"},
        {"customer_id": "nobody"},
        {"staff": None},
        {"staff": "   "},
    ],
)
def test_what_names_no_open_alert_or_nobody_changes_nothing(odd: dict[str, Any]) -> None:
    task, stored = with_episode()
    assert noted(hear(task, said("episode_acked", OPENED + 1, **odd)), stored) == stored


def test_tools_of_the_shop_may_say_what_we_do_not_know() -> None:
    task, _ = with_episode()
    steps = hear(task, said("episode_resolved", OPENED + 1, staff=None, outcome="sold a car", cause="Because <b>"))
    (told,) = closed(steps)
    assert (told.outcome, told.cause, told.staff) == (OTHER_OUTCOME, "", "")
    task, stored = with_episode()
    stored = noted(hear(task, said("episode_acked", OPENED + 1, staff="名" * 500)), stored)
    assert len(work_of(stored).owner) == MAX_STAFF


def test_the_owner_is_stored_with_the_customer_and_in_force_after_a_restart() -> None:
    task, stored = with_episode()
    until = EPOCH + (OPENED + 9 * HOUR_US) * MICROSECOND
    step = hear(task, said("episode_snoozed", OPENED + HOUR_US, until=until))[-1]
    (customer,) = decode_customers([("c", step.commit.states["c"])], SHOP.horizon).customers
    assert customer.alert is not None
    at = (OPENED + HOUR_US, OPENED + 9 * HOUR_US)
    assert (customer.alert.owner, customer.alert.acked_at, customer.alert.snoozed_until) == ("li", *at)
    again = PartitionTask(0, TOPICS, SHOP, Limits())
    again.restore(list(step.commit.states.items()))
    again.begin(step.commit.position, step.commit.summary)
    late = said("episode_acked", OPENED + 2 * HOUR_US, staff="wang")
    again.inputs.receive("control", 2, [Record(2, APPENDED_MS, None, late)], 3, 3)
    for role in ("ticks", "browsing", "cart", "complaints", "orders"):
        again.inputs.receive(
            role, again.inputs.ends.get(role, 0), [], again.inputs.ends.get(role, 0), again.inputs.ends.get(role, 0)
        )
    assert noted(steps_of(again), stored) == stored


def test_an_alert_that_ends_otherwise_is_noted_no_more_and_has_no_outcome() -> None:
    task, stored = with_episode()
    stored = noted(hear(task, said("episode_acked", OPENED + HOUR_US)), stored)
    fetch(task, orders=[encode(order("c", OPENED + 2 * HOUR_US))])
    steps = steps_of(task)
    assert [(one.reason, one.outcome) for one in closed(steps)] == [("returned", "")]
    assert noted(steps, stored) == {}
    assert not any(step.outcomes for step in steps)
    assert b"outcome" not in unpack(steps[-1].commit.outbox[-1], Outgoing).payload


def test_who_was_seen_to_waits_for_two_new_scores_before_he_is_chosen_again() -> None:
    task, _ = with_episode()
    hear(task, said("episode_resolved", OPENED + HOUR_US, outcome="no_action"))
    assert task.processor.alerts.candidates.best(OPENED + 2 * HOUR_US, MODEL) == []


def test_where_commits_are_cut_does_not_show_in_the_ranking() -> None:
    """A decision of the very step in which the episode is resolved is forgotten with the others."""

    def ranks_with(events: int) -> tuple[float, ...]:
        task = PartitionTask(0, TOPICS, SHOP, Limits(events=events))
        task.begin(b"", b"")
        fetch(task, orders=[encode(order("c", T0))], ticks=[tick(OPENED)])
        steps_of(task)
        hear(task, opening_of("c", OPENED, 1))
        at = OPENED + 2 * SHOP.decide_every
        fetch(task, ticks=[tick(at)], control=[said("episode_resolved", at + 1, outcome="lost")])
        assert len(steps_of(task)) == (2 if events == 1 else 1)
        ranks = task.processor.ranking.rows(np.array([task.processor.customers["c"].index]))
        return tuple(float(one[0]) for one in (ranks.earlier, ranks.last, ranks.latest))

    np.testing.assert_equal(ranks_with(1), ranks_with(1_000))
    np.testing.assert_equal(ranks_with(1), (np.nan, np.nan, np.nan))


def test_an_opening_that_is_told_again_does_not_open_what_the_staff_has_closed() -> None:
    task, _ = with_episode()
    hear(task, said("episode_resolved", OPENED + HOUR_US, outcome="retained"))
    hear(task, opening_of("c", OPENED, 7))  # from a desk whose store was set back
    assert task.processor.customers["c"].alert is None
    assert not task.processor.alerts.open


def test_why_goes_with_the_alert_from_the_allocator_to_the_note_and_the_counts() -> None:
    why = Explanation("loyal", (Cause("price", 0.6), Cause("natural", 0.2)), (Evidence("silence", {"days": 40.0}),))
    candidate = AlertCandidate("c", OPENED, 0.9, 0.9, 12.0, 40.0, float("nan"), 1, 1, explanation=why)
    alert = Alert(ALERT, "c", OPENED, OPENED + DAY_US, 1, 0.9, candidate)
    told = [one for one in opening(0, alert, 1) if one.topic == "control"]
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    task.begin(b"", b"")
    fetch(task, orders=[encode(order("c", T0))], ticks=[tick(OPENED)])
    steps_of(task)
    steps = hear(task, told[0].payload)
    assert msgspec.json.decode(noted(steps, {})[ALERT], type=AlertNote).explanation == why
    assert [dict(step.opened) for step in steps] == [{("default", "price", "loyal"): 1}]
    # What is stored with the customer is causes and segment alone, and they are there again after a restart.
    (state,) = steps[-1].commit.states.values()
    (customer,) = decode_customers([("c", state)], SHOP.horizon).customers
    assert customer.alert is not None
    assert (customer.alert.causes, customer.alert.segment) == (("price", "natural"), "loyal")
    assert customer.alert.candidate.explanation == Explanation()
