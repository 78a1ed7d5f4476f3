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
ORDERED: Final = "ordered"  # within the window
NOT_ORDERED: Final = "not_ordered"
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
        later_share: share once `planned` customers have been drawn, if it is less than `share`.

    Raises:
        ContradictorySettings: a value is out of range.
    """

    share: float = 0.0
    experiment: str = "calls"
    window: int = 0
    planned: int = 2_000
    ends: bool = False
    exempt_worth_above: float = 0.0
    later_share: float = 0.2

    def __post_init__(self) -> None:
        """Raise ContradictorySettings for values that are out of range."""
        for name, is_wrong, problem, remedy in (
            (
                "share",
                self.share != 0.0 and not is_possible(self.share),
                f"is not a share from {1.0 / MAX_COPIES:.2f} to less than 1",
                "Use, for example, 0.2, or 0 for no experiment.",
            ),
            (
                "later_share",
                not is_possible(self.later_share),
                f"is not a share from {1.0 / MAX_COPIES:.2f} to less than 1",
                "Use, for example, 0.2, or the value of share if it should not fall.",
            ),
            ("experiment", not self.experiment.strip(), "is blank", "Use a name, for example calls-2026."),
            ("window", self.window < 0, "is negative", "Use 0 or more."),
            ("planned", self.planned <= 0, "is not greater than zero", "Use a positive number."),
            ("exempt_worth_above", not self.exempt_worth_above >= 0.0, "is negative", "Use 0 or more."),
        ):
            if is_wrong:
                raise ContradictorySettings(name=f"holdout.{name}", problem=problem, remedy=remedy)

    @property
    def key(self) -> int:
        """Number that stands for the name of the experiment in stored states."""
        return xxhash.xxh32_intdigest(self.experiment.encode("utf-8", "surrogatepass"))

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the experiment, in the order in which they apply.

        >>> Holdout(0.5).shares, Holdout(0.2).shares, Holdout().shares
        ((0.5, 0.2), (0.2,), (0.0,))
        """
        return (self.share, self.later_share) if self.later_share < self.share else (self.share,)

    def share_after(self, drawn: int) -> float:
        """Return the share that applies after a number of customers have been drawn.

        >>> Holdout(0.5, planned=100).share_after(99), Holdout(0.5, planned=100).share_after(100)
        (0.5, 0.2)
        """
        return self.shares[-1 if drawn >= self.planned else 0]

    def arm(self, customer: str, monthly_worth: float, complains: bool, share: float | None = None) -> str:
        """Return a customer's arm, or NO_ARM for a customer who is called whatever the draw would say.

        Args:
            customer: customer id.
            monthly_worth: what the customer brings per month.
            complains: whether the customer has an open complaint.
            share: share of customers held out; None: `share` of the experiment.
        """
        is_vip = 0.0 < self.exempt_worth_above < monthly_worth
        if not self.share or complains or is_vip:
            return NO_ARM
        return self.drawn_arm(customer, self.share if share is None else share)

    def drawn_arm(self, customer: str, share: float) -> str:
        """Return the arm of a customer who is not exempt."""
        return HELD_OUT if draw(customer, self.experiment) < share else TREATED

    def copies(self, customer: str, decided_at: int, arm: str, share: float) -> int:
        """Return how often a label counts in training if the customer was drawn within its horizon.

        A call changes what the customer does, so the label of a called customer does not count. A held-out customer
        stands for all who were drawn, so their label counts 1 ÷ share times (inverse probability of censoring weights:
        Robins and Finkelstein, Biometrics 2000). Fractions are drawn, so that every learner can use the labels.

        Args:
            customer: customer id.
            decided_at: time of the decision, microseconds.
            arm: arm of the customer.
            share: share of customers held out when the customer was drawn first.
        """
        if arm == TREATED:
            return 0
        if arm != HELD_OUT or not share:
            return 1
        whole, rest = divmod(1.0 / share, 1.0)
        return int(whole) + (draw(f"{decided_at}|{customer}", self.experiment) < rest)


class FirstDraw(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first draw of a customer in an experiment, which fixes their arm for the whole experiment.

    Attributes:
        experiment: `Holdout.key`.
        share: share of customers held out at that time.
        at: time, microseconds.
        ordered: whether the customer has ordered within the window.
        ended: whether the window has ended, and the outcome has been counted.
    """

    experiment: int
    share: float
    at: int
    ordered: bool = False
    ended: bool = False


def is_possible(share: float) -> bool:
    """Return whether a share of customers can be held out: labels count 1 ÷ share times, at most `MAX_COPIES`."""
    return 1.0 / MAX_COPIES <= share < 1.0


def draw(customer: str, experiment: str) -> float:
    """Return a customer's number in an experiment, uniform in [0, 1). It depends on nothing else.

    >>> draw("c1", "calls") == draw("c1", "calls") != draw("c1", "calls-2")
    True
    """
    key = f"{experiment}|{customer}".encode("utf-8", "surrogatepass")
    return (xxhash.xxh3_64_intdigest(key) >> (_BITS - 53)) / 2.0**53  # as many bits as a float holds
