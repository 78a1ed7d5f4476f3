"""Arms of a holdout whose share falls: who keeps their arm, and who counts as drawn."""

from __future__ import annotations

from dataclasses import replace

from stream_app.core.alerts.arms import Draws
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM, TREATED, Holdout, draw
from tests.harness.shops import T0

HOLDOUT = Holdout(0.5, "spring", planned=3)
BETWEEN = next(f"c{number}" for number in range(100) if 0.2 <= draw(f"c{number}", "spring") < 0.5)


def candidate(name: str, arm: str = TREATED, share: float = 0.0) -> AlertCandidate:
    return AlertCandidate(name, T0, 1.0, 0.8, 10.0, 30.0, 8.0, 1, 1, act_by=T0, arm=arm, share=share)


def alerts(candidates: list[AlertCandidate]) -> list[Alert]:
    return [Alert(f"al_{one.customer}", one.customer, T0, T0, 1, 0.8, one) for one in candidates]


def test_a_lower_share_holds_out_fewer_of_the_same_customers() -> None:
    early, later = (Draws("spring", count).assign([candidate(BETWEEN)], HOLDOUT)[0] for count in (2, 3))
    assert (early.arm, early.share) == (HELD_OUT, 0.5)
    assert (later.arm, later.share) == (TREATED, 0.2)


def test_who_was_drawn_before_keeps_the_arm_and_who_is_exempt_has_none() -> None:
    known = [candidate(BETWEEN, HELD_OUT, 0.5), candidate("exempt", NO_ARM)]
    assert Draws("spring", 10**6).assign(known, HOLDOUT) == known


def test_each_customer_counts_once_and_only_if_their_alert_opens() -> None:
    draws = Draws()
    given = [candidate("a"), candidate("b"), candidate("known", share=0.5), candidate("exempt", NO_ARM)]
    assigned = draws.assign(given, HOLDOUT)
    draws.add(given, alerts([one for one in assigned if one.customer != "b"]))
    assert draws.count == 1
    again = [replace(one, share=0.5) for one in assigned]
    draws.add(again, alerts(again))
    assert draws.count == 1


def test_another_experiment_begins_anew_and_a_pause_does_not() -> None:
    draws = Draws("spring", 3)
    draws.assign([], Holdout())
    assert draws == Draws("spring", 3)
    draws.assign([], Holdout(0.5, "autumn"))
    assert draws == Draws("autumn", 0)
