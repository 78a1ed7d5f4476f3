"""Coverage and width of the intervals of the uplift, over simulated experiments.

    python -m benchmarks.uplift_coverage --seeds 2000

Each seed draws customers one after the other, with an effect that is known. Its interval is computed after every single
customer, from the first one to twice the planned number, or to the end if one is declared. A seed is covered if no
interval of it excludes the effect. If the share falls, more customers order as time goes on, so that a comparison of
the arms as a whole would be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
import typer

from stream_app.core.arrays import Bools, Floats
from stream_app.core.uplift.holdout import Holdout
from stream_app.core.uplift.intervals import PLAIN, intervals, is_early
from stream_app.core.uplift.regression import running_effect, unadjusted

SHARES: Final = ((0.5, 0.5), (0.2, 0.2), (0.5, 0.2))  # at first, and after the planned number
DRIFT: Final = 0.2  # how much more customers order at the last look than at the first, if the share falls
EFFECTS: Final = (0.0, 0.05)
PLANNED: Final = 2_000
_AT_ONCE: Final = 50  # seeds; limits the memory


@dataclass(frozen=True)
class Coverage:
    """Figures of one experiment over all seeds."""

    shares: tuple[float, ...]
    effect: float
    ends: bool
    covered: float  # share of seeds whose interval never excludes the effect
    plain_covered: float  # the same for plain 95 % intervals, from LEAST customers per arm on
    width: float  # at the planned number, ÷ the plain interval's
    unadjusted_width: float  # the same without adjustment for the covariates
    mean_effect: float  # at the last look


def experiments(
    seed: int, count: int, size: int, shares: Floats | float, effect: float, drift: float = 0.0
) -> tuple[Bools, Floats, Floats]:
    """Return the arms, outcomes and covariates of simulated experiments.

    The outcome, an order, depends on P(lost) in a way that no line can follow, and on the worth.

    Args:
        seed: of the experiments.
        count: number of experiments.
        size: number of customers.
        shares: share of customers held out, of each customer or of all.
        effect: how much calls raise the share of customers who order.
        drift: how much more the last customer orders than the first.
    """
    random = np.random.default_rng([seed, round(float(np.max(shares)) * 100), round(effect * 100)])
    lost = random.beta(2.0, 1.5, (count, size))
    worth = random.normal(3.0, 1.0, (count, size))
    treated = random.random((count, size)) >= shares
    order = 0.05 + 0.55 * (1.0 - lost) ** 1.5 + 0.02 * np.clip(worth - 3.0, -2.0, 2.0)
    order += drift * np.arange(size) / size
    outcome = random.random((count, size)) < order + effect * treated
    return treated, outcome.astype(np.float64), np.stack([lost, worth], axis=-1)


def measure(holdout: Holdout, effect: float, seeds: int) -> Coverage:
    """Return the figures of an experiment over a number of seeds."""
    size = holdout.planned if holdout.ends else 2 * holdout.planned
    at = holdout.planned - 1
    shares = np.array([holdout.share_after(drawn) for drawn in range(size)])
    drift = 0.0 if len(set(shares)) == 1 else DRIFT
    found: list[tuple[npt.NDArray[np.generic], ...]] = []
    for start in range(0, seeds, _AT_ONCE):
        count = min(_AT_ONCE, seeds - start)
        treated, outcome, covariates = experiments(start, count, size, shares, effect, drift)
        estimates = running_effect(treated, outcome, covariates, shares)
        lower, upper = intervals(estimates, holdout)
        half = PLAIN * estimates.error
        missed = ((np.abs(estimates.effect - effect) > half) & ~is_early(estimates)).any(axis=1)
        excluded = ((lower > effect) | (upper < effect)).any(axis=1)
        plain = unadjusted(estimates)[1][:, at] * 2.0 * PLAIN
        found.append(
            (
                np.logical_not(excluded),
                np.logical_not(missed),
                (upper - lower)[:, at] / (2.0 * half[:, at]),
                2.0 * half[:, at] / plain,
                estimates.effect[:, -1],
            )
        )
    covered, plain_covered, width, adjusted, effects = (
        float(np.concatenate(one).astype(np.float64).mean()) for one in zip(*found, strict=True)
    )
    return Coverage(holdout.shares, effect, holdout.ends, covered, plain_covered, width, width * adjusted, effects)


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 2_000, planned: Annotated[int, typer.Option(min=500)] = PLANNED
) -> None:
    """Print coverage and width for both kinds of intervals."""
    typer.echo(f"{seeds:,} seeds, planned for {planned:,} customers, a look after every customer")
    typer.echo("end     held out  effect   never excluded   plain interval   width ÷ plain   unadjusted   mean effect")
    for ends in (False, True):
        for share, later in SHARES:
            if ends and later < share:
                continue  # falls after the end
            for effect in EFFECTS:
                one = measure(Holdout(share, planned=planned, ends=ends, later_share=later), effect, seeds)
                held_out = " → ".join(f"{held:.0%}" for held in one.shares)
                typer.echo(
                    f"{'yes' if ends else 'no':<5} {held_out:>10} {effect:>7.0%} {one.covered:>16.2%} "
                    f"{one.plain_covered:>16.2%} {one.width:>15.3f} {one.unadjusted_width:>12.3f} "
                    f"{one.mean_effect:>13.2%}"
                )


if __name__ == "__main__":
    typer.run(main)
