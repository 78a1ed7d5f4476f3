"""Lanes, trainer and desk against a replay: the same log must come to the same, whatever the interleaving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.events import Event, encode
from stream_app.core.intake import ROLES
from stream_app.core.lane import Lane, Limits
from stream_app.core.learner import Learner
from stream_app.core.messages import AlertOpened, Labelled, unpack
from stream_app.core.settings import Settings
from stream_app.core.snapshot import fingerprint
from stream_app.core.state import DAY_US
from stream_app.replay.replay import Replay
from tests.livesystem import APPENDED_MS, Rec, System, Topics, publish, role_of, tick
from tests.shops import SHOP, T0, browsing, logs, order


def as_read(events: list[Event]) -> list[Event]:
    """In the order in which a replay reads a log: by time, then kind."""
    return sorted(events, key=lambda event: (event.at, ROLES.index(role_of(event))))


def replayed(events: Sequence[Event], shop: Settings, partitions: int) -> Replay:
    replay = Replay(shop, partitions)
    replay.run([list(events)])
    return replay


def decisions_of(replay: Replay) -> dict[tuple[str, int], tuple[int, float, int]]:
    """(customer, decided_at) -> label or -1, probability, version."""
    found = replay.outcome.columns.decisions()
    rows = zip(found.customer, found.decided_at, found.label, found.probability, found.version, strict=True)
    return {(found.customers[c], int(at)): (int(label), float(p), int(v)) for c, at, label, p, v in rows}


def assert_same(system: System, replay: Replay) -> None:
    """States, decisions, features, labels, models and alerts."""
    # 1. States.
    for lane, partition in zip(system.lanes.values(), replay.partitions, strict=True):
        assert set(lane.partition.customers) == set(partition.customers)
        for name, customer in lane.partition.customers.items():
            known = partition.customers[name]
            assert customer.facts == known.facts, name
            assert list(customer.ids) == list(known.ids)
            assert (customer.due, customer.fresh) == (known.due, known.fresh)
            waits = [(p.decided_at, p.features, p.log_odds, p.probability, p.returned) for p in customer.waiting]
            assert waits == [(p.decided_at, p.features, p.log_odds, p.probability, p.returned) for p in known.waiting]
            assert (customer.episode is None) == (known.episode is None)
    # 2. Labels, with the probabilities that were given.
    told = {}
    for outgoing in system.told("labelled"):
        for one in unpack(outgoing.value, Labelled).examples:
            told[one.customer, one.decided_at] = (one.label, one.probability, one.version)
    assert told == {key: row for key, row in decisions_of(replay).items() if row[0] >= 0}
    # 3. What was learned.
    assert fingerprint(system.training.learner) == fingerprint(replay.learner)
    # 4. Alerts, each once.
    opened = {one.alert_id: one.customer_id for one in system.alerts if isinstance(one, AlertOpened)}
    assert opened == {one.alert_id: one.customer for one in replay.outcome.opened}
    closed = {one.alert_id: one.reason for one in system.alerts if not isinstance(one, AlertOpened)}
    assert closed == {one.episode.alert_id: one.reason for one in replay.outcome.closed}


@given(logs(customers=6, max_size=40).map(as_read), st.integers(1, 3), st.integers(0, 2**32))
def test_a_published_log_comes_to_what_its_replay_says(events: list[Event], partitions: int, seed: int) -> None:
    system = System(publish(events, SHOP, partitions), SHOP, seed).run()
    assert_same(system, replayed(events, SHOP, partitions))


@given(logs(customers=6, max_size=40).map(as_read), st.integers(1, 3), st.integers(0, 2**32))
def test_lanes_trainer_and_desk_may_crash_at_any_moment(events: list[Event], partitions: int, seed: int) -> None:
    system = System(publish(events, SHOP, partitions), SHOP, seed, crashes=0.1).run()
    assert_same(system, replayed(events, SHOP, partitions))
