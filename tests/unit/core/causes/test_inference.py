"""Causes of churn: evidence, probabilities, segments and texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.causes.catalogue import CAUSES, FAMILY, ONE_TIME, POOR_EXPERIENCE, REPEAT, problem_of
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.causes.explanation import Explanation
from stream_app.core.causes.inference import MAX_CAUSES, MAX_EVIDENCE, probabilities, read_evidence
from stream_app.core.causes.learning import SHOWING
from stream_app.core.causes.rule import Reading
from stream_app.core.events.schema import KINDS, Event
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import FIELDS
from stream_app.core.state.complaint_kinds import TextReading
from stream_app.core.state.counters import COUNTER
from stream_app.core.state.vector import SLOT
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from stream_app.errors import ContradictorySettings
from tests.harness.shops import T0

SETTINGS = Settings()


_ids = count()
_TIMES = ("promised_at", "delivered_at")


def instant(at: int) -> datetime:
    return EPOCH + at * MICROSECOND


def make(kind: str, customer: str, day: float, **fields: Any) -> Event:
    """Return an event a number of days after T0."""
    timed = {name: instant(value) if name in _TIMES else value for name, value in fields.items()}
    head = {"event_id": f"e{next(_ids)}", "customer_id": customer, "occurred_at": instant(T0 + round(day * DAY_US))}
    return msgspec.convert({"type": kind, **head, **timed}, KINDS[kind])


def bought(customer: str = "ann", day: float = 0.0, **fields: Any) -> Event:
    return make("order", customer, day, **{"action": "paid", "amount": 100.0, "discount": 0.0, **fields})


def complaint(day: float, action: str = "opened", **fields: Any) -> Event:
    return make("complaint", "ann", day, **{"action": action, "complaint_id": "k1", **fields})


class ExpensiveReader:
    """Reads that something is expensive, and nothing else."""

    def __call__(self, text: str) -> str:
        return self.read(text).kind

    @staticmethod
    def read(text: str) -> TextReading:
        return TextReading("price" if "expensive" in text else "other", [len(text)])


def shop_of(*events: Event) -> PartitionProcessor:
    partition = PartitionProcessor(SETTINGS, ExpensiveReader())
    for one in sorted(events, key=lambda one: one.at):
        partition.apply(one, one.at)
    return partition


def explained(*events: Event, day: float = 40.0, of: str = "ann") -> Explanation:
    """Return the explanation of a customer a number of days after T0."""
    partition = shop_of(*events)
    about = partition.explainer.profile(partition.customers[of], T0 + round(day * DAY_US))
    return partition.explainer.explain(about)


def evidence_of(told: Explanation) -> dict[str, dict[str, float]]:
    return {one.rule: one.numbers for one in told.evidence}


# --- every cause, by what it looks like ------------------------------------------------------------------------------

OTHERS = [bought("bob"), make("browsing", "bob", 0.0, session_id="s"), make("cart", "bob", 1.0, action="favourite")]
TWICE = [bought(day=0.0), bought(day=10.0)]
LOOKS: dict[str, list[Event]] = {
    "forgot_shop": [bought(), *OTHERS],
    "price": [bought(discount=50.0), make("cart", "ann", 9.0, action="checkout_abandoned", price=9.0)],
    "too_many_choices": [
        *TWICE,
        *(make("cart", "ann", 12.0 + n, action="add") for n in range(6)),
        *(make("browsing", "ann", 12.0 + n / 99, session_id="s", category=f"category {n}") for n in range(40)),
    ],
    "product_quality": [
        *TWICE,
        make("order", "ann", 12.0, action="returned"),
        make("complaint", "ann", 12.0, form="low_review", rating=1.0, category="quality"),
    ],
    "logistics": [
        *TWICE,
        make("order", "ann", 14.0, action="delivered", promised_at=T0 + 11 * DAY_US, delivered_at=T0 + 14 * DAY_US),
        complaint(14.0, category="delivery"),
    ],
    "service": [
        *TWICE,
        complaint(12.0, category="service"),
        complaint(15.0, "answered"),
        complaint(15.5, "resolved"),
        complaint(16.0, "reopened", category="service"),
        complaint(17.0, "resolved"),
    ],
    "unresolved_complaint": [
        *TWICE,
        complaint(5.0, complaint_id="k0"),
        complaint(6.0, "resolved", complaint_id="k0"),
        complaint(12.0, category="refund"),
    ],
    "broken_promise": [
        bought(promised_at=T0 + DAY_US),
        make("order", "ann", 4.0, action="delivered", promised_at=T0 + DAY_US, delivered_at=T0 + 4 * DAY_US),
        make("complaint", "ann", 4.0, category="promise", form="return_reason"),
    ],
    "poor_site": [
        *TWICE,
        *(make("browsing", "ann", 12.0 + n / 99, load_seconds=6.0, search_results=0) for n in range(5)),
        make("cart", "ann", 13.0, action="payment_failed"),
    ],
    "out_of_stock": [*TWICE, *(make("browsing", "ann", 12.0 + n / 99, available=False) for n in range(4))],
    "no_personal_fit": [
        *TWICE,
        *(make("browsing", "ann", 12.0 + n / 99, recommended=True, dwell_seconds=4.0) for n in range(6)),
    ],
    "ad_harassment": [
        *TWICE,
        make("complaint", "ann", 12.0, form="unsubscribe"),
        make("complaint", "ann", 12.0, category="messages", form="survey", rating=1.0),
    ],
    "privacy": [
        *TWICE,
        make("cart", "ann", 12.0, action="payment_method_removed"),
        complaint(12.0, category="privacy"),
    ],
    "small_customer_neglect": [
        *(bought(day=7.0 * n, amount=10.0, member_benefit=False) for n in range(4)),
        *(bought("bob", 1.0 + n, amount=300.0, member_benefit=True) for n in range(9)),
    ],
}


@pytest.mark.parametrize("cause", LOOKS)
def test_a_cause_comes_first_if_it_shows(cause: str) -> None:
    told = explained(*LOOKS[cause])
    assert told.causes[0].key == cause, told
    assert told.causes[0].probability > max(ONE_TIME[cause], REPEAT[cause])
    speaking = {rule.key for rule in EVIDENCE_RULES if cause in rule.likelihoods}
    assert speaking & set(evidence_of(told))


def test_a_habit_change_shows_in_the_gaps() -> None:
    days = [0.0, 10.0, 20.0, 30.0, 50.0]
    told = explained(*(bought(day=day) for day in days), day=80.0)
    assert evidence_of(told)["growing_gaps"]["times"] == pytest.approx(1.6)
    believed = {cause.key: cause.probability for cause in told.causes}
    assert believed["habit_change"] > REPEAT["habit_change"]


def test_every_cause_has_evidence_or_is_the_remainder() -> None:
    spoken = {cause for rule in EVIDENCE_RULES for cause in rule.likelihoods}
    assert spoken == set(CAUSES)
    assert set(LOOKS) | {"habit_change", "natural"} == set(CAUSES)


# --- what is believed ------------------------------------------------------------------------------------------------


def test_a_shop_with_orders_only_gets_the_priors() -> None:
    told = explained(bought(discount=None, amount=None))
    assert [(one.key, one.probability) for one in told.causes] == [
        (cause, ONE_TIME[cause]) for cause in sorted(CAUSES, key=lambda cause: -ONE_TIME[cause])[:MAX_CAUSES]
    ]


def test_absent_evidence_counts_only_if_its_field_is_sent() -> None:
    on_time = make("order", "bob", 3.0, action="delivered", promised_at=T0 + 4 * DAY_US, delivered_at=T0 + 3 * DAY_US)

    def logistics(*events: Event) -> float:
        partition = shop_of(*events)
        about = partition.explainer.profile(partition.customers["ann"], T0 + 40 * DAY_US)
        return probabilities(REPEAT, read_evidence(about))["logistics"]

    assert logistics(*TWICE) > logistics(*TWICE, on_time) > 0.0


def test_absent_evidence_leaves_a_cause_a_share_of_its_prior() -> None:
    absent = {rule.key: Reading(False, {}) for rule in EVIDENCE_RULES if rule.likelihoods}
    posterior = probabilities(REPEAT, absent)
    for cause in CAUSES:
        assert posterior[cause] >= REPEAT[cause] * (1.0 - SHOWING)


@given(
    st.lists(st.sampled_from([rule.key for rule in EVIDENCE_RULES])),
    st.lists(st.sampled_from([s.key for s in EVIDENCE_RULES])),
)
def test_probabilities_sum_to_one_for_any_readings(there: list[str], absent: list[str]) -> None:
    read = {**{key: Reading(False, {}) for key in absent}, **{key: Reading(True, {}) for key in there}}
    for priors in (ONE_TIME, REPEAT):
        posterior = probabilities(priors, read)
        assert math.fsum(posterior.values()) == pytest.approx(1.0)
        assert all(p == 0.0 for cause, p in posterior.items() if not priors[cause])


def test_a_complaint_without_a_subject_gives_the_family() -> None:
    bad = explained(*TWICE, make("complaint", "ann", 12.0, form="low_review"), day=14.0)
    assert bad.causes[0].key == FAMILY
    assert not {cause.key for cause in bad.causes} & set(POOR_EXPERIENCE)
    told = explained(*TWICE, make("complaint", "ann", 12.0, form="low_review", category="quality"), day=14.0)
    assert told.causes[0].key == "product_quality"


def test_a_text_is_classified_if_the_category_is_missing() -> None:
    for category in (None, "other"):
        told = explained(*TWICE, complaint(12.0, text="too expensive", category=category))
        assert "price_complaint" in evidence_of(told)
    told = explained(*TWICE, complaint(12.0, text="too expensive", category="delivery"))
    assert "price_complaint" not in evidence_of(told)


def test_a_complaint_that_staff_refile_moves_to_their_category() -> None:
    opened = complaint(12.0, text="too expensive")
    told = explained(*TWICE, opened, complaint(13.0, "refiled", text="too expensive", category="delivery"))
    assert "price_complaint" not in evidence_of(told)
    assert "logistics_complaint" in evidence_of(told)
    told = explained(*TWICE, opened, complaint(13.0, "refiled", text="too expensive"))  # under no category
    assert "price_complaint" in evidence_of(told)


def test_a_complaint_whose_category_was_given_is_not_counted_twice() -> None:
    opened = complaint(12.0, category="quality")
    told = explained(*TWICE, opened, complaint(13.0, "refiled", category="delivery"))
    assert "logistics_complaint" not in evidence_of(told)


def test_a_text_that_staff_file_under_other_is_learned_as_such() -> None:
    opened = complaint(12.0, text="too expensive")
    refiled = complaint(13.0, "refiled", text="too expensive", category="Other")
    (filed,) = shop_of(*TWICE, opened, refiled).explainer.take_feedback().filed
    assert (filed.kind, filed.lexicon) == ("other", "price")
    assert "price_complaint" not in evidence_of(explained(*TWICE, opened, refiled))


def test_a_refiled_text_goes_to_the_trainer_and_counts_as_no_further_complaint() -> None:
    opened = complaint(12.0, text="too expensive")
    before = shop_of(*TWICE, opened)
    partition = shop_of(*TWICE, opened, complaint(13.0, "refiled", text="too expensive", category="delivery"))
    (filed,) = partition.explainer.take_feedback().filed
    assert (filed.kind, filed.lexicon, filed.buckets) == ("logistics", "price", [len("too expensive")])
    assert partition.explainer.take_feedback().filed == []
    counted = [one.customers["ann"] for one in (before, partition)]
    for name in ("complaints", "last_complaint"):
        assert len({one.vector[SLOT[name]] for one in counted}) == 1
    assert len({one.counters[COUNTER["complaints"]] for one in counted}) == 1


def test_old_evidence_is_dropped() -> None:
    late = make("order", "ann", 4.0, action="delivered", promised_at=T0 + DAY_US, delivered_at=T0 + 4 * DAY_US)
    assert "late_parcel" in evidence_of(explained(bought(), late, day=300.0))
    recent = [bought(day=day) for day in (0.0, 200.0, 300.0)]
    assert "late_parcel" not in evidence_of(explained(*recent, late, day=330.0))


def test_evidence_is_short_and_starts_with_the_silence() -> None:
    told = explained(*[one for look in LOOKS.values() for one in look], day=90.0)
    assert told.evidence[0].rule == "silence"
    assert len(told.evidence) == MAX_EVIDENCE
    assert 1 < len(told.causes) <= MAX_CAUSES
    assert [one.probability for one in told.causes] == sorted((one.probability for one in told.causes), reverse=True)


@pytest.mark.parametrize("rule", EVIDENCE_RULES, ids=lambda rule: rule.key)
def test_a_rule_is_valid(rule: Any) -> None:
    assert set(rule.fields) <= set(FIELDS)
    assert set(rule.likelihoods) <= set(CAUSES)
    assert rule.thresholds
    if rule.likelihoods:
        assert 0.0 < rule.base_rate < min(rule.likelihoods.values()) < 1.0
    partition = shop_of(bought(), *OTHERS)
    about = partition.explainer.profile(partition.customers["ann"], T0 + DAY_US)
    numbers = rule.measure(about)
    assert {threshold.number for threshold in (*rule.thresholds, *rule.applies_if)} <= set(numbers)


def test_rules_have_different_keys() -> None:
    assert len({rule.key for rule in EVIDENCE_RULES}) == len(EVIDENCE_RULES)


# --- priors and segments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", [ONE_TIME, REPEAT])
def test_a_column_of_priors_sums_to_one(column: dict[str, float]) -> None:
    assert problem_of(column) == ""
    assert tuple(column) == CAUSES


@pytest.mark.parametrize("wrong", [{"price": 0.9}, {"prize": 1.0}, {"price": 1.5, "natural": -0.5}, {}])
def test_invalid_priors_are_refused(wrong: dict[str, float]) -> None:
    for name in ("one_time_priors", "repeat_priors"):
        with pytest.raises(ContradictorySettings, match=name):
            msgspec.convert({name: wrong}, Settings)


@pytest.mark.parametrize(
    ("segment", "events"),
    [
        ("one_time", [bought()]),
        ("growing", [bought(day=0.0), bought(day=30.0)]),
        ("loyal", [bought(day=10.0 * n) for n in range(4)]),
        ("declining", [*(bought(day=3.0 * n) for n in range(4))]),
        ("vip", [bought(day=5.0 * n, amount=300.0) for n in range(7)]),
        ("complaining", [*TWICE, complaint(12.0)]),
        ("price_sensitive", [bought(day=10.0 * n, discount=30.0) for n in range(4)]),
    ],
)
def test_segments(segment: str, events: list[Event]) -> None:
    others = [bought(f"c{n}", amount=100.0) for n in range(200)]
    assert segment in SEGMENTS
    assert explained(*events, *others, day=38.0).segment == segment


def test_money_alone_does_not_make_a_vip() -> None:
    others = [bought(f"c{n}", amount=10.0) for n in range(50)]
    assert explained(bought(amount=100_000.0), *others).segment == "one_time"


# --- batches ---------------------------------------------------------------------------------------------------------


def shuffled_twice(order: Callable[[list[Event]], list[Event]]) -> bytes:
    partition = PartitionProcessor(SETTINGS)
    for one in order([one for look in LOOKS.values() for one in look if one.customer_id == "ann"]):
        partition.apply(one, one.at)
    return partition.customers["ann"].counters.tobytes()


def test_counters_do_not_depend_on_the_order_of_arrival() -> None:
    def in_time(events: list[Event]) -> list[Event]:
        return sorted(events, key=lambda one: one.at)

    def a_little_late(events: list[Event]) -> list[Event]:
        return sorted(events, key=lambda one: (one.at // (7 * 24 * HOUR_US), -one.at))

    assert shuffled_twice(in_time) == shuffled_twice(a_little_late)


@pytest.mark.parametrize(
    "fields",
    [
        {"form": "survey", "rating": 5.0, "category": "quality"},
        {"form": "survey", "category": "quality"},
        {"rating": 3.0, "category": "quality"},
        {"form": "low_review", "rating": 4.0, "category": "quality"},
        {"action": "answered", "rating": 1.0, "category": "quality"},
    ],
    ids=str,
)
def test_satisfaction_is_no_evidence_and_no_segment(fields: dict[str, Any]) -> None:
    before = [bought(), bought(day=10.0), *OTHERS]
    told = explained(*before, complaint(12.0, **fields))
    silent = explained(*before)
    assert told.segment == silent.segment != "complaining"
    assert evidence_of(told).keys() == evidence_of(silent).keys()
    low = explained(*before, complaint(12.0, form="survey", rating=1.0, category="quality"))
    assert {"quality_complaint", "low_rating"} <= evidence_of(low).keys()
