"""Alternating measurements, and measurements in a separate process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final, ParamSpec, TypeVar

from benchmarks.results import Spread

Measure = Callable[[], float]  # does the work once and returns a figure
_SPAWN: Final = get_context("spawn")
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Pairs:
    """Figures of the rounds, and their ratios round by round."""

    floor: Spread
    product: Spread
    ratio: Spread

    @classmethod
    def of(cls, floors: Sequence[float], products: Sequence[float]) -> Pairs:
        """Compare each figure of the product with the mean of the floor's figures just before and after it.

        >>> Pairs.of([4.0, 6.0, 4.0], [1.0, 2.0]).ratio
        Spread(median=0.30000000000000004, least=0.2, most=0.4, rounds=2)
        """
        around = [(before + after) / 2 for before, after in pairwise(floors)]
        ratios = [one / other for one, other in zip(products, around, strict=True)]
        return cls(Spread.of(floors), Spread.of(products), Spread.of(ratios))


def take_turns(floor: Measure, product: Measure, rounds: Iterable[object]) -> Pairs:
    """Measure floor, product, floor, ..., floor, so that other load on the machine affects both alike."""
    floors, products = [floor()], []
    for _ in rounds:
        products.append(product())
        floors.append(floor())
    return Pairs.of(floors, products)


def in_own_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a new process and return its result.

    Raises:
        RuntimeError: the process has ended without a result. Its traceback is on standard error.
    """
    receiver, sender = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_send_result, args=(sender, function, args, kwargs), daemon=True)
    process.start()
    sender.close()
    try:
        result: T = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__} has failed") from None
    finally:
        process.join()
    return result


def _send_result(sender: Connection, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    sender.send(function(*args, **kwargs))
    os._exit(0)  # without waiting for threads and event loops of libraries: Faust takes seconds to stop
