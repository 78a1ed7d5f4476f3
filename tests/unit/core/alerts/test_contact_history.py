"""What is remembered of contacts is bounded, does not depend on their order, and names the rule that forbids a call."""

from __future__ import annotations

import msgspec
from hypothesis import given, strategies as st

from stream_app.core.alerts.contact_history import (
    CONTACT_LIMIT,
    COOLDOWN,
    NO_HISTORY,
    OPT_OUT,
    WEEK_US,
    ContactHistory,
)
from stream_app.core.policy.policy import MAX_PER_WEEK, Cases, Contacts, Policy
from stream_app.core.units import DAY_US, HOUR_US
from tests.harness.shops import PLANNED, T0

SHOP = PLANNED.with_policy(
    Policy(cases=Cases(cooldown=3 * DAY_US), contacts=Contacts(per_week=2, rest_after_opt_out=20 * DAY_US))
)


def history_of(contacts: list[int]) -> ContactHistory:
    history = NO_HISTORY
    for at in contacts:
        history = history.after_contact(at)
    return history


@given(st.lists(st.integers(0, 40).map(lambda half: T0 + half * 12 * HOUR_US), max_size=20), st.randoms())
def test_contacts_are_those_of_the_last_week_in_whatever_order_they_came(times: list[int], rng: object) -> None:
    shuffled = sorted(times, key=lambda _: rng.random())  # type: ignore[attr-defined]
    wanted = sorted({at for at in times if at > max(times) - WEEK_US})[-MAX_PER_WEEK:]
    assert list(history_of(shuffled).contacts) == wanted


def test_a_call_is_a_contact() -> None:
    history = NO_HISTORY.after_call(T0).after_contact(T0 + DAY_US)
    assert history.contacts == (T0, T0 + DAY_US)
    assert history.has_call_since(T0 - 1)
    assert not history.has_call_since(T0)


def test_a_cooldown_follows_the_last_case() -> None:
    history = NO_HISTORY.after_case(T0).after_case(T0 - DAY_US)
    assert history.obstacle(T0 + 3 * DAY_US - 1, SHOP) == COOLDOWN
    assert history.obstacle(T0 + 3 * DAY_US, SHOP) == ""


def test_the_limit_is_for_any_seven_days() -> None:
    history = history_of([T0, T0 + DAY_US])
    assert history.obstacle(T0 + WEEK_US - 1, SHOP) == CONTACT_LIMIT
    assert history.obstacle(T0 + WEEK_US, SHOP) == ""
    assert history_of([T0]).obstacle(T0, SHOP) == ""


def test_a_customer_who_unsubscribed_is_left_alone() -> None:
    history = NO_HISTORY.after_opt_out(T0).after_opt_out(T0 - DAY_US)
    assert history.obstacle(T0 + 20 * DAY_US - 1, SHOP) == OPT_OUT
    assert history.obstacle(T0 + 20 * DAY_US, SHOP) == ""


def test_a_customer_who_agreed_again_may_be_called() -> None:
    history = NO_HISTORY.after_opt_out(T0)
    assert history.obstacle(T0 + DAY_US, SHOP, opted_in_at=T0 - 1) == OPT_OUT
    assert history.obstacle(T0 + DAY_US, SHOP, opted_in_at=T0) == ""


def test_nothing_known_forbids_nothing() -> None:
    assert NO_HISTORY.obstacle(T0, SHOP) == ""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(NO_HISTORY), type=ContactHistory) == NO_HISTORY


def test_messages_of_the_shops_tools_count_only_if_the_policy_says_so() -> None:
    counting = PLANNED.with_policy(Policy(contacts=Contacts(per_week=2, count_shop_messages=True)))
    history = NO_HISTORY.after_message(T0).after_contact(T0 + DAY_US)
    assert history.obstacle(T0 + 2 * DAY_US, SHOP) == ""
    assert history.obstacle(T0 + 2 * DAY_US, counting) == CONTACT_LIMIT
    assert history.obstacle(T0 + WEEK_US, counting) == ""  # the message is a week old
    assert not NO_HISTORY.after_message(T0).has_call_since(T0 - DAY_US), "a message is not a call"


@given(st.lists(st.integers(0, 40).map(lambda half: T0 + half * 12 * HOUR_US), max_size=20))
def test_messages_are_bounded_like_contacts(times: list[int]) -> None:
    history = NO_HISTORY
    for at in times:
        history = history.after_message(at)
    assert history.messages == history_of(times).contacts
