"""Coverage of the intervals of the uplift over replays of simulated shops with a holdout.

    python -m benchmarks.replay.uplift_replays --seeds 200

Nobody is called in a replay, so its true effect is zero. Another effect is added afterwards: some of the called
customers who did not order are counted as if they had. A seed is covered if no interval excludes the effect, with a
look after every customer.
"""

from __future__ import annotations

from typing import Annotated, Final

import numpy as np
import typer

from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.core.uplift.figures import Subject, covariates
from stream_app.core.uplift.holdout import TREATED, Holdout
from stream_app.core.uplift.intervals import intervals
from stream_app.core.uplift.regression import running_effect
from stream_app.replay.runner import Replay
from stream_app.replay.session import collector_off
from stream_app.replay.uplift import subjects
from stream_app.simulate import ShopSettings, simulate

SHOP: Final = ShopSettings(customers=400, days=240)
SETTINGS: Final = Settings(
    horizon=30 * DAY_US,
    lost_after=90 * DAY_US,
    rank_by="worth",
    capacity=8,
    holdout=Holdout(0.5, planned=300, later_share=0.5),
)
EFFECTS: Final = (0.0, 0.05)


def drawn(seed: int) -> list[Subject]:
    """Return the drawn customers of a shop whose window has ended."""
    batches = list(simulate(SHOP, seed))
    with collector_off():
        outcome = Replay(SETTINGS).run(batches)
    window, until = SETTINGS.uplift_window, batches[-1][-1].at
    return [one for one in subjects(outcome, SETTINGS) if one.drawn_at + window <= until]


def missed(customers: list[Subject], effect: float, seed: int) -> tuple[bool, float]:
    """Return whether an interval excludes the effect, and the error of the last estimate in standard errors."""
    treated = np.array([one.arm == TREATED for one in customers])
    ordered = np.array([float(one.ordered) for one in customers])
    chance = effect / np.mean(1.0 - ordered)
    persuaded = treated & (np.random.default_rng(seed).random(len(ordered)) < chance)
    estimates = running_effect(treated, np.where(persuaded, 1.0, ordered), covariates(customers))
    lower, upper = intervals(estimates, SETTINGS.holdout)
    error = float((estimates.effect[-1] - effect) / estimates.error[-1])
    return bool(((lower > effect) | (upper < effect)).any()), error


def main(
    seeds: Annotated[int, typer.Option(min=2, help="Number of shops.")] = 200,
    first: Annotated[int, typer.Option(min=1, help="Seed of the first shop, to continue an earlier run.")] = 1,
) -> None:
    """Print the coverage for each effect, and how the estimates are spread: 0 ± 1 standard errors if all is right."""
    shops = [drawn(seed) for seed in range(first, first + seeds)]
    typer.echo(f"{seeds} shops, {np.mean([len(one) for one in shops]):.0f} customers drawn on average")
    typer.echo("effect   never excluded   error of the estimate")
    for effect in EFFECTS:
        found = [missed(one, effect, seed) for seed, one in enumerate(shops, start=first - 1)]
        errors = [error for _, error in found]
        covered = 1.0 - float(np.mean([out for out, _ in found]))
        typer.echo(f"{effect:>6.0%} {covered:>16.1%} {np.mean(errors):>12.2f} ± {np.std(errors):.2f}")


if __name__ == "__main__":
    typer.run(main)
