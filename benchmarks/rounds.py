"""Two things measured in turns, so that whatever else the machine does falls on both alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.results import Spread

Rate = Callable[[], float]  # does the work once; what was done a second


@dataclass(frozen=True)
class Pairs:
    """The rates of the rounds, and their ratios round by round."""

    floor: Spread
    product: Spread
    ratio: Spread


def take_turns(floor: Rate, product: Rate, rounds: int, on_round: Callable[[int], None] = lambda _: None) -> Pairs:
    """Measure A B A B ... A: a product run is compared with the mean of the floor runs just before and after it.

    >>> pairs = take_turns(iter([4.0, 6.0, 4.0]).__next__, iter([1.0, 2.0]).__next__, rounds=2)
    >>> pairs.ratio.least, pairs.ratio.most
    (0.2, 0.4)
    """
    floors, products = [floor()], []
    for number in range(rounds):
        products.append(product())
        floors.append(floor())
        on_round(number + 1)
    around = [(before + after) / 2 for before, after in pairwise(floors)]
    ratios = [one / other for one, other in zip(products, around, strict=True)]
    return Pairs(Spread.of(floors), Spread.of(products), Spread.of(ratios))
