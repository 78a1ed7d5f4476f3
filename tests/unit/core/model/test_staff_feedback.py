"""Feedback of staff as a part of the churn model: versions, snapshots, and independence of its order."""

from __future__ import annotations

import copy

from stream_app.core.causes.feedback import Confirmation, Feedback, FiledText
from stream_app.core.messages.batches import LabelledBatch
from stream_app.core.messages.outgoing import unpack
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.snapshot import fingerprint, restore, snapshot
from stream_app.core.model.staff_feedback import StaffFeedback
from stream_app.core.partition.outbox import labelled
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import DAY_US
from tests.harness.shops import SHOP, T0

CONFIRMED = [
    Confirmation(T0 + at, f"al_{at}", cause, at % 2 == 0, at % 5 == 0, ("price", "service"), ("late_parcel",), ())
    for at, cause in enumerate(["logistics", "price", "poor_experience", "service"] * 5)
]
FILED = [FiledText(T0 + at, f"e{at}", kind, "other", [at, 40]) for at, kind in enumerate(["quality", "stock"] * 5)]


def a_feedback(confirmed: list[Confirmation] = CONFIRMED, filed: list[FiledText] = FILED) -> Feedback:
    feedback = Feedback()
    feedback.add(confirmed, filed)
    return feedback


def untrained() -> ChurnModel:
    return ChurnModel(SHOP.horizon, SHOP.decide_every, seed=1)


def test_feedback_makes_a_new_version_and_its_absence_none() -> None:
    churn_model = untrained()
    churn_model.learn_day([], T0)
    churn_model.learn_day([], T0, feedback=Feedback())
    assert (churn_model.version, churn_model.feedback) == (0, None)
    churn_model.learn_day([], T0 + DAY_US, feedback=a_feedback())
    assert churn_model.version == 1
    assert churn_model.feedback is not None
    assert churn_model.feedback.causes.total == len(CONFIRMED)


def test_a_restored_model_has_and_learns_the_same_feedback_bit_for_bit() -> None:
    original = untrained()
    for _ in range(3):
        original.learn_day([], T0, feedback=a_feedback())
        restored = restore(snapshot(original))
        assert fingerprint(restored) == fingerprint(original)
        for one in (original, restored):
            one.learn_day([], T0, feedback=a_feedback(CONFIRMED[3:], FILED[4:]))
        assert original.feedback is not None
        assert restored.feedback is not None
        assert restored.feedback.probe == original.feedback.probe


def test_the_fingerprint_tells_what_was_learned() -> None:
    found = []
    for feedback in (a_feedback(), a_feedback(filed=[]), a_feedback(CONFIRMED[:-1]), a_feedback([])):
        churn_model = untrained()
        churn_model.learn_day([], T0, feedback=feedback)
        found.append(fingerprint(churn_model))
    assert len(set(found)) == len(found)


def test_the_order_of_arrival_does_not_matter() -> None:
    ahead, behind = StaffFeedback(), StaffFeedback()
    ahead.learn(a_feedback())
    behind.learn(a_feedback(CONFIRMED[::-1], FILED[::-1]))
    assert ahead.probe == behind.probe


def test_unknown_kinds_are_not_learned() -> None:
    learned = StaffFeedback()
    learned.learn(
        a_feedback([], [FiledText(T0, "e1", "weather", "other", [1]), FiledText(T0, "e2", "price", "moon", [1])])
    )
    assert learned.texts is None
    learned.learn(a_feedback([], FILED[:1]))
    assert learned.texts is not None
    assert learned.texts.learned == 1


def test_the_trainer_learns_the_feedback_of_all_partitions_as_one() -> None:
    """The same feedback over one partition and over two gives the same model."""
    models = []
    for partitions in (1, 2):
        trainer = Trainer(untrained(), partitions, SHOP.horizon)
        for number in range(partitions):
            cohorts = Cohorts()
            cohorts.feedback = a_feedback(CONFIRMED[number::partitions], FILED[number::partitions])
            for sequence, record in enumerate(labelled(number, [], cohorts, T0 + DAY_US), start=1):
                batch = unpack(record.payload, LabelledBatch)
                assert trainer.push(number, sequence, sequence, batch)
        assert trainer.learn() == T0 + DAY_US
        models.append(trainer.churn_model)
        restored = Trainer.restored(trainer.checkpoint(), partitions, SHOP.horizon)
        assert fingerprint(restored.churn_model) == fingerprint(trainer.churn_model)
    assert models[0].version == 1
    assert fingerprint(models[0]) == fingerprint(models[1])


def test_long_texts_are_sent_in_several_records() -> None:
    cohorts = Cohorts()
    texts = [FiledText(T0, f"e{number}", "quality", "other", [1 << 14] * 4_000) for number in range(100)]
    cohorts.feedback = a_feedback(filed=texts)
    records = [unpack(one.payload, LabelledBatch) for one in labelled(0, [], cohorts, T0)]
    assert len(records) > 1
    assert [text for one in records for text in one.filed] == texts
    assert [text for one in records for text in one.confirmed] == CONFIRMED
    assert [one.moment for one in records] == [0] * (len(records) - 1) + [T0]


def test_a_copied_model_learns_by_itself() -> None:
    churn_model = untrained()
    churn_model.learn_day([], T0, feedback=a_feedback())
    copied = copy.deepcopy(churn_model)
    copied.learn_day([], T0, feedback=a_feedback())
    assert fingerprint(copied) != fingerprint(churn_model)
