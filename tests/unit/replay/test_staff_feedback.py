"""Re-filed complaint texts in a log: learned in the replay, whatever the number of partitions."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm
from stream_app.core.events.schema import Complaint, Event
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import fingerprint
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.replay.runner import Replay
from stream_app.simulate import ShopSettings, simulate

SHOP = Settings(horizon=10 * DAY_US, active_window=40 * DAY_US)
TEXT = "插上电以后完全没有声音"  # no word of the lexicon


def refiled_log() -> list[Event]:
    """Return a log in which every seventh event is followed by a re-filed text of its customer."""
    log: list[Event] = []
    shop = ShopSettings(customers=30, days=40, kinds=("order",))
    for number, event in enumerate(chain.from_iterable(simulate(shop, seed=3))):
        log.append(event)
        if number % 7 == 0:
            filed = Complaint(
                event_id=f"filed-{number}",
                customer_id=event.customer_id,
                occurred_at=event.occurred_at + timedelta(microseconds=1),
                form=ComplaintForm.COMPLAINT,
                action=ComplaintAction.REFILED,
                category="quality",
                text=TEXT,
            )
            log.append(filed)
    return sorted(log, key=lambda one: one.at)


def replayed(partitions: int) -> tuple[ChurnModel, set[str]]:
    """Return the model after a replay, and what its partitions take the text for."""
    replay = Replay(SHOP, partitions)
    replay.run([refiled_log()])
    return replay.churn_model, {one.explainer.classify(TEXT) for one in replay.partitions}


def test_refiled_texts_are_learned_over_any_number_of_partitions() -> None:
    (one, kinds), (three, same_kinds) = replayed(1), replayed(3)
    assert one.feedback is not None
    assert one.feedback.texts is not None
    assert one.feedback.texts.learned > 5
    assert kinds == same_kinds == {"quality"}
    assert fingerprint(one) == fingerprint(three)
