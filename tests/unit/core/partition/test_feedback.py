"""Feedback of staff in a partition: what is hidden, what goes to the trainer, and what comes back with the model."""

from __future__ import annotations

import copy
from dataclasses import replace as replaced

import msgspec
import pytest

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, alert_id, is_blind, open_alerts
from stream_app.core.alerts.staff_actions import AlertNote
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.causes.feedback import Confirmation, Feedback, FiledText
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.events.schema import encode
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.messages.batches import LabelledBatch
from stream_app.core.messages.outgoing import unpack
from stream_app.core.partition.alert_records import opening
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from tests.harness.in_memory import TOPICS, tick
from tests.harness.shops import SHOP, T0, order
from tests.unit.core.alerts.test_staff_actions import ALERT, OPENED, hear, noted, said
from tests.unit.core.partition.test_task import MODEL, fetch, sent, steps_of

WHY = Explanation(
    "repeat",
    tuple(Cause(key, 0.2) for key in ("price", "natural", "service", "logistics")),
    (Evidence("silence", {"days": 40.0}), Evidence("only_discounts", {"orders": 3.0})),
)


def an_alert(*, blind: bool) -> Alert:
    candidate = AlertCandidate("c", OPENED, 0.9, 0.9, 12.0, 40.0, float("nan"), 1, 1, explanation=WHY)
    return Alert(ALERT, "c", OPENED, OPENED + DAY_US, 1, 0.9, candidate, blind=blind)


def with_alert(*, blind: bool) -> tuple[PartitionTask, list[Step], AlertOpened]:
    """Return a task with an open alert, its steps, and the message to the staff."""
    records = {one.topic: one for one in opening(0, an_alert(blind=blind), 1)}
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    task.begin(b"", b"")
    fetch(task, orders=[encode(order("c", T0))], ticks=[tick(OPENED)])
    steps_of(task)
    return (
        task,
        hear(task, records["control"].payload),
        msgspec.json.decode(records["alerts"].payload, type=AlertOpened),
    )


def confirmed(steps: list[Step]) -> list[Confirmation]:
    return [one for record in sent(steps, "labelled") for one in unpack(record.payload, LabelledBatch).confirmed]


@pytest.mark.parametrize("blind", [False, True])
def test_a_blind_alert_shows_neither_causes_nor_their_evidence(blind: bool) -> None:
    _, steps, opened = with_alert(blind=blind)
    note = msgspec.json.decode(noted(steps, {})[ALERT], type=AlertNote)
    for shown in (opened, note):
        assert shown.find_out is blind
        assert shown.explanation.causes == (() if blind else WHY.causes)
        assert [one.rule for one in shown.explanation.evidence] == ["silence", "only_discounts"][: 1 if blind else 2]
        assert shown.explanation.segment == "repeat"


@pytest.mark.parametrize("blind", [False, True])
def test_a_confirmed_cause_goes_to_the_trainer_with_what_was_named(blind: bool) -> None:
    task, steps, _ = with_alert(blind=blind)
    assert confirmed(steps) == []
    (one,) = confirmed(hear(task, said("episode_resolved", OPENED + 5, outcome="lost", cause="service")))
    assert (one.at, one.alert_id, one.cause) == (OPENED + 5, ALERT, "service")
    assert (one.repeat, one.blind, one.named) == (False, blind, ("price", "natural", "service"))
    assert "silence_once" in one.present
    assert not {*one.present} & {*one.absent}
    assert confirmed(hear(task, said("episode_resolved", OPENED + 6, outcome="lost", cause="price"))) == []


def test_an_outcome_without_a_cause_is_no_confirmation() -> None:
    task, _, _ = with_alert(blind=True)
    assert confirmed(hear(task, said("episode_resolved", OPENED + 5, outcome="retained"))) == []


def test_what_was_named_survives_a_restart() -> None:
    task, steps, _ = with_alert(blind=True)
    (state,) = steps[-1].commit.states.values()
    (customer,) = decode_customers([("c", state)], SHOP.horizon).customers
    assert customer.alert is not None
    assert (customer.alert.blind, customer.alert.named) == (True, ("price", "natural", "service"))
    restored = PartitionTask(0, TOPICS, SHOP, Limits())
    restored.restore([("c", state)])
    restored.begin(steps[-1].commit.position, steps[-1].commit.summary)
    step = said("episode_resolved", OPENED + 5, outcome="lost", cause="service")
    assert confirmed(hear(restored, step)) == confirmed(hear(task, step))


def test_a_share_of_alerts_is_blind_whatever_the_partition_or_the_run() -> None:
    keys = [alert_id(f"c{number}", 0) for number in range(2_000)]
    share = sum(is_blind(key, Settings(blind_share=0.1)) for key in keys) / len(keys)
    assert share == pytest.approx(0.1, abs=0.02)
    assert {is_blind(key, Settings(blind_share=0.0)) for key in keys} == {False}
    assert {is_blind(key, Settings(blind_share=1.0)) for key in keys} == {True}
    candidate = replaced(an_alert(blind=False).candidate, act_by=OPENED + DAY_US)
    for blind in (0.0, 1.0):
        settings = msgspec.structs.replace(SHOP, blind_share=blind)
        assert [one.blind for one in open_alerts([candidate], settings)] == [bool(blind)]


def test_the_model_in_force_explains_and_classifies() -> None:
    learned, feedback = copy.deepcopy(MODEL), Feedback()
    causes = [Confirmation(T0, f"al_{number}", "natural", False, False, (), (), ()) for number in range(100)]
    reading = [FiledText(T0, f"e{number}", "quality", "other", []) for number in range(20)]
    feedback.add(causes, reading)
    learned.learn_day([], T0, feedback=feedback)
    found = {}
    for learns in (True, False):
        partition = PartitionProcessor(msgspec.structs.replace(SHOP, learn_causes=learns))
        partition.use_model(learned)
        partition.apply(order("c", T0), T0)
        customer = partition.customers["c"]
        explained = partition.explainer.explain(partition.explainer.profile(customer, OPENED))
        found[learns] = explained.causes[0].key
    assert found == {True: "natural", False: "forgot_shop"}
    partition = PartitionProcessor(SHOP)
    assert partition.explainer.classify("?") == "other"
    partition.use_model(learned)
    assert partition.explainer.classify("?") == "quality"


def test_a_task_uses_the_model_that_it_is_given() -> None:
    task, _, _ = with_alert(blind=False)
    assert task.processor.explainer.classify.model is MODEL
