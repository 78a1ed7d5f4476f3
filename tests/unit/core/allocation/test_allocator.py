"""The allocator counts the draws of a holdout, through restarts, rollbacks of its store, and changes of its name."""

from __future__ import annotations

import msgspec

from stream_app.core.alerts.arms import Draws
from stream_app.core.allocation.allocator import Allocator, AllocatorPosition, rewind
from stream_app.core.messages.batches import CandidateBatch
from stream_app.core.messages.outgoing import Outgoing, unpack
from stream_app.core.messages.schema import AlertStep, AllocationDone, CandidateRecord, decode_control
from stream_app.core.partition.alert_records import CONTROL
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, HOUR_US
from stream_app.core.uplift.holdout import TREATED, Holdout
from tests.harness.shops import PLANNED, T0

SHOP = msgspec.structs.replace(PLANNED, capacity=5, holdout=Holdout(0.5, "spring", planned=3))
AUTUMN = msgspec.structs.replace(SHOP, holdout=Holdout(0.5, "autumn", planned=3))
MONDAY = T0 + 7 * DAY_US + 9 * HOUR_US


def allocator(position: bytes = b"", settings: Settings = SHOP) -> Allocator:
    made = Allocator(1, settings, lambda _: 0)
    made.begin(position)
    return made


def allocate(one: Allocator, day: int, *names: str) -> tuple[set[float], int]:
    """Allocate a day's calls; return the shares of the draws, and the number drawn so far."""
    at = MONDAY + day * DAY_US
    records = [
        CandidateRecord(name, 1.0, 0.8, 10.0, 30.0, 8.0, 1, 1, act_by=at + 20 * DAY_US, arm=TREATED) for name in names
    ]
    assert one.push(0, day, day + 1, CandidateBatch(at, records))
    decided = one.decide()
    assert decided is not None
    sent = [unpack(record, Outgoing) for record in decided.commit.outbox]
    messages = [decode_control(record.payload) for record in sent if record.topic == CONTROL]
    (done,) = (message for message in messages if isinstance(message, AllocationDone))
    openings = [message.opening for message in messages if isinstance(message, AlertStep)]
    return {opening.candidate.share for opening in openings if opening is not None}, done.drawn


def test_the_share_falls_after_the_planned_number_also_across_a_restart() -> None:
    one = allocator()
    assert allocate(one, 0, "a", "b") == ({0.5}, 2)
    again = allocator(msgspec.json.encode(one.position))
    assert allocate(again, 1, "c") == ({0.5}, 3)
    assert allocate(again, 2, "d") == ({0.2}, 4)


def test_a_store_that_was_set_back_learns_from_kafka_how_many_were_drawn() -> None:
    one = allocator()
    commit = one.recover(MONDAY, 9, Draws("spring", 3))
    assert msgspec.json.decode(commit.position, type=AllocatorPosition).drawn == 3
    assert allocate(allocator(commit.position), 1, "d") == ({0.2}, 4)
    assert allocate(allocator(commit.position, AUTUMN), 1, "d") == ({0.5}, 1)


def test_the_count_is_kept_if_topics_are_read_again_and_begins_anew_with_another_experiment() -> None:
    one = allocator()
    allocate(one, 0, "a", "b", "c")
    position = rewind(msgspec.json.encode(one.position))
    assert allocate(allocator(position), 1, "d") == ({0.2}, 4)
    assert allocate(allocator(position, AUTUMN), 1, "d") == ({0.5}, 1)


def test_without_a_holdout_the_position_is_as_it_was_before_there_were_draws() -> None:
    one = allocator(settings=PLANNED)
    one.decide()
    assert set(msgspec.json.decode(msgspec.json.encode(one.position))) == {"read", "moment", "sequence"}


def test_a_moment_that_was_allocated_needs_no_policy() -> None:
    """After a restore, candidates are read again that were made under a policy which nobody knows any more."""
    one = allocator()
    one.recover(MONDAY, 9, Draws())
    assert one.push(0, 0, 1, CandidateBatch(MONDAY, [], policy="gone"))
    assert one.missing_policy == ""
    assert one.decide() is not None
    assert one.push(0, 1, 2, CandidateBatch(MONDAY + DAY_US, [], policy="gone"))
    assert (one.missing_policy, one.decide()) == ("gone", None)
