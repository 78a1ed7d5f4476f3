"""The simulated staff of the living shop: seeded, by the hidden truth, and no faster than time goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stream_app.core.alerts.staff_actions import ACKED, OUTCOMES, RESOLVED, AlertNote, WorkNote
from stream_app.core.messages.schema import AlertStep
from stream_app.demo.staff import ENDED_AFTER, TEAM, Case, Staff, case_of, outcome_of
from stream_app.notifications.open_alerts import OpenAlert
from stream_app.simulate.truth import Truth
from stream_app.simulate.vocabulary import CAUSES

OPENED = datetime(2026, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SEED = 5
REACHED = Case("Li Na", OPENED, OPENED + 3 * DAY, "reached", says_why=True)


def about(customer: str = "c1", left: timedelta | None = None) -> Truth:
    causes = () if left is None else ("price", "service")
    gone = None if left is None else OPENED + left
    return Truth(customer_id=customer, joined_at=OPENED, left_at=gone, one_time=False, causes=causes, shown=())


def an_open(number: int = 1, owner: str = "") -> OpenAlert:
    note = AlertNote(f"al_{number:032}", f"c{number}", OPENED, OPENED + 14 * DAY, 1, 0.9, 12.0, 40.0)
    return OpenAlert(0, note, WorkNote(owner, OPENED if owner else None))


def said(staff: Staff, one: OpenAlert, at: datetime) -> list[AlertStep]:
    return list(staff.work([one], at))


@pytest.mark.parametrize(
    ("left", "told"),
    [(timedelta(days=-9), ("lost", "price")), (20 * DAY, ("no_action", "price")), (None, ("retained", None))],
)
def test_who_is_reached_is_what_he_is(left: timedelta | None, told: tuple[str, str | None]) -> None:
    assert outcome_of(REACHED, about(left=left), OPENED + 3 * DAY) == told


def test_staff_tend_to_confirm_what_they_are_shown_and_customers_may_say_anything() -> None:
    lost, at = about(left=-DAY), OPENED + 3 * DAY
    agreeing = replace(REACHED, answer=(0.0, 1.0, 0.0, 0.0))
    guessing = replace(REACHED, answer=(1.0, 0.0, 0.0, 0.0))
    assert outcome_of(agreeing, lost, at, ["logistics"]) == ("lost", "logistics")
    assert outcome_of(agreeing, lost, at) == ("lost", "price")  # nothing was shown
    assert outcome_of(guessing, lost, at, ["logistics"]) == ("lost", CAUSES[0])
    assert outcome_of(replace(REACHED, answer=(1.0, 1.0, 0.9, 0.0)), lost, at, ["logistics"]) == ("lost", "service")


def test_a_case_that_is_left_to_run_has_no_verdict_and_one_not_reached_has_no_cause() -> None:
    runs, unreachable = (
        Case("Li Na", OPENED, OPENED, "left alone", says_why=True),
        Case("Li Na", OPENED, OPENED, "unreachable", says_why=True),
    )
    assert outcome_of(runs, about(left=-DAY), OPENED) is None
    assert outcome_of(unreachable, about(left=-DAY), OPENED) == ("unreachable", None)


def test_cases_are_drawn_by_the_seed_and_of_all_kinds() -> None:
    notes = [an_open(number).note for number in range(400)]
    cases = [case_of(note, SEED) for note in notes]
    assert cases == [case_of(note, SEED) for note in notes] != [case_of(note, SEED + 1) for note in notes]
    shares = {handling: count / len(cases) for handling, count in Counter(case.handling for case in cases).items()}
    assert shares == {
        "left alone": pytest.approx(0.45, abs=0.08),
        "unreachable": pytest.approx(0.15, abs=0.08),
        "reached": pytest.approx(0.40, abs=0.08),
    }
    assert {case.owner for case in cases} == set(TEAM)
    assert all(case.acked_at < case.resolved_at for case in cases)


def test_an_urgent_alert_is_never_left_alone() -> None:
    notes = [msgspec.structs.replace(an_open(number).note, urgent=True) for number in range(400)]
    handled = Counter(case_of(note, SEED).handling for note in notes)
    assert handled.keys() == {"unreachable", "reached"}
    assert handled["unreachable"] / len(notes) == pytest.approx(0.15 / 0.55, abs=0.08)


def test_a_case_is_taken_on_and_ended_once_each_when_its_time_has_come() -> None:
    one = next(an_open(number) for number in range(99) if case_of(an_open(number).note, SEED).handling == "reached")
    case, staff = case_of(one.note, SEED), Staff([about(one.note.customer_id, left=-DAY)], SEED)
    assert said(staff, one, case.acked_at - timedelta(seconds=1)) == []
    (ack,) = said(staff, one, case.acked_at)
    assert (ack.action, ack.staff, ack.alert_id, ack.customer_id) == (
        ACKED, case.owner, one.note.alert_id, one.note.customer_id
    )  # fmt: skip
    assert said(staff, one, case.acked_at) == []  # a worker has not applied it yet
    mine = OpenAlert(0, one.note, WorkNote(case.owner, case.acked_at))
    (end,) = said(staff, mine, case.resolved_at)
    assert (end.action, end.outcome) == (RESOLVED, "lost")
    assert end.outcome in OUTCOMES
    assert end.event_id != ack.event_id
    assert said(staff, mine, OPENED + ENDED_AFTER[1]) == []


def test_what_could_not_be_sent_is_said_again_under_the_same_id() -> None:
    one = an_open()
    staff, at = Staff([about()], SEED), case_of(one.note, SEED).acked_at
    first = next(iter(staff.work([one], at)))  # the sender failed: it never came back for more
    assert [step.event_id for step in said(staff, one, at)] == [first.event_id]


def test_the_staff_keeps_its_hands_off_the_cases_of_visitors_and_of_strangers() -> None:
    staff = Staff([about()], SEED)
    assert said(staff, an_open(owner="somebody who tries it"), OPENED + 30 * DAY) == []
    assert said(staff, an_open(2), OPENED + 30 * DAY) == []
