"""What explanations gain from causes that staff confirm, on simulated shops.

    python -m benchmarks.replay.cause_confirmations

The shops differ from the built-in priors: the share of each cause is multiplied by a random factor (log-normal, sigma
1) and the shares are normalised. In each shop, staff confirm the causes of the first customers who are explained, in
order of time, with errors (`stream_app/simulate/confirmations.py`); a tenth of these customers are blind. The model
learns the confirmations one by one. Then all other customers of the shop are explained with and without what was
learned. The last line is of shops whose priors are the built-in ones, where there is nothing to gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import typer

from benchmarks.replay.cause_accuracy import SHOP, Explained, explained_leavers
from stream_app.core.arrays import Floats
from stream_app.core.causes.catalogue import ONE_TIME, REPEAT
from stream_app.core.causes.feedback import NAMED, Confirmation
from stream_app.core.causes.inference import name_causes
from stream_app.core.causes.learning import LearnedCauses
from stream_app.simulate import ShopSettings
from stream_app.simulate.confirmations import confirmed_cause
from stream_app.simulate.vocabulary import CAUSE_PRIORS

CONFIRMED: Final = 200  # per shop
BLIND_SHARE: Final = 0.1
SIGMA: Final = 1.0
FIRST_SEED: Final = 1  # seeds from 201 on were used to choose the constants of core/causes/learning.py
RESAMPLES: Final = 2_000


@dataclass(frozen=True)
class Gain:
    """Accuracy on held-out customers: whether a true cause is first, and among the first three."""

    before: Floats  # (n, 2)
    after: Floats  # (n, 2)

    def __str__(self) -> str:
        difference, n = self.after - self.before, len(self.before)
        draws = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
        low, high = np.quantile(difference[draws].mean(axis=1), (0.025, 0.975), axis=0)
        columns = (
            f"{was:.3f} → {now:.3f} ({now - was:+.3f}, {least:+.3f} to {most:+.3f})"
            for was, now, least, most in zip(self.before.mean(axis=0), self.after.mean(axis=0), low, high, strict=True)
        )
        return f"{n:6d}  " + "  ".join(columns)


def shop_of(seed: int, sigma: float = SIGMA, customers: int = SHOP.customers) -> ShopSettings:
    """Return a shop whose causes have other shares than the built-in priors; the same ones if sigma is 0."""
    rng, shares = np.random.default_rng(seed), np.array(list(CAUSE_PRIORS.values()))
    shares *= np.exp(rng.normal(0.0, sigma, len(shares)))[:, None]
    shares /= shares.sum(axis=0)
    rows = tuple((float(once), float(repeat)) for once, repeat in shares)
    return ShopSettings(customers=customers, days=SHOP.days, cause_shares=rows if sigma else SHOP.cause_shares)


def gain(explained: Sequence[Explained], seed: int, confirmed: int = CONFIRMED) -> Gain:
    """Learn the first confirmations of a shop, and judge on the other customers."""
    draws, learned = _draws(seed), LearnedCauses()
    for number, one in enumerate(explained[:confirmed]):
        named, blind = named_by(learned, one), next(draws) < BLIND_SHARE
        cause = confirmed_cause(one.fact, () if blind else named, draws)
        learned.learn(confirmation(one, f"al_{number}", cause, named, blind=blind))
    others = explained[confirmed:]
    before = [found(one, one.named) for one in others]
    return Gain(np.array(before), np.array([found(one, named_by(learned, one)) for one in others]))


def confirmation(one: Explained, alert_id: str, cause: str, named: Sequence[str], *, blind: bool) -> Confirmation:
    """Return the confirmation of a cause."""
    present, absent = (
        tuple(key for key, is_in in one.readings.items() if is_in.present is kind) for kind in (True, False)
    )
    return Confirmation(one.at, alert_id, cause, one.repeat, blind, tuple(named[:NAMED]), present, absent)


def named_by(learned: LearnedCauses, one: Explained) -> list[str]:
    """Return the causes that are named for a customer with what was learned, most likely first."""
    priors = learned.priors(ONE_TIME, REPEAT)[one.repeat]
    return [cause.key for cause in name_causes(priors, one.readings, learned.rules())]


def found(one: Explained, named: Sequence[str]) -> tuple[float, float]:
    """Return whether a true cause is the first one named, and whether it is among the first three."""
    true = set(one.fact.causes)
    return float(named[0] in true), float(not true.isdisjoint(named[:NAMED]))


def _draws(seed: int) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    while True:
        yield float(rng.random())


def joined(gains: Sequence[Gain]) -> Gain:
    """Return the gains of several shops as one."""
    return Gain(np.concatenate([one.before for one in gains]), np.concatenate([one.after for one in gains]))


def main(
    shops: Annotated[int, typer.Option(help="Number of shops of each kind.")] = 5,
    confirmed: Annotated[int, typer.Option(help="Confirmations per shop.")] = CONFIRMED,
) -> None:
    """Print the accuracy before and after learning, with the 95 % interval of the difference."""
    print(f"{confirmed} confirmations per shop; held out    top-1                              top-3")
    for name, sigma in (("other priors", SIGMA), ("same priors", 0.0)):
        gains: list[Gain] = []
        for seed in range(FIRST_SEED, FIRST_SEED + shops):
            gains.append(gain(explained_leavers(seed, shop_of(seed, sigma)), seed, confirmed))
            print(f"{name}, seed {seed:3d}  {gains[-1]}", flush=True)
        print(f"{name}, all       {joined(gains)}")


if __name__ == "__main__":
    typer.run(main)
