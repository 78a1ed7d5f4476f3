"""Which cause simulated staff confirm after a call: usually the true one, sometimes what they were shown or a guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stream_app.simulate.truth import Truth
from stream_app.simulate.vocabulary import CAUSES

AGREEING_SHARE: Final = 0.3  # of staff who confirm the first cause that they are shown, whatever the customer says
WRONG_SHARE: Final = 0.1  # of customers who give a reason at random
MAIN_SHARE: Final = 2 / 3  # of customers with two causes who give the first one


def confirmed_cause(fact: Truth, shown: Sequence[str], draws: Iterator[float]) -> str:
    """Return the cause that staff confirm for a customer who leaves.

    Args:
        fact: the customer, with at least one cause.
        shown: causes that staff are shown, most likely first; empty if they are to find out by themselves.
        draws: random numbers in [0, 1).
    """
    agrees, wrong, main, guess = (next(draws) for _ in range(4))
    if shown and agrees < AGREEING_SHARE:
        return shown[0]
    if wrong < WRONG_SHARE:
        return CAUSES[int(guess * len(CAUSES))]
    return fact.causes[0] if main < MAIN_SHARE else fact.causes[-1]
