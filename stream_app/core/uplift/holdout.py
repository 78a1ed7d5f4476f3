"""Holdout: customers who are not called by staff, so that the effect of the calls can be measured."""

from __future__ import annotations

from typing import Final

import msgspec
import xxhash

from stream_app.errors import ContradictorySettings

TREATED: Final = "treated"
HELD_OUT: Final = "held_out"
ARMS: Final = (TREATED, HELD_OUT)
NO_ARM: Final = ""  # not part of the experiment
MAX_COPIES: Final = 15  # maximum weight of a held-out customer's label
_BITS: Final = 64


class Holdout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A holdout experiment.

    Attributes:
        share: share of customers who are held out; 0: no experiment.
        experiment: its name. A new name draws new arms.
        window: time after the draw within which an order counts, microseconds; 0: the horizon.
        planned: number of drawn customers for which the interval is narrowest.
        ends: whether the experiment ends at `planned`. Its interval is then narrower.
        exempt_worth_above: customers who bring more than this per month are always called; 0: nobody is exempt.

    Raises:
        ContradictorySettings: a value is out of range.
    """

    share: float = 0.0
    experiment: str = "calls"
    window: int = 0
    planned: int = 2_000
    ends: bool = False
    exempt_worth_above: float = 0.0

    def __post_init__(self) -> None:
        """Raise ContradictorySettings for values that are out of range."""
        for name, is_wrong, problem, remedy in (
            (
                "share",
                self.share != 0.0 and not 1.0 / MAX_COPIES <= self.share < 1.0,
                f"is not a share from {1.0 / MAX_COPIES:.2f} to less than 1",
                "Use, for example, 0.2, or 0 for no experiment.",
            ),
            ("experiment", not self.experiment.strip(), "is blank", "Use a name, for example calls-2026."),
            ("window", self.window < 0, "is negative", "Use 0 or more."),
            ("planned", self.planned <= 0, "is not greater than zero", "Use a positive number."),
            ("exempt_worth_above", not self.exempt_worth_above >= 0.0, "is negative", "Use 0 or more."),
        ):
            if is_wrong:
                raise ContradictorySettings(name=f"holdout.{name}", problem=problem, remedy=remedy)

    def arm(self, customer: str, monthly_worth: float, complains: bool) -> str:
        """Return a customer's arm, or NO_ARM for a customer who is called whatever the draw would say.

        Args:
            customer: customer id.
            monthly_worth: what the customer brings per month.
            complains: whether the customer has an open complaint.
        """
        is_vip = 0.0 < self.exempt_worth_above < monthly_worth
        if not self.share or complains or is_vip:
            return NO_ARM
        return HELD_OUT if draw(customer, self.experiment) < self.share else TREATED

    def copies(self, customer: str, decided_at: int, arm: str) -> int:
        """Return how often a label counts in training if the customer was drawn within its horizon.

        A call changes what the customer does, so the label of a called customer does not count. A held-out customer
        stands for all who were drawn, so their label counts 1 ÷ share times (inverse probability of censoring weights:
        Robins and Finkelstein, Biometrics 2000). Fractions are drawn, so that every learner can use the labels.

        Args:
            customer: customer id.
            decided_at: time of the decision, microseconds.
            arm: arm of the customer.
        """
        if arm == TREATED:
            return 0
        if arm != HELD_OUT or not self.share:
            return 1
        whole, rest = divmod(1.0 / self.share, 1.0)
        return int(whole) + (draw(f"{decided_at}|{customer}", self.experiment) < rest)


def draw(customer: str, experiment: str) -> float:
    """Return a customer's number in an experiment, uniform in [0, 1). It depends on nothing else.

    >>> draw("c1", "calls") == draw("c1", "calls") != draw("c1", "calls-2")
    True
    """
    key = f"{experiment}|{customer}".encode("utf-8", "surrogatepass")
    return (xxhash.xxh3_64_intdigest(key) >> (_BITS - 53)) / 2.0**53  # as many bits as a float holds
