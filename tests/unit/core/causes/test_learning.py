"""Confirmed causes: which way they move priors and likelihoods, and how far at most."""

from __future__ import annotations

import pytest

from stream_app.core.causes.catalogue import CAUSES, FAMILY, ONE_TIME, POOR_EXPERIENCE, REPEAT
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.causes.feedback import Confirmation
from stream_app.core.causes.inference import name_causes
from stream_app.core.causes.learning import GROUP_CASES, MEMORY, MOST_FACTOR, LearnedCauses
from stream_app.core.causes.rule import EvidenceRule, Reading


def confirmed(cause: str, *, repeat: bool = True, blind: bool = False, **more: tuple[str, ...]) -> Confirmation:
    return Confirmation(0, "al_1", cause, repeat, blind, **{"named": (), "present": (), "absent": (), **more})


def after(*confirmations: Confirmation) -> LearnedCauses:
    learned = LearnedCauses()
    for one in confirmations:
        learned.learn(one)
    return learned


def rule_of(learned: LearnedCauses, key: str) -> EvidenceRule:
    return next(rule for rule in learned.rules() if rule.key == key)


def test_without_confirmations_nothing_moves() -> None:
    learned = LearnedCauses()
    one_time, repeat = learned.priors(ONE_TIME, REPEAT)
    assert one_time == pytest.approx(ONE_TIME)
    assert repeat == pytest.approx(REPEAT)
    for rule, original in zip(learned.rules(), EVIDENCE_RULES, strict=True):
        assert rule.base_rate == original.base_rate
        assert rule.likelihoods == pytest.approx(original.likelihoods)


def test_a_confirmed_cause_becomes_likelier_in_both_groups_and_most_in_its_own() -> None:
    one_time, repeat = after(*[confirmed("service")] * 20).priors(ONE_TIME, REPEAT)
    assert sum(one_time.values()) == pytest.approx(1.0)
    assert sum(repeat.values()) == pytest.approx(1.0)
    assert one_time["service"] > 1.5 * ONE_TIME["service"]
    assert repeat["service"] / REPEAT["service"] > one_time["service"] / ONE_TIME["service"]
    assert repeat["price"] < REPEAT["price"]


def test_confirmations_as_expected_move_nothing_much() -> None:
    confirmations = [confirmed(cause) for cause, share in REPEAT.items() for _ in range(round(100 * share))]
    _, repeat = after(*confirmations).priors(ONE_TIME, REPEAT)
    assert repeat == pytest.approx(REPEAT, abs=0.01)


def test_no_number_of_confirmations_rules_a_cause_out() -> None:
    one_time, repeat = after(*[confirmed("privacy")] * 5_000).priors(ONE_TIME, REPEAT)
    assert repeat["privacy"] < (GROUP_CASES + MEMORY) / (GROUP_CASES + MEMORY + 1.0)
    assert one_time["privacy"] < MOST_FACTOR**2 * ONE_TIME["privacy"]
    for cause, share in REPEAT.items():
        assert repeat[cause] > share / MOST_FACTOR**2 * GROUP_CASES / (GROUP_CASES + MEMORY)


def test_later_confirmations_replace_earlier_ones() -> None:
    learned = after(*[confirmed("privacy")] * 1_000, *[confirmed("price")] * 5_000)
    assert learned.priors(ONE_TIME, REPEAT)[1]["privacy"] < REPEAT["privacy"]


def test_a_cause_without_a_prior_keeps_none() -> None:
    shares = {"price": 0.5, "logistics": 0.5}
    one_time, repeat = after(*[confirmed("service")] * 50).priors(shares, shares)
    assert one_time["service"] == repeat["service"] == 0.0
    assert set(one_time) == set(CAUSES)


def test_the_same_counts_serve_other_configured_priors() -> None:
    learned = after(*[confirmed("service")] * 20)
    learned.priors(ONE_TIME, REPEAT)
    shares = {"price": 0.5, "service": 0.5}
    assert learned.priors(shares, shares)[1]["service"] > 0.5


def test_a_confirmed_family_counts_for_its_causes() -> None:
    _, repeat = after(*[confirmed(FAMILY, present=("late_parcel",))] * 50).priors(ONE_TIME, REPEAT)
    assert all(repeat[cause] > REPEAT[cause] for cause in POOR_EXPERIENCE)
    assert after(*[confirmed(FAMILY, present=("late_parcel",))] * 50).rules() == LearnedCauses().rules()


def test_evidence_that_comes_with_a_cause_becomes_likelier_with_it() -> None:
    (original,) = (rule for rule in EVIDENCE_RULES if rule.key == "unsubscribed")
    seen = rule_of(after(*[confirmed("ad_harassment", present=("unsubscribed",))] * 40), "unsubscribed")
    missing = rule_of(after(*[confirmed("ad_harassment", absent=("unsubscribed",))] * 40), "unsubscribed")
    others = rule_of(after(*[confirmed("price", present=("unsubscribed",))] * 40), "unsubscribed")
    assert missing.likelihoods["ad_harassment"] < original.likelihoods["ad_harassment"] - 0.1
    assert original.likelihoods["ad_harassment"] < seen.likelihoods["ad_harassment"] < 1.0
    assert missing.base_rate == seen.base_rate == original.base_rate < others.base_rate < 0.2


def test_what_is_learned_changes_what_is_named() -> None:
    readings = {"low_rating": Reading(False, {})}
    learned = after(*[confirmed("habit_change")] * 60)
    before = name_causes(REPEAT, readings)[0].key
    now = name_causes(learned.priors(ONE_TIME, REPEAT)[1], readings, learned.rules())[0].key
    assert (before, now) == ("price", "habit_change")


def test_only_blind_confirmations_judge() -> None:
    named = ("price", FAMILY, "natural")
    learned = after(
        confirmed("price", named=named),
        confirmed("price", named=named, blind=True),
        confirmed("service", named=named, blind=True),
        confirmed("privacy", named=named, blind=True),
        confirmed("price", blind=True),  # nothing was named
    )
    assert (learned.total, learned.judged, learned.first, learned.among_three) == (5, 3, 1, 2)


def test_unknown_causes_and_rules_are_ignored() -> None:
    learned = after(confirmed("weather", blind=True, named=("price",)))
    assert (learned.total, learned.judged) == (0, 0)
    assert after(confirmed("price", present=("moon",))).rules() == LearnedCauses().rules()
