"""The version of a policy."""

from __future__ import annotations

import msgspec

from stream_app.core.policy.policy import Benefit, Capacity, Contacts, Policy
from stream_app.core.uplift.holdout import Holdout


def test_the_version_depends_on_the_rules_that_differ_from_their_defaults_only() -> None:
    """A later release has more rules. It must compute the same version for a policy that does not have them."""

    class More(Policy, frozen=True, dict=True):
        another: int = 3

    for rules in ({}, {"capacity": Capacity(reserve=1)}, {"holdout": Holdout(0.5, "spring")}):
        assert More(**rules).version == Policy(**rules).version
    assert More(another=4).version != Policy().version


def test_each_rule_changes_the_version() -> None:
    policies = (
        Policy(),
        Policy(capacity=Capacity(per_day=3)),
        Policy(capacity=Capacity(reserve=3)),
        Policy(contacts=Contacts(per_week=2)),
        Policy(benefit=Benefit(again=0.2)),
        Policy(benefit=Benefit(by_cause={"price": 0.5})),
        Policy(benefit=Benefit(stopped=("price",))),
        Policy(holdout=Holdout(0.5)),
        Policy(holdout=Holdout(0.5, window=1)),
        Policy(holdout=Holdout()),
    )
    assert len({one.version for one in policies}) == len(policies)
    assert msgspec.structs.replace(policies[1]).version == policies[1].version
