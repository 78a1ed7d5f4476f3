"""Holdout of a policy: customers who are not contacted, so that the effect of the contacts can be measured."""

from __future__ import annotations

import msgspec


class Holdout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A holdout experiment.

    Attributes:
        share: share of customers who are held out; 0: no experiment.
        experiment: its name. A new name draws new arms.
        exempt_worth_above: customers who bring more than this per month are always called; 0: nobody is exempt.
    """

    share: float = 0.0
    experiment: str = "calls"
    exempt_worth_above: float = 0.0
