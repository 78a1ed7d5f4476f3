"""What becomes of alerts on their way to the staff: the pure core, with time as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from stream_app.core.causes.explanation import Cause, Explanation
from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused, Retry
from stream_app.core.delivery.quiet_hours import QuietHours, digest_due
from stream_app.core.delivery.records import (
    CLOSED,
    DEAD,
    EXPIRED,
    PENDING,
    REMOVED,
    SENT,
    SHADOW,
    SUPPRESSED,
    Delivery,
    DeliveryState,
    MessageText,
    OutboundMessage,
    decode_record,
)
from stream_app.core.delivery.retry import (
    GIVE_UP_AFTER,
    SCHEDULE,
    Limit,
    Retries,
    free_at,
    remembered,
)
from stream_app.core.delivery.routing import DIGEST, URGENT, Policy, Route
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.messages.alerts import AlertClosed, AlertHeldOut, AlertMessage, AlertOpened
from stream_app.core.units import EPOCH, HOUR_US, MICROSECOND, MINUTE_US, SECOND_US

DAY: Final = 24 * HOUR_US
NOW: Final = 20_000 * DAY + 9 * HOUR_US  # 09:00 UTC, the desk's moment
SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


class Plain:
    """A writer whose digests hold two alerts each, and that counts how often it is asked."""

    asked = 0

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        self.asked += 1
        return MessageText(alert.alert_id, f"**{alert.alert_id}**", f"{alert.alert_id} {route.language}")

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        pairs = [alerts[start : start + 2] for start in range(0, len(alerts), 2)]
        return [(MessageText("digest", "", route.language), tuple(one.alert_id for one in pair)) for pair in pairs]


def alert(name: str, at: int = NOW, **fields: Any) -> AlertOpened:
    opened_at = EPOCH + at * MICROSECOND
    told = {"rank": 1, "probability": 0.8, "monthly_worth": 10.0, "silent_days": 30.0, "usual_gap_days": None}
    given = {"expires_at": opened_at + timedelta(days=14), "source": "model", "version": 1}
    return AlertOpened(**{"alert_id": name, "customer_id": "ann", "opened_at": opened_at, **told, **given, **fields})


def urgent(name: str, at: int = NOW, **fields: Any) -> AlertOpened:
    return alert(name, at, urgent=True, **fields)


def closed(name: str, at: int = NOW) -> AlertClosed:
    return AlertClosed(name, "ann", EPOCH + at * MICROSECOND, "returned")


class Notifier:
    """A scheduler whose store is a dict: every change is stored at once."""

    def __init__(self, *routes: Route, writer: Plain | None = None, **policy: Any) -> None:
        self.writer = writer or Plain()
        self.routes = routes or (Route("team"),)
        self.policy = Policy(**{"live": True, **policy})
        self.deliveries: dict[str, bytes] = {}
        self.messages: dict[str, bytes] = {}
        self.channels: dict[str, bytes] = {}
        self.number, self.position, self.offset = 0, b"", 0
        self.scheduler = DeliveryScheduler(self.routes, self.policy, self.writer)

    def restart(self, *routes: Route) -> Notifier:
        """As after a crash: a new scheduler over what is stored."""
        self.routes = routes or self.routes
        pending = [value for value in self.deliveries.values() if decode_record(value, Delivery).state == PENDING]
        wanted = {decode_record(value, Delivery).message for value in pending} - {""}
        messages = [self.messages[name] for name in wanted]
        self.scheduler = DeliveryScheduler(self.routes, self.policy, self.writer)
        self.scheduler.begin(DeliveryState(self.number, self.position, pending, messages, dict(self.channels)), NOW)
        return self

    def store(self) -> None:
        changes = self.scheduler.take_changes()
        if changes is None:
            return
        assert changes.base == self.number
        self.number, self.position = changes.base + 1, changes.position
        self.deliveries |= changes.deliveries
        self.channels |= changes.channels
        for name, value in changes.messages.items():
            if value is None:
                self.messages.pop(name, None)
            else:
                self.messages[name] = value
        self.scheduler.confirm(changes)

    def take(self, *messages: AlertMessage, now: int = NOW) -> None:
        self.offset += len(messages)
        known = {name for one in messages for name in self.scheduler.delivery_ids(one)} & set(self.deliveries)
        self.scheduler.add_alerts(0, self.offset, messages, known, now)
        self.store()

    def due(self, now: int = NOW, channel: str = "team") -> OutboundMessage | None:
        if self.scheduler.write_digest(channel, now):
            self.store()
        message = self.scheduler.next_message(channel, now)
        self.store()
        return message

    def answer(self, answer: Answer, now: int = NOW, channel: str = "team") -> OutboundMessage:
        message = self.due(now, channel)
        assert message is not None
        self.scheduler.record_answer(message.id, answer, now, now)
        self.store()
        return message

    def states(self) -> dict[str, tuple[str, str]]:
        read = [decode_record(value, Delivery) for value in self.deliveries.values()]
        return {one.id: (one.state, one.reason) for one in read}


# --- what an alert makes ---------------------------------------------------------------------------------------------


def test_an_urgent_alert_goes_at_once_and_alone() -> None:
    notifier = Notifier(Route("team"), Route("boss", language="zh"))
    notifier.take(urgent("a"))
    message = notifier.answer(Delivered())
    assert (message.id, message.deliveries, message.title, message.alert) == ("a:team", ("a:team",), "a", urgent("a"))
    assert notifier.answer(Delivered(), channel="boss").plain == "a zh"
    assert notifier.states() == {"a:team": (SENT, ""), "a:boss": (SENT, "")}
    assert notifier.messages == {}
    assert notifier.due() is None


def test_the_rest_goes_as_a_digest_when_the_days_alerts_have_come() -> None:
    notifier = Notifier(settle=60 * SECOND_US, settle_at_most=600 * SECOND_US)
    notifier.take(alert("a"), alert("b"), now=NOW + 5 * SECOND_US)
    assert notifier.due(NOW + 50 * SECOND_US) is None
    notifier.take(alert("c"), now=NOW + 50 * SECOND_US)  # of a slower partition
    assert notifier.due(NOW + 109 * SECOND_US) is None
    assert notifier.scheduler.wake_at("team", NOW + 109 * SECOND_US) == NOW + 110 * SECOND_US
    first, second = (
        notifier.answer(Delivered(), NOW + 110 * SECOND_US),
        notifier.answer(Delivered(), NOW + 110 * SECOND_US),
    )
    assert {first.deliveries, second.deliveries} == {("a:team", "b:team"), ("c:team",)}
    assert {state for state, _ in notifier.states().values()} == {SENT}


def test_a_digest_waits_no_longer_than_it_may() -> None:
    notifier = Notifier(settle=60 * SECOND_US, settle_at_most=100 * SECOND_US)
    for place in range(6):
        notifier.take(alert(f"a{place}"), now=NOW + 30 * SECOND_US * place)
    assert notifier.scheduler.wake_at("team", NOW) == NOW + 100 * SECOND_US


@pytest.mark.parametrize(("opened", "due"), [(NOW, NOW), (NOW + 1, NOW + DAY), (NOW - HOUR_US, NOW)])
def test_a_digest_is_due_at_the_first_digest_hour_from_the_opening_on(opened: int, due: int) -> None:
    assert digest_due(opened, 9, ZoneInfo("UTC")) == due


def test_the_digest_hour_is_the_shops() -> None:
    assert digest_due(NOW, 9, SHANGHAI) == NOW + 16 * HOUR_US  # 17:00 there


def test_an_alert_of_tomorrows_digest_does_not_hold_up_todays() -> None:
    notifier = Notifier()
    notifier.take(alert("a"), now=NOW)
    notifier.take(alert("late", NOW + HOUR_US), now=NOW + 59 * SECOND_US)
    assert notifier.answer(Delivered(), NOW + 60 * SECOND_US).deliveries == ("a:team",)
    assert notifier.due(NOW + DAY - 1) is None
    assert notifier.answer(Delivered(), NOW + DAY + SECOND_US).deliveries == ("late:team",)


def test_who_is_told_what() -> None:
    price = Explanation("loyal", (Cause("price", 0.6), Cause("logistics", 0.3)))
    routes = [
        Route("urgent", alerts=URGENT),
        Route("rest", alerts=DIGEST),
        Route("shop", shops=frozenset({"s2"})),
        Route("cause", causes=frozenset({"price"})),
    ]
    blind = alert("b", find_out=True)  # its cause is hidden, not another one
    messages = [urgent("u"), alert("d", shop_id="s2"), alert("p", explanation=price), alert("n"), blind]
    notifier = Notifier(*routes)
    notifier.take(*messages)
    told = {"u:urgent", "d:rest", "d:shop", "p:rest", "p:cause", "n:rest", "b:rest", "b:cause"}
    assert set(notifier.states()) == told


def test_a_program_gets_every_alert_by_itself_when_it_comes() -> None:
    notifier = Notifier(Route("team", each=True))
    notifier.take(alert("a"), alert("b"))
    assert {notifier.answer(Delivered()).id, notifier.answer(Delivered()).id} == {"a:team", "b:team"}


def test_an_alert_that_is_told_twice_is_delivered_once() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"), urgent("a"))
    notifier.take(urgent("a"))
    notifier.answer(Delivered())
    notifier.take(urgent("a"))
    assert notifier.due() is None
    assert notifier.states() == {"a:team": (SENT, "")}


def test_who_is_held_out_is_announced_to_nobody() -> None:
    one = alert("a1")
    left = AlertHeldOut("a2", "bob", one.opened_at, one.expires_at, "spring", 0.8, 10.0, 0.7)
    notifier = Notifier(Route("team"), Route("robot", each=True))
    assert notifier.scheduler.delivery_ids(left) == []
    notifier.take(left, closed("a2"))
    assert notifier.deliveries == {}
    assert notifier.scheduler.position


def test_the_position_only_grows() -> None:
    notifier = Notifier()
    notifier.scheduler.add_alerts(3, 10, [], set(), NOW)
    notifier.scheduler.add_alerts(3, 7, [], set(), NOW)
    notifier.scheduler.add_alerts(1, 2, [], set(), NOW)
    notifier.store()
    assert notifier.restart().scheduler.position == {3: 10, 1: 2}


# --- what is not sent ------------------------------------------------------------------------------------------------


def test_what_comes_too_late_is_recorded_and_calls_nobody() -> None:
    notifier = Notifier()
    notifier.take(urgent("old", NOW - 14 * DAY), alert("older", NOW - 400 * DAY))
    assert notifier.due() is None
    assert notifier.states() == {"old:team": (SUPPRESSED, EXPIRED), "older:team": (SUPPRESSED, EXPIRED)}


def test_what_expires_while_it_waits_is_not_sent() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"), alert("b"))
    assert notifier.due(NOW + 15 * DAY) is None
    assert set(notifier.states().values()) == {(SUPPRESSED, EXPIRED)}
    assert notifier.messages == {}


def test_who_has_come_back_is_not_called() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"), alert("b"))
    notifier.take(closed("a"), closed("b"), closed("unknown"))
    assert notifier.due(NOW + HOUR_US) is None
    assert notifier.states() == {"a:team": (SUPPRESSED, CLOSED), "b:team": (SUPPRESSED, CLOSED)}


def test_a_closing_meets_a_message_under_way() -> None:
    ends: list[tuple[Answer, tuple[str, str]]] = [(Delivered(), (SENT, "")), (Retry("down"), (SUPPRESSED, CLOSED))]
    for answer, state in ends:
        notifier = Notifier()
        notifier.take(urgent("a"))
        message = notifier.due()
        assert message is not None
        notifier.take(closed("a"))
        notifier.scheduler.record_answer(message.id, answer, NOW, NOW)
        notifier.store()
        assert notifier.states() == {"a:team": state}


def test_in_shadow_everything_is_recorded_and_nothing_delivered() -> None:
    notifier = Notifier(live=False)
    notifier.take(urgent("a"), alert("b"))
    assert notifier.due(NOW + HOUR_US) is None
    assert notifier.states() == {"a:team": (SUPPRESSED, SHADOW), "b:team": (SUPPRESSED, SHADOW)}
    assert notifier.scheduler.outcomes["team", SUPPRESSED, SHADOW] == 2


def test_quiet_hours_hold_back_until_they_end() -> None:
    night = QuietHours(time(22), time(8), SHANGHAI)  # 14:00 to 24:00 UTC
    notifier = Notifier(Route("team", quiet=night))
    evening = NOW + 6 * HOUR_US
    notifier.take(urgent("a", evening), now=evening)
    assert notifier.due(evening) is None
    assert notifier.scheduler.wake_at("team", evening) == NOW + 15 * HOUR_US
    assert notifier.answer(Delivered(), NOW + 15 * HOUR_US).id == "a:team"


@pytest.mark.parametrize(
    ("begin", "end", "hour", "ends"),
    [(12, 14, 13, 14), (12, 14, 14, None), (22, 8, 23, 32), (22, 8, 7, 8), (22, 8, 8, None), (22, 8, 21, None)],
)
def test_when_it_is_quiet(begin: int, end: int, hour: int, ends: int | None) -> None:
    found = QuietHours(time(begin), time(end), ZoneInfo("UTC")).ends(hour * HOUR_US)
    assert found == (None if ends is None else ends * HOUR_US)


# --- trying again ----------------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_with_the_same_id_and_words() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"))
    first = notifier.answer(Retry("down"))
    asked = notifier.writer.asked
    at = notifier.scheduler.wake_at("team", NOW)
    assert at is not None
    assert NOW < at <= NOW + SCHEDULE[0]
    assert notifier.due(at - 1) is None
    second = notifier.restart().answer(Delivered(), at)
    assert (second.id, second.title, second.markdown, second.plain) == (
        *(first.id, first.title, first.markdown),
        first.plain,
    )
    assert (second.attempts, second.problem) == (1, "down")
    assert notifier.writer.asked == asked


def test_a_digest_is_the_same_message_after_a_crash() -> None:
    notifier = Notifier()
    notifier.take(alert("a"), alert("b"), alert("c"))
    at = NOW + 60 * SECOND_US
    first, second = notifier.due(at), notifier.due(at)
    assert first is not None
    assert second is not None
    notifier.restart()
    again = {
        message.id: message.deliveries
        for message in [notifier.answer(Delivered(), at), notifier.answer(Delivered(), at)]
    }
    assert again == {first.id: first.deliveries, second.id: second.deliveries}


def test_who_asks_for_time_gets_it() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"))
    notifier.answer(Retry("busy", after=HOUR_US))
    at = notifier.scheduler.wake_at("team", NOW)
    assert at is not None
    assert NOW + HOUR_US <= at <= NOW + HOUR_US * 1.1


@given(st.text(max_size=20), st.integers(1, 40), st.integers(0, GIVE_UP_AFTER))
def test_pauses_stay_within_the_schedule_and_the_patience(name: str, failures: int, since: int) -> None:
    now = NOW + since
    at = Retries().next_try(name, failures, NOW, now)
    if at is not None:
        assert now < at <= now + SCHEDULE[min(failures, len(SCHEDULE)) - 1]
        assert at <= NOW + GIVE_UP_AFTER
    assert at == Retries().next_try(name, failures, NOW, now)  # chance is a hash


def test_a_receiver_that_wants_to_be_left_alone_for_too_long_is_tried_a_last_time() -> None:
    retries = Retries(give_up_after=DAY)
    last = retries.next_try("a", 1, NOW, NOW, after=7 * DAY)
    assert last == NOW + DAY
    assert retries.next_try("a", 2, NOW, last, after=7 * DAY) is None
    assert retries.next_try("a", 2, NOW, last + 1) is None


def test_chance_spreads_the_attempts() -> None:
    pauses = [(Retries().next_try(f"a{place}", 3, NOW, NOW) or 0) - NOW for place in range(1_000)]
    assert 0.45 < sum(pauses) / len(pauses) / SCHEDULE[2] < 0.55
    assert min(pauses) < SCHEDULE[2] / 20
    assert max(pauses) > SCHEDULE[2] * 0.95


def test_patience_goes_over_days_and_ends() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"))
    now, tries = NOW, 0
    while notifier.scheduler.messages:
        notifier.answer(Retry("down"), now)
        tries += 1
        now = notifier.scheduler.wake_at("team", now) or now
    assert now > NOW + DAY
    assert notifier.states()["a:team"][0] == DEAD
    assert notifier.states()["a:team"][1] == f"given up after {tries} attempts: down"


def test_what_is_refused_is_dead_at_once() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"))
    notifier.answer(Refused("code 310000", "check the secret"))
    assert notifier.states() == {"a:team": (DEAD, "code 310000")}
    assert notifier.scheduler.dead == 1
    assert notifier.messages.keys() == {"a:team"}  # to be redriven


def test_nothing_is_sent_to_a_channel_that_is_closed_until_it_is_opened() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"), urgent("b"))
    notifier.answer(Gone("410"))
    assert notifier.due() is None
    notifier.restart().take(urgent("c"))
    assert notifier.due() is None
    assert {state for state, _ in notifier.states().values()} == {DEAD}
    assert notifier.scheduler.enable("team")
    assert not notifier.scheduler.enable("unknown")
    notifier.restart()  # what is not stored is not so
    notifier.take(urgent("d"))
    assert notifier.due() is None
    notifier.scheduler.enable("team")
    notifier.take(urgent("e"))
    assert notifier.answer(Delivered()).id == "e:team"


def redrive(notifier: Notifier, *names: str, now: int = NOW) -> int:
    deliveries = [decode_record(notifier.deliveries[name], Delivery) for name in names]
    messages = {name: decode_record(value, OutboundMessage) for name, value in notifier.messages.items()}
    count = notifier.scheduler.redrive(deliveries, messages, now)
    notifier.store()
    return count


def test_what_is_dead_can_be_redriven_with_the_same_id() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"))
    notifier.answer(Refused("bad", ""))
    notifier.restart()
    assert redrive(notifier, "a:team") == 1
    assert redrive(notifier, "a:team") == 0  # it is not dead any more
    message = notifier.answer(Delivered())
    assert (message.id, message.attempts) == ("a:team", 0)
    assert notifier.states() == {"a:team": (SENT, "")}


def test_what_has_expired_is_suppressed_when_it_is_redriven() -> None:
    notifier = Notifier()
    notifier.take(urgent("a"))
    notifier.answer(Refused("bad", ""))
    redrive(notifier, "a:team", now=NOW + 20 * DAY)
    assert notifier.due(NOW + 20 * DAY) is None
    assert notifier.states() == {"a:team": (SUPPRESSED, EXPIRED)}


def test_what_waits_for_a_channel_that_was_taken_out_ends() -> None:
    notifier = Notifier(Route("team"), Route("old"))
    notifier.take(urgent("a"), alert("b"))
    notifier.restart(Route("team"))
    notifier.store()
    assert {name: state for name, state in notifier.states().items() if name.endswith(":old")} == {
        "a:old": (SUPPRESSED, REMOVED),
        "b:old": (SUPPRESSED, REMOVED),
    }
    assert notifier.answer(Delivered()).id == "a:team"


# --- limits ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 40 * SECOND_US), min_size=1, max_size=80))
def test_no_window_ever_holds_more_than_its_limit(gaps: list[int]) -> None:
    limits = [Limit(20, MINUTE_US), Limit(3, SECOND_US)]
    now, sent, all_sent = NOW, list[int](), list[int]()
    for gap in gaps:
        now = free_at(limits, sent, now + gap)
        sent = [*remembered(limits, sent, now), now]
        all_sent.append(now)
    for limit in limits:
        for first, last in zip(all_sent, all_sent[limit.count :], strict=False):
            assert last - first >= limit.span


def test_a_limit_is_kept_over_a_restart() -> None:
    notifier = Notifier(Route("team", limits=(Limit(2, MINUTE_US),)))
    notifier.take(urgent("a"), urgent("b"), urgent("c"))
    notifier.answer(Delivered())
    notifier.answer(Delivered(), NOW + SECOND_US)
    assert notifier.restart().due(NOW + 2 * SECOND_US) is None
    assert notifier.scheduler.wake_at("team", NOW + 2 * SECOND_US) == NOW + 63 * SECOND_US
    assert notifier.answer(Delivered(), NOW + 63 * SECOND_US).attempts == 0


def test_one_dead_receiver_delays_nobody_else() -> None:
    notifier = Notifier(Route("dead"), Route("team"))
    notifier.take(*(urgent(f"a{place}") for place in range(3)))
    for _ in range(3):
        notifier.answer(Retry("down", after=HOUR_US), channel="dead")
    assert notifier.due(channel="dead") is None
    assert [notifier.answer(Delivered()).channel for _ in range(3)] == ["team"] * 3


def test_an_urgent_message_goes_before_one_of_the_same_moment() -> None:
    notifier = Notifier(Route("team", each=True))
    notifier.take(alert("a"), urgent("b"))
    assert notifier.answer(Delivered()).id == "b:team"


def test_a_writer_that_leaves_an_alert_out_does_not_lose_it() -> None:
    class Forgetful(Plain):
        def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
            return super().digest(alerts[:1], route)

    notifier = Notifier(writer=Forgetful())
    notifier.take(alert("a"), alert("b"))
    at = NOW + 60 * SECOND_US
    assert {notifier.answer(Delivered(), at).deliveries, notifier.answer(Delivered(), at).deliveries} == {
        ("a:team",),
        ("b:team",),
    }


# --- crashes anywhere ------------------------------------------------------------------------------------------------

ANSWERS: Final = st.sampled_from([Delivered(), Retry("down"), Retry("busy", 5 * SECOND_US), Refused("bad", "mend")])


@given(st.lists(st.tuples(st.sampled_from(["send", "send", "crash", "lost"]), ANSWERS), max_size=60))
def test_whatever_crashes_every_alert_ends_and_what_was_sent_was_sent_under_its_id(
    moves: list[tuple[str, Answer]],
) -> None:
    notifier = Notifier(retries=Retries((SECOND_US,), HOUR_US))
    notifier.take(*(urgent(f"u{place}") for place in range(4)), *(alert(f"d{place}") for place in range(5)))
    arrived: dict[str, tuple[str, ...]] = {}
    now = NOW + 60 * SECOND_US
    for move, answer in [*moves, *[("send", Delivered())] * 200]:
        now += SECOND_US
        message = notifier.due(now)
        if message is None:
            continue
        if isinstance(answer, Delivered):
            assert arrived.setdefault(message.id, message.deliveries) == message.deliveries
        if move == "send":
            notifier.scheduler.record_answer(message.id, answer, now, now)
            notifier.store()
        elif move == "lost":  # noted, and dead before it is stored
            notifier.scheduler.record_answer(message.id, answer, now, now)
            notifier.restart()
        else:
            notifier.restart()
    states = notifier.states()
    assert len(states) == 9
    assert {state for state, _ in states.values()} <= {SENT, DEAD}
    sent = {name for name, (state, _) in states.items() if state == SENT}
    assert sent <= {name for names in arrived.values() for name in names}
