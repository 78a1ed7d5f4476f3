"""The state vector against naive computations over all events."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, strategies as st

from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.core.events.enumerations import CartAction, ComplaintAction, ComplaintForm, OrderAction
from stream_app.core.events.schema import Complaint, CustomerEvent
from stream_app.core.state.complaint_kinds import ACTS, HANDLING
from stream_app.core.state.complaints import open_since
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.update import apply_event
from stream_app.core.state.vector import (
    CASES,
    DECAYED,
    DECAYED_AT,
    DECAYED_START,
    EMPTY,
    HALF_LIVES,
    ID_RING,
    MAX_LATENESS_DAYS,
    NEVER,
    RING,
    SLOT,
    SLOTS,
    add_decayed,
    add_order_day,
    new_vector,
)
from stream_app.core.units import DAY_US
from tests.harness.shops import T0, browsing, cart, complaint, order


def remembered(events: Sequence[CustomerEvent], counts: bool = True) -> dict[str, float]:
    vector = new_vector()
    for event in events:
        apply_event(vector, event, event.at, event.at // DAY_US, counts)
    return dict(zip(SLOTS, vector, strict=True))


# --- order days ------------------------------------------------------------------------------------------------------


def naive_gaps(days: list[int]) -> dict[str, float]:
    gaps = [later - before for before, later in pairwise(sorted(set(days)))]
    return {
        "order_days": len(set(days)),
        "gap_squares": sum(gap * gap for gap in gaps),
        "gap_logs": sum(math.log(gap) for gap in gaps),
        "gap_log_squares": sum(math.log(gap) ** 2 for gap in gaps),
    }


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, MAX_LATENESS_DAYS)), min_size=1, max_size=40))
def test_order_days_may_arrive_in_any_order_within_the_lateness(days: list[tuple[int, int]]) -> None:
    vector = new_vector()
    for day, _ in sorted(days, key=lambda one: one[0] + one[1]):
        add_order_day(vector, float(19_000 + day))
    found = dict(zip(SLOTS, vector, strict=True))
    for name, wanted in naive_gaps([day for day, _ in days]).items():
        assert found[name] == pytest.approx(wanted, abs=1e-9), name
    latest = sorted({19_000 + day for day, _ in days})[-RING:]
    assert [found[f"order_day_{i}"] for i in range(RING)] == [NEVER] * (RING - len(latest)) + latest


@given(st.permutations(range(0, 3 * RING, 3)))
def test_a_full_ring_of_days_may_arrive_in_any_order(days: list[int]) -> None:
    vector = new_vector()
    for day in days:
        add_order_day(vector, float(day))
    found = dict(zip(SLOTS, vector, strict=True))
    for name, wanted in naive_gaps(days).items():
        assert found[name] == pytest.approx(wanted, abs=1e-9), name


def test_a_day_before_the_whole_ring_changes_nothing() -> None:
    vector = new_vector()
    for day in range(100, 100 + RING):
        add_order_day(vector, float(day))
    before = vector[:]
    add_order_day(vector, 99.0)
    assert vector == before


# --- decayed counts --------------------------------------------------------------------------------------------------

AMOUNTS = st.lists(st.tuples(st.floats(0.0, 400.0), st.floats(0.0, 50.0)), min_size=1, max_size=20)


@given(AMOUNTS, st.sampled_from(range(len(DECAYED))), st.floats(0.0, 300.0))
def test_decayed_counts_are_correct_in_any_order(amounts: list[tuple[float, float]], kind: int, later: float) -> None:
    start = 19_000.0
    vector = new_vector()
    for day, amount in amounts:
        add_decayed(vector, kind, start + day, amount)
    now = start + max(day for day, _ in amounts) + later
    view = StateFrame(np.array([vector]), np.array([now]), 60.0)
    for half_life in HALF_LIVES:
        naive = sum(amount * 2.0 ** -((now - start - day) / half_life) for day, amount in amounts)
        assert view.decayed(DECAYED[kind], half_life)[0] == pytest.approx(naive, rel=1e-9, abs=1e-9)


def test_other_kinds_do_not_change() -> None:
    vector = new_vector()
    add_decayed(vector, 1, 19_000.0)
    changed = {SLOTS[place] for place in range(len(SLOTS)) if vector[place] != EMPTY[place]}
    assert changed == {"decayed_browsing_at", *(f"decayed_browsing_{half_life:g}d" for half_life in HALF_LIVES)}
    assert (SLOTS[DECAYED_AT], SLOTS[DECAYED_START]) == ("decayed_order_at", "decayed_order_2d")


# --- what each event leaves ------------------------------------------------------------------------------------------


def test_an_order_is_counted_with_its_amount() -> None:
    found = remembered([
        order("c", T0, amount=10.0, discount=2.0, member_benefit=True),
        order("c", T0 + DAY_US, amount=20.0),
        order("c", T0 + DAY_US, amount=30.0),
        order("c", T0 + DAY_US, amount=1.0),
    ])  # fmt: skip
    assert (found["orders"], found["order_days"], found["money"]) == (4, 2, 61.0)
    assert (found["last_amount"], found["max_amount"]) == (30.0, 30.0)  # two in one instant: the larger
    assert found["log_money"] == pytest.approx(math.log(11) + math.log(31) + math.log(21) + math.log(2))
    assert (found["discounted"], found["discount"], found["member_benefits"]) == (1, 2.0, 1)
    assert (found["first_order"], found["last_order"]) == (T0 / DAY_US, T0 / DAY_US + 1)


def test_an_order_that_does_not_count_leaves_no_order() -> None:
    found = remembered([order("c", T0, action=OrderAction.RETURNED, amount=10.0)], counts=False)
    assert (found["orders"], found["money"], found["returns"]) == (0, 0, 1)
    assert found["last_order"] == NEVER
    assert found["last_seen"] == T0 / DAY_US


@pytest.mark.parametrize(("hours", "late"), [(-1, 0), (0, 0), (1, 1)])
def test_a_delivery_is_late_after_the_promised_time(hours: int, late: int) -> None:
    promised = order("c", T0).occurred_at
    delivered = order("c", T0 + hours * DAY_US // 24).occurred_at
    event = order("c", T0, action=OrderAction.DELIVERED, promised_at=promised, delivered_at=delivered)
    assert remembered([event], counts=False)["late_deliveries"] == late


def test_browsing_and_carts_are_counted() -> None:
    found = remembered([
        browsing("c", T0, category="shoes", load_seconds=3.0, search_results=0, available=False, recommended=True),
        browsing("c", T0 + 1, category="shoes", load_seconds=2.9, search_results=4, available=True),
        cart("c", T0 + 2, action=CartAction.FAVOURITE),
        cart("c", T0 + 3, action=CartAction.CHECKOUT_STARTED),
        cart("c", T0 + 4, action=CartAction.CHECKOUT_ABANDONED),
        cart("c", T0 + 5, action=CartAction.PAYMENT_FAILED, available=False),
    ])  # fmt: skip
    names = ["browsings", "slow_pages", "empty_searches", "unavailable", "recommended"]
    assert [found[name] for name in names] == [2, 1, 1, 2, 1]
    assert [found[name] for name in ["carts", "favourites", "checkouts", "abandoned", "payment_failures"]] == [
        4,
        1,
        1,
        1,
        1,
    ]
    assert int(found["categories"]).bit_count() == 1


def test_dissatisfaction_is_counted_by_its_form() -> None:
    found = remembered([
        complaint("c", T0, form=ComplaintForm.LOW_REVIEW),
        complaint("c", T0 + 1, form=ComplaintForm.SURVEY, rating=2.0),
        complaint("c", T0 + 3, form=ComplaintForm.UNSUBSCRIBE),
        complaint("c", T0 + 4, action=ComplaintAction.RESOLVED, complaint_id="a"),
    ])  # fmt: skip
    assert [found[name] for name in ["complaints", "low_reviews", "unsubscribes"]] == [3, 2, 1]
    assert found["last_complaint"] == (T0 + 3) / DAY_US


PLEASED: list[dict[str, Any]] = [
    {"rating": 3.0},
    {"rating": 2.5},
    {"rating": 5.0},
    *({"form": form, "rating": 5.0} for form in ComplaintForm if form not in ACTS),
    {"action": ComplaintAction.REOPENED, "rating": 4.0},
    {"form": ComplaintForm.SURVEY},
    {"form": ComplaintForm.SURVEY, "text": "差"},
    {"action": ComplaintAction.OTHER},
    {"form": ComplaintForm.LOW_REVIEW, "action": ComplaintAction.RESOLVED, "rating": 1.0},
    {"form": ComplaintForm.SURVEY, "action": ComplaintAction.ANSWERED, "rating": 1.0},
]


@pytest.mark.parametrize("fields", PLEASED, ids=str)
def test_other_complaint_events_change_only_last_seen(fields: dict[str, Any]) -> None:
    seen = {"first_seen", "last_seen"}
    found = remembered([complaint("c", T0, complaint_id="k", **fields)])
    assert {name: value for name, value in found.items() if name not in seen} == {
        name: value for name, value in remembered([]).items() if name not in seen
    }


@pytest.mark.parametrize("form", ACTS)
def test_actions_count_with_any_rating(form: ComplaintForm) -> None:
    found = remembered([complaint("c", T0, form=form, rating=5.0)])
    assert (found["complaints"], found["low_reviews"]) == (1, 0)


@pytest.mark.parametrize("form", list(ComplaintForm))
@pytest.mark.parametrize("rating", [1.0, 2.0])
def test_a_low_rating_is_dissatisfaction_in_every_form(form: ComplaintForm, rating: float) -> None:
    found = remembered([complaint("c", T0, form=form, rating=rating)])
    assert (found["complaints"], found["low_reviews"]) == (1, 1)
    assert found["decayed_complaint_7d"] == 1


@given(st.permutations(range(8)))
def test_the_vector_does_not_depend_on_the_order_of_arrival(places: list[int]) -> None:
    events: list[CustomerEvent] = [
        order("c", T0, amount=5.0),
        order("c", T0 + DAY_US, amount=9.0),
        order("c", T0 + 3 * DAY_US, amount=7.0),
        browsing("c", T0 + 2 * DAY_US, category="a"),
        browsing("c", T0 + 4, category="b"),
        cart("c", T0 + 2 * DAY_US),
        complaint("c", T0 + DAY_US, complaint_id="x"),
        complaint("c", T0 + 2 * DAY_US, complaint_id="x", action=ComplaintAction.RESOLVED),
    ]
    assert remembered([events[place] for place in places]) == pytest.approx(remembered(events), rel=1e-12, abs=1e-9)


# --- complaints one by one -------------------------------------------------------------------------------------------


def opened(events: list[Complaint]) -> list[float]:
    vector = new_vector()
    for event in events:
        apply_event(vector, event, event.at, 0, False)
    return sorted(day for day in open_since(np.array([vector]))[0].tolist() if day > NEVER)


def test_a_complaint_is_open_until_resolved_and_again_when_reopened() -> None:
    day = T0 // DAY_US
    steps = [
        complaint("c", T0, complaint_id="a"),
        complaint("c", T0 + DAY_US, complaint_id="a", action=ComplaintAction.ANSWERED),
        complaint("c", T0 + 2 * DAY_US, complaint_id="a", action=ComplaintAction.RESOLVED),
        complaint("c", T0 + 3 * DAY_US, complaint_id="a", action=ComplaintAction.REOPENED),
    ]
    assert [opened(steps[:n]) for n in range(1, 5)] == [[day], [day], [], [day + 3]]


def test_steps_of_complaints_may_arrive_in_any_order() -> None:
    steps: list[CustomerEvent] = [
        complaint("c", T0 + at * DAY_US, complaint_id=case, action=action)
        for at, case, action in [
            (0, "a", ComplaintAction.OPENED),
            (1, "b", ComplaintAction.OPENED),
            (2, "a", ComplaintAction.ANSWERED),
            (3, "a", ComplaintAction.RESOLVED),
            (4, "c", ComplaintAction.OPENED),
        ]
    ]
    wanted = remembered(steps)
    assert opened([step for step in steps if isinstance(step, Complaint)]) == [T0 // DAY_US + 1, T0 // DAY_US + 4]
    for shuffled in permutations(steps):
        assert remembered(list(shuffled)) == pytest.approx(wanted, rel=1e-12)


def test_a_step_without_a_complaint_id_belongs_to_the_order() -> None:
    first = complaint("c", T0, order_id="o1")
    assert opened([first, complaint("c", T0 + 1, order_id="o2", action=ComplaintAction.RESOLVED)]) == [T0 / DAY_US]
    assert opened([first, complaint("c", T0 + 1, order_id="o1", action=ComplaintAction.RESOLVED)]) == []


def openings(count: int, **fields: Any) -> list[Complaint]:
    """Return one complaint per day, each with its own id by default."""
    return [complaint("c", T0 + i * DAY_US, **({"complaint_id": str(i)} | fields)) for i in range(count)]


def since(*days: int) -> list[float]:
    return [T0 / DAY_US + day for day in days]


@given(st.permutations(range(CASES + 3)))
def test_the_longest_waiting_complaints_are_kept(places: list[int]) -> None:
    cases = openings(CASES + 3)
    assert opened([cases[place] for place in places]) == since(*range(CASES))


def test_closed_and_answered_complaints_are_dropped_first() -> None:
    cases = openings(CASES)
    for action in (ComplaintAction.RESOLVED, ComplaintAction.ANSWERED):
        done = complaint("c", T0 + CASES * DAY_US, complaint_id="0", action=action)
        new = complaint("c", T0 + (CASES + 1) * DAY_US, complaint_id="new")
        assert opened([*cases, done, new]) == since(1, 2, 3, CASES + 1)
    for step in (ComplaintAction.ANSWERED, ComplaintAction.RESOLVED):  # of a complaint that was forgotten
        assert opened([*cases, complaint("c", T0 + 9 * DAY_US, complaint_id="x", action=step)]) == since(0, 1, 2, 3)


def test_an_expired_open_complaint_is_dropped() -> None:
    vector = new_vector()
    for event in openings(CASES + 3):
        apply_event(vector, event, event.at, 0, False, followed_days=CASES + 1)
    assert sorted(open_since(np.array([vector]))[0].tolist()) == since(1, 2, 3, 6)


@pytest.mark.parametrize("name", ["a", None])
@pytest.mark.parametrize("action", [ComplaintAction.OPENED, ComplaintAction.REOPENED])
def test_a_repeated_complaint_is_open_since_its_first_opening(name: str | None, action: ComplaintAction) -> None:
    steps = [*openings(1, complaint_id=name), *openings(9, complaint_id=name, action=action)[1:]]
    assert [opened(steps[:n]) for n in range(1, 10)] == [since(0)] * 9
    other = complaint("c", T0 + 20 * DAY_US, complaint_id="other")
    assert opened([*steps, other]) == since(0, 20)
    answer = complaint("c", T0 + 7 * DAY_US + 1, complaint_id=name, action=ComplaintAction.ANSWERED)
    assert opened([*steps, answer]) == since(8)  # the answer came late: what was opened after it still waits


@st.composite
def case_steps(draw: st.DrawFn) -> list[Complaint]:
    """Return up to CASES openings of three complaints, with any number of answers and resolutions."""
    wanted = draw(st.lists(st.sampled_from("ab "), min_size=1, max_size=CASES))
    actions = [ComplaintAction.ANSWERED, ComplaintAction.RESOLVED]
    steps = [(name, ComplaintAction.OPENED) for name in wanted]
    steps += draw(st.lists(st.tuples(st.sampled_from(wanted), st.sampled_from(actions)), max_size=5))
    times = draw(st.lists(st.integers(0, 9), min_size=len(steps), max_size=len(steps)))
    return [
        complaint("c", T0 + at * DAY_US, complaint_id=name.strip() or None, action=action)
        for (name, action), at in zip(steps, times, strict=True)
    ]


@given(case_steps(), st.randoms(use_true_random=False))
def test_openings_and_steps_may_arrive_in_any_order(steps: list[Complaint], rng: random.Random) -> None:
    shuffled = rng.sample(steps, len(steps))
    found, wanted = remembered([*shuffled]), remembered([*steps])
    cases = [name for name in SLOTS if name.startswith("complaint_")]
    assert {name: found[name] for name in cases} == {name: wanted[name] for name in cases}
    for name in {step.complaint_id for step in steps}:
        own = [step for step in steps if step.complaint_id == name]
        done = max((one.at for one in own if one.action in HANDLING), default=0)
        waits = [one.at for one in own if one.action not in HANDLING and one.at > done]
        assert not waits or min(waits) / DAY_US in opened(shuffled)


# --- recent events ---------------------------------------------------------------------------------------------------


def test_recent_ids_are_kept_and_no_more() -> None:
    customer, rng = Customer("c", 0), random.Random(1)
    names = [f"e{i}" for i in range(100)]
    rng.shuffle(names)
    assert [customer.is_duplicate(name) for name in names] == [False] * 100
    assert len(customer.ids) == ID_BYTES * ID_RING
    assert all(customer.is_duplicate(name) for name in names[-ID_RING:])
    assert not customer.is_duplicate(names[0])


@pytest.mark.parametrize("name", ["e1", "订单-1", "\ud800"])
def test_a_recent_id_is_stored_as_the_low_bytes_of_its_hash(name: str) -> None:
    customer, key = Customer("c", 0), xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass"))
    assert not customer.is_duplicate(name)
    assert customer.ids == (key & ((1 << 8 * ID_BYTES) - 1)).to_bytes(ID_BYTES, "little")


def test_the_end_of_one_hash_and_the_start_of_the_next_are_no_id() -> None:
    one, (known, other) = Customer("e", 0), (Customer("c", 0), Customer("d", 0))
    assert not one.is_duplicate("e1")
    known.ids = b"\0\0" + one.ids + b"\0\0\0"
    other.ids = b"\0\0" + one.ids + b"\0\0\0" + one.ids
    assert not known.is_duplicate("e1")
    assert other.is_duplicate("e1")


def test_slots_have_unique_names() -> None:
    assert len(set(SLOTS)) == len(SLOTS) == len(EMPTY) == len(SLOT)
    assert MAX_LATENESS_DAYS < RING
