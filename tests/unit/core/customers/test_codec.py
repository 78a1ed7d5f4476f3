"""What is stored of customers: a partition that comes back from it goes on as if it had never been away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import pytest
import xxhash
from hypothesis import given, strategies as st

from stream_app.core.alerts.contact_history import ContactHistory
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, alert_id
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.alerts.sla import COMPLAINT, UNANSWERED, UNSOLVED, CaseKey, UrgentCase, breach_id
from stream_app.core.alerts.staff_actions import MAX_STAFF
from stream_app.core.causes.catalogue import CAUSES
from stream_app.core.causes.feedback import NAMED
from stream_app.core.customers.codec import states
from stream_app.core.customers.codec.alerts import decode_alerts, encode_alerts
from stream_app.core.customers.codec.states import VERSION, decode_customers, encode_customers, max_bytes
from stream_app.core.customers.codec.vectors import MAX_VALUE
from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.core.events.schema import Event
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Pending
from stream_app.core.model.scores import EXPERTS, IMPORTED
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.policy.policy import MAX_PER_WEEK
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.state.counters import COUNTERS, MOST
from stream_app.core.state.order_amounts import REMEMBERED, OrderAmounts
from stream_app.core.state.vector import CASES, ID_RING, LAST_AMOUNT, MAX_AMOUNT, MONEY, ORDERS, SLOTS, new_vector
from stream_app.core.units import HOUR_US
from stream_app.core.uplift.holdout import MAX_COPIES, FirstDraw, Holdout
from stream_app.errors import UnusableState
from tests.harness.shops import PLANNED, SECOND, SHOP, T0, Shell, ShopOutcome, browsing, logs, order, trained_model

DAY: Final = 24 * HOUR_US
HORIZON: Final = SHOP.horizon


# --- a partition that was stored -------------------------------------------------------------------------------------


class Storing(Shell):
    """A shell that keeps what changes as a worker does, and can lose its partitions and take them up again."""

    def __init__(self, settings: Settings = SHOP) -> None:
        super().__init__(settings)
        self.stored: list[dict[str, bytes]] = [{} for _ in self.partitions]

    def store(self) -> None:
        """Store those who have changed, and only those."""
        for kept, partition in zip(self.stored, self.partitions, strict=True):
            touched = partition.working_set.take_changed()
            encoded = encode_customers(touched, partition.ranking)
            kept |= {customer.name: value for customer, value in zip(touched, encoded, strict=True)}

    def crash(self) -> None:
        """Go on with partitions that know nothing but what is stored."""
        for place, (kept, old) in enumerate(zip(self.stored, self.partitions, strict=True)):
            new = PartitionProcessor(self.settings)
            for chunk in (list(kept.items())[::2], list(kept.items())[1::2]):
                restored = decode_customers(chunk, HORIZON)
                new.working_set.add(restored.customers)
                restored.rank(new.ranking)
            new.stream_time, new.counts = old.stream_time, old.counts
            new.explainer.shops = old.explainer.shops
            new.finish_restore()
            assert {name: held(one) for name, one in new.customers.items()} == {
                name: held(one) for name, one in old.customers.items()
            }
            self.partitions[place] = new


def all_of(shell: Shell) -> list[tuple[str, bytes]]:
    """Everything that the partitions hold of customers, as bytes."""
    found = []
    for partition in shell.partitions:
        customers = sorted(partition.customers.values(), key=lambda customer: customer.name)
        found += [
            (customer.name, value)
            for customer, value in zip(customers, encode_customers(customers, partition.ranking), strict=True)
        ]
    return found


def outcome(
    events: Sequence[Event], cuts: Sequence[bool], *, crashes: bool, settings: Settings = SHOP
) -> tuple[ShopOutcome, list[tuple[str, bytes]]]:
    """Play a log; after some events all is scored and stored, and perhaps lost and restored."""
    shell = Storing(settings)
    for place, event in enumerate(events):
        shell.take(event)
        if place < len(cuts) and cuts[place]:
            shell.finish()
            shell.store()
            if crashes:
                shell.crash()
    end = shell.end(max(event.at for event in events) + 3 * DAY)
    return end, all_of(shell)


@given(logs(max_size=40), st.lists(st.booleans(), max_size=40), st.sampled_from([SHOP, PLANNED]))
def test_a_restored_partition_goes_on_as_one_that_was_never_stored(
    events: list[Event], cuts: list[bool], settings: Settings
) -> None:
    ours, states = outcome(events, cuts, crashes=True, settings=settings)
    theirs, expected = outcome(events, cuts, crashes=False, settings=settings)
    assert ours == theirs
    assert states == expected


def busy_log() -> list[Event]:
    """Three customers who order and look about for two months, at no round times."""
    events: list[Event] = []
    for place, (name, gap) in enumerate([("c0", 3), ("c1", 7), ("c2", 11)]):
        for step in range(60 // gap):
            at = T0 + step * gap * DAY + (step * 7_919 + place * 104_729) * 1_234_567 % DAY
            events += [order(name, at, amount=9.99 + step), browsing(name, at + 5 * HOUR_US + step, category="hats")]
            if step % 3 == 0:
                events.append(browsing(name, at + 2 * DAY + step))
    return sorted(events, key=lambda event: event.at)


def test_a_shop_that_crashes_after_every_event_is_the_same_shop() -> None:
    events = busy_log()
    ours, states = outcome(events, [True] * len(events), crashes=True)
    theirs, expected = outcome(events, [True] * len(events), crashes=False)
    assert ours == theirs
    assert states == expected
    assert len(ours.decisions) > 60
    assert len(ours.labels) > 40
    assert ours.opened


def test_what_is_stored_is_read_back_and_written_again_as_the_same_bytes() -> None:
    shell = Shell()
    for event in busy_log():
        shell.take(event)
    shell.finish()
    stored = all_of(shell)
    restored = decode_customers(stored, HORIZON)
    assert max(len(customer.waiting) - customer.fresh for customer in restored.customers) > 1
    assert max(customer.fresh for customer in restored.customers) >= 1
    ranking = Ranking(SHOP.agreement)
    for index, customer in enumerate(restored.customers):
        customer.index = index
    restored.rank(ranking)
    assert encode_customers(restored.customers, ranking) == [value for _, value in stored]


# --- a customer of any kind ------------------------------------------------------------------------------------------


def a_decision(at: int, rng: np.random.Generator, like: Pending | None = None) -> Pending:
    """A scored decision; `like` another one, it shares half of its features."""
    pending = Pending("c", at)
    seen = rng.normal(0.0, 9.0, len(NAMES)).astype(np.float16)
    if like is not None:
        shared = rng.random(len(NAMES)) < 0.5
        seen[shared] = np.frombuffer(like.features, dtype=np.float16)[shared]
    pending.features = seen.tobytes()
    pending.log_odds = rng.normal(0.0, 3.0, len(EXPERTS)).astype(np.float16).tobytes()
    pending.probability = float(np.float32(rng.random()))
    pending.source, pending.version = int(rng.integers(2)), int(rng.integers(1 << 24))
    pending.returned, pending.counted = bool(rng.integers(2)), bool(rng.integers(2))
    pending.copies = int(rng.integers(MAX_COPIES + 1))
    return pending


def held(customer: Customer) -> tuple[object, ...]:
    """All that is stored of a customer, comparable to the last bit."""
    decisions = [
        (
            one.customer,
            one.decided_at,
            one.features,
            one.log_odds,
            one.probability,
            one.source,
            one.version,
            one.returned,
            one.counted,
            one.copies,
        )
        for one in customer.waiting
    ]
    vector = customer.vector.tobytes()
    counters = customer.counters.tobytes()
    return (
        customer.name,
        vector,
        counters,
        customer.ids,
        customer.fresh,
        customer.due,
        repr(customer.alert),
        customer.history,
        decisions,
    )


def stored_and_back(customer: Customer) -> Customer:
    stored = encode_customers([customer], Ranking(0))
    assert len(stored[0]) <= max_bytes(len(customer.waiting))
    (back,) = decode_customers([(customer.name, stored[0])], HORIZON).customers
    return back


SOME_NUMBERS: Final = st.one_of(
    st.floats(-MAX_VALUE, MAX_VALUE),
    st.integers(-2, 70_000).map(float),
    st.sampled_from([-0.0, 255.0, 256.0, 65_535.0, 65_536.0, -1e9, MAX_VALUE, -MAX_VALUE, 2.0**63, 5e-324]),
)


@given(
    st.dictionaries(st.integers(0, len(SLOTS) - 1), SOME_NUMBERS),
    st.lists(st.binary(min_size=ID_BYTES, max_size=ID_BYTES), max_size=ID_RING),
    st.lists(st.integers(-(10**10), 10**10), unique=True, max_size=12),
    st.integers(-(10**10), 10**10),
)
def test_whatever_is_stored_comes_back(
    vector: dict[int, float], ids: list[bytes], seconds: list[int], due: int
) -> None:
    rng = np.random.default_rng(len(vector))
    customer = Customer("c", 0)
    for place, value in vector.items():
        customer.vector[place] = value
    customer.ids = b"".join(ids)
    customer.due = due * SECOND
    for second in sorted(seconds):
        like = customer.waiting[-1] if customer.waiting else None
        customer.waiting.append(a_decision(second * SECOND, rng, like))
    assert held(stored_and_back(customer)) == held(customer)


def test_what_an_older_version_stored_of_absurd_amounts_comes_back_finite() -> None:
    customer = Customer("c", 0)
    customer.vector[MONEY], customer.vector[MAX_AMOUNT], customer.vector[LAST_AMOUNT] = math.nan, math.inf, -math.inf
    customer.vector[ORDERS] = 2.0
    vector = stored_and_back(customer).vector
    assert [vector[place] for place in (MONEY, MAX_AMOUNT, LAST_AMOUNT, ORDERS)] == [0.0, MAX_VALUE, -MAX_VALUE, 2.0]


@given(st.lists(st.sampled_from(range(len(SLOTS)))), st.floats(0.1, 1e6))
def test_states_that_agree_with_others_come_back(places: list[int], value: float) -> None:
    customer = Customer("c", 0)
    for place in places:
        customer.vector[place] = value
    assert held(stored_and_back(customer)) == held(customer)


def an_episode(usual_gap_days: float = math.nan, own_id: str = "") -> Alert:
    candidate = AlertCandidate("c", T0, 12.5, 0.75, 12.5, 33.0, usual_gap_days, 1, 7)
    return Alert(own_id or alert_id("c", T0), "c", T0, T0 + 14 * DAY, 3, 0.7, candidate)


def in_arm(arm: str) -> Alert:
    alert = an_episode(8.5)
    return replace(alert, segment="vip", candidate=replace(alert.candidate, arm=arm))


@pytest.mark.parametrize(
    "alert",
    [an_episode(), an_episode(8.5), an_episode(own_id="al_by_hand"), in_arm("treated"), in_arm("held_out")],
    ids=["nan", "8.5", "id", "treated", "held out"],
)
def test_an_open_alert_comes_back(alert: Alert) -> None:
    customer = Customer("c", 0)
    customer.alert = alert
    assert repr(stored_and_back(customer).alert) == repr(alert)


def test_urgent_cases_that_were_worked_on_come_back_with_an_alert_and_without() -> None:
    customer = Customer("c", 0)
    for place, kind in enumerate((UNANSWERED, UNSOLVED, COMPLAINT)):
        target = (T0 + place, kind)
        case = UrgentCase(breach_id("c", target), T0 + 14 * DAY, "li", T0 + 5, place * T0, resolved=place > 0)
        customer.cases[target] = case
    back = stored_and_back(customer)
    assert (back.cases, back.alert) == (customer.cases, None)
    customer.alert = an_episode(8.5)
    back = stored_and_back(customer)
    assert (back.cases, back.alert) == (customer.cases, customer.alert)


@pytest.mark.parametrize("history", [None, ContactHistory(T0, 0, (T0,))])
def test_a_draw_comes_back_with_and_without_a_history(history: ContactHistory | None) -> None:
    customer = Customer("c", 0)
    customer.draw, customer.history = FirstDraw(Holdout(0.5).key, 0.5, T0, ordered=True), history
    back = stored_and_back(customer)
    assert (back.draw, back.history, back.alert) == (customer.draw, history, None)
    none = Customer("c", 0)
    none.history = history
    assert stored_and_back(none).draw is None


def decoded(packed: bytes) -> tuple[Alert | None, dict[CaseKey, UrgentCase], ContactHistory | None]:
    customer = Customer("c", 0)
    decode_alerts(customer, packed)
    return customer.alert, customer.cases, customer.history


def test_an_alert_that_was_stored_before_there_were_cases_is_read() -> None:
    customer = Customer("c", 0)
    customer.alert = an_episode(8.5)
    new = encode_alerts(customer)
    assert new[:2] == b"\xdc\x00"  # an array of more than 15
    old = b"\xdc\x00" + bytes([new[2] - 2]) + new[3:-2]  # without cases and segment, both empty
    assert decoded(old) == decoded(new) == (customer.alert, {}, None)


def test_a_history_comes_back_with_an_alert_and_without() -> None:
    customer = Customer("c", 0, history=ContactHistory(T0, 0, (T0, T0 + DAY), (T0,), T0))
    assert stored_and_back(customer).history == customer.history
    customer.alert = an_episode(8.5)
    back = stored_and_back(customer)
    assert (back.history, back.alert) == (customer.history, customer.alert)


def test_the_amounts_of_orders_come_back_with_an_alert_and_without() -> None:
    customer = Customer("c", 0, amounts=OrderAmounts({2**32 - 1: 1 / 3, 7: 0.0}))
    assert len(encode_alerts(customer)) <= 51
    for alert in (None, an_episode(8.5)):
        customer.alert = alert
        back = stored_and_back(customer)
        assert back.amounts is not None
        assert (list(back.amounts.left.items()), back.alert) == ([(2**32 - 1, 1 / 3), (7, 0.0)], alert)


def test_no_amounts_are_stored_as_nothing() -> None:
    assert encode_alerts(Customer("c", 0, amounts=OrderAmounts())) == b""


def test_a_history_that_was_stored_without_the_last_call_is_read() -> None:
    customer = Customer("c", 0, history=ContactHistory(T0, 0, (T0,)))
    stored = msgspec.msgpack.decode(encode_alerts(customer))
    assert stored[-1][-1] == 0
    old = msgspec.msgpack.encode([*stored[:-1], stored[-1][:-1]])
    assert decoded(old) == (None, {}, customer.history)


@pytest.mark.parametrize(
    "scores", [(math.nan,) * 3, (math.nan, 0.5, 0.25), (0.125, 0.5, math.nan), (math.nan, math.nan, 0.75)], ids=str
)
def test_scores_in_the_ranking_come_back(scores: tuple[float, float, float]) -> None:
    ranking, again = Ranking(0), Ranking(0)
    if not math.isnan(scores[0]):
        ranking.add_decision(1, T0 - DAY, scores[0])
    if not math.isnan(scores[1]):
        ranking.add_decision(1, T0, scores[1])
    ranking.set_latest(np.array([1]), np.array([scores[2]]))
    stored = encode_customers([Customer("a", 0), Customer("b", 1)], ranking)
    restored = decode_customers([("b", stored[1]), ("a", stored[0])], HORIZON)
    for index, customer in enumerate(restored.customers):
        customer.index = index
    restored.rank(again)
    there, here = ranking.rows(np.array([1, 0])), again.rows(np.array([0, 1]))
    for name in ("earlier", "last", "last_at", "latest"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


def test_an_event_that_was_seen_before_the_crash_is_known_after_it() -> None:
    customer = Customer("c", 0)
    for number in range(2 * ID_RING):
        customer.is_duplicate(f"e{number}")
    back = stored_and_back(customer)
    assert all(back.is_duplicate(f"e{number}") for number in range(ID_RING, 2 * ID_RING))
    assert not back.is_duplicate("e0")


def test_decisions_are_packed_again_when_they_have_changed() -> None:
    rng, customer = np.random.default_rng(1), Customer("c", 0)
    customer.waiting = [a_decision(T0 + i * DAY, rng) for i in range(4)]
    customer.waiting[0].returned = customer.waiting[1].returned = False
    assert held(stored_and_back(customer)) == held(customer)
    customer.waiting[1].returned, customer.packed = True, None  # whoever changes decisions says so: process.py
    assert held(stored_and_back(customer)) == held(customer)
    customer.waiting.pop(0)
    customer.packed = None
    assert held(stored_and_back(customer)) == held(customer)
    customer.waiting.append(a_decision(T0 + 4 * DAY, rng))
    customer.packed = None
    assert held(stored_and_back(customer)) == held(customer)


def test_nobody_is_nothing() -> None:
    assert encode_customers([], Ranking(0)) == []
    assert decode_customers([], HORIZON).customers == []


# --- size ------------------------------------------------------------------------------------------------------------


def largest(waiting: int) -> Customer:
    """A customer of whom nothing can be left out."""
    rng, customer = np.random.default_rng(1), Customer("c", 0)
    customer.vector[:] = type(customer.vector)("d", rng.normal(0.0, 1.0, len(SLOTS)))
    customer.ids = bytes(range(ID_BYTES * ID_RING))
    customer.counters[:] = type(customer.counters)("H", [MOST] * len(COUNTERS))
    customer.waiting = [a_decision(T0 + i * DAY, rng) for i in range(waiting)]
    return customer


def with_imported(pending: Pending, *log_odds: float) -> Pending:
    """A decision with predictions of imported models as well."""
    pending.log_odds += np.array([(2**31 + key, one) for key, one in enumerate(log_odds)], dtype=IMPORTED).tobytes()
    return pending


def test_predictions_of_imported_models_are_stored_with_the_decisions_that_have_them() -> None:
    """The list of experts changed twice while these decisions waited."""
    rng, customers = np.random.default_rng(2), [Customer(name, place) for place, name in enumerate("abc")]
    for customer in customers:
        customer.waiting = [a_decision(T0 + i * DAY, rng) for i in range(4)]
    with_imported(customers[0].waiting[1], 0.5, -1.0)
    with_imported(customers[0].waiting[3], 2.0)
    with_imported(customers[2].waiting[0], -8.0)
    stored = encode_customers(customers, Ranking(0))
    found = decode_customers(list(zip("abc", stored, strict=True)), 1).customers
    for one, other in zip(found, customers, strict=True):
        assert [pending.log_odds for pending in one.waiting] == [pending.log_odds for pending in other.waiting]
        assert [pending.source for pending in one.waiting] == [pending.source for pending in other.waiting]
    without = largest(4)
    assert max_bytes(4, imported=2) - max_bytes(4) == 4 * (1 + 2 * IMPORTED.itemsize)
    assert len(encode_customers([without], Ranking(0))[0]) <= max_bytes(4)


@pytest.mark.parametrize(("waiting", "imported"), [(0, 0), (1, 0), (9, 0), (9, 3)])
def test_the_bound_on_the_size_is_nearly_attained(waiting: int, imported: int) -> None:
    customer, ranking = largest(waiting), Ranking(0)
    for pending in customer.waiting:
        with_imported(pending, *[1.0] * imported)
    ranking.set_latest(np.array([0]), np.array([0.5]))
    top = replace(an_episode(1 / 3), rank=10**9, bar=1 / 3)
    worked: dict[str, Any] = {"owner": "𠀀" * MAX_STAFF, "acked_at": 2**60, "snoozed_until": 2**60}
    named = tuple(sorted(CAUSES, key=len)[-NAMED:])
    told: dict[str, Any] = {"causes": named, "blind": True, "segment": max(SEGMENTS, key=len)}
    customer.alert = replace(top, candidate=replace(top.candidate, version=2**24 - 1), **worked, **told)
    for place in range(2 * CASES):
        moved = breach_id("c", (place, COMPLAINT))  # a case that went on when its complaint was opened again
        customer.cases[2**60 + place, COMPLAINT] = UrgentCase(moved, 2**60, **worked, resolved=True)
    customer.history = ContactHistory(2**60, 2**60, (2**60,) * MAX_PER_WEEK, (2**60,) * MAX_PER_WEEK, 2**60)
    customer.amounts = OrderAmounts({2**32 - 1 - place: 1 / 3 for place in range(REMEMBERED)})
    (stored,) = encode_customers([customer], ranking)
    assert max_bytes(waiting, imported) - 100 <= len(stored) <= max_bytes(waiting, imported)


def test_an_empty_customer_takes_few_bytes() -> None:
    (stored,) = encode_customers([Customer("c", 0)], Ranking(0))
    assert len(stored) <= 45


def test_decisions_on_states_as_they_still_are_take_no_features() -> None:
    partition = PartitionProcessor(SHOP)
    partition.apply(order("c", T0), T0)
    partition.advance(T0 + HORIZON)
    partition.finish(trained_model())
    customer = partition.customers["c"]
    assert len(customer.waiting) == customer.fresh == 5
    fresh = len(encode_customers([customer], partition.ranking)[0])
    partition.apply(browsing("c", T0 + HORIZON), T0 + HORIZON)
    partition.finish(trained_model())
    assert len(encode_customers([customer], partition.ranking)[0]) > fresh + 5 * 30


# --- what cannot be stored, and bytes that are not ours --------------------------------------------------------------


def test_a_decision_that_was_not_scored_is_not_stored() -> None:
    customer = Customer("c", 0)
    customer.waiting.append(Pending("c", T0))
    with pytest.raises(ValueError, match="reshape"):
        encode_customers([customer], Ranking(0))


@pytest.mark.parametrize(("name", "value"), [("decided_at", T0 + 1), ("version", 1 << 24), ("source", 128)])
def test_what_has_no_room_is_not_stored(name: str, value: int) -> None:
    customer = largest(1)
    setattr(customer.waiting[0], name, value)
    with pytest.raises(ValueError, match="out of range"):
        encode_customers([customer], Ranking(0))


def a_value() -> bytes:
    customer = largest(3)
    customer.alert = an_episode()
    return encode_customers([customer], Ranking(0))[0]


def refusal(stored: bytes) -> str:
    """Why bytes between two good values are refused."""
    good = encode_customers([Customer("a", 0)], Ranking(0))[0]
    with pytest.raises(UnusableState) as refused:
        decode_customers([("a", good), ("torn one", stored), ("b", good)], HORIZON)
    assert "'torn one'" in str(refused.value)
    assert f"reads version {VERSION}" in str(refused.value)
    return str(refused.value)


def signed(content: bytes) -> bytes:
    """With a checksum that fits."""
    return content + xxhash.xxh32_digest(content)


def test_torn_bytes_are_refused_wherever_they_end() -> None:
    stored = a_value()
    for length in range(len(stored)):
        assert "is too short" in refusal(stored[:length]) or "checksum" in refusal(stored[:length])


def test_any_flipped_byte_is_noticed() -> None:
    stored = a_value()
    for place in range(len(stored)):
        flipped = bytearray(stored)
        flipped[place] ^= 1 << place % 8
        assert ("has version" if place == 0 else "checksum") in refusal(bytes(flipped))


def changed(field: str, value: int) -> bytes:
    content = bytearray(a_value()[:-4])
    head = np.frombuffer(content, dtype=states._HEAD, count=1).copy()
    head[field] = value
    content[: states._HEAD.itemsize] = head.tobytes()
    return signed(bytes(content))


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (b"", "is too short"),
        (b"\x89PNG" * 20, "has version 137"),
        (changed("version", VERSION + 1), f"has version {VERSION + 1}"),
        (signed(a_value()[:-4] + b"\0"), "is longer"),
        (signed(a_value()[:-5]), "is too short for"),
        (changed("ranked", 2), "invalid head"),
        (changed("ids", ID_RING + 1), "invalid head"),
        (changed("fresh", 4), "invalid head"),
        (changed("waiting", 60_000), "is too short for"),
    ],
    ids=["empty", "picture", "newer", "longer", "shorter", "ranked", "ids", "fresh", "waiting"],
)
def test_bytes_that_are_not_ours_are_refused(stored: bytes, problem: str) -> None:
    assert problem in refusal(stored)


def test_an_alert_that_was_stored_before_segments_were_is_read_without_one() -> None:
    customer = Customer("c", 0)
    customer.alert = replace(an_episode(), segment="vip")
    packed = encode_alerts(customer)
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(packed)[:-1])
    assert [alert and alert.segment for alert, _, _ in (decoded(packed), decoded(older))] == [
        "vip",
        "",
    ]


def test_an_alert_that_is_not_ours_is_refused() -> None:
    customer = Customer("c", 0)
    customer.alert = an_episode()
    content = encode_customers([customer], Ranking(0))[0][:-4]
    assert "a malformed alert" in refusal(signed(content[:-1] + b"\xc1"))  # a byte that MessagePack never uses


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_customer_or_a_refusal(stored: bytes) -> None:
    for given_bytes in (stored, signed(bytes([VERSION]) + stored)):
        try:
            (customer,) = decode_customers([("c", given_bytes)], HORIZON).customers
        except UnusableState:
            continue
        assert len(customer.vector) == len(new_vector())
