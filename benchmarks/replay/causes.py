"""How often the cause that an explanation names is the one for which a simulated customer has left.

    python -m benchmarks.replay.causes --seeds 20

Each seed draws a shop anew, with hidden causes. Everyone who has left is explained once, as the product would do it: at
the first nomination, after he has left, at which his scores agree that he is at risk, from what the log has told by
then. Scores are those of the prior, which a shop has before anything was learned: they decide when somebody is
explained, and not what is said. Who has left, and why, is known to this program alone. A customer counts as found if
one of his true causes is among the first that were named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.core.arrays import Floats
from stream_app.core.causes.catalogue import ONE_TIME, REPEAT
from stream_app.core.causes.explanation import Explanation
from stream_app.core.customers.codec.decisions import EXPERTS
from stream_app.core.customers.customer import Customer
from stream_app.core.model.bg_nbd import bg_nbd_log_odds
from stream_app.core.model.churn_model import PRIOR_SOURCE, Scores, probability_of
from stream_app.core.model.features import NAMES
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.simulate import ShopSettings, Truth, simulate, truth

SHOP: Final = ShopSettings(customers=1_500, days=365)
SETTINGS: Final = Settings(zone="Asia/Shanghai")


class PriorAlone:
    """A model that has learned nothing and costs nothing."""

    def decide(self, view: StateFrame) -> Scores:
        """Score decisions; what the models would have seen is left out, since nobody learns from it."""
        n = len(view.now)
        nothing = np.zeros((n, len(NAMES)), dtype=np.float16)
        return Scores(nothing, np.zeros((n, len(EXPERTS)), dtype=np.float32), self.score(view), PRIOR_SOURCE, 0)

    def score(self, view: StateFrame) -> Floats:
        """Probabilities of churn."""
        return probability_of(bg_nbd_log_odds(view))


@dataclass(frozen=True)
class Explained:
    """One who has left, and what was said of him."""

    fact: Truth
    silent_days: float
    repeat: bool
    explanation: Explanation

    @property
    def named(self) -> list[str]:
        """The causes, likeliest first."""
        return [cause.key for cause in self.explanation.causes]

    @property
    def prior(self) -> list[str]:
        """The causes as the priors alone have them."""
        priors = REPEAT if self.repeat else ONE_TIME
        return sorted(priors, key=lambda cause: -priors[cause])


@dataclass(frozen=True)
class Found:
    """The shares of those who left whose cause is among the first one and the first three."""

    customers: int
    top_1: float
    top_3: float
    prior_1: float
    prior_3: float

    def __str__(self) -> str:
        shares = (self.top_1, self.top_3, self.prior_1, self.prior_3)
        return f"{self.customers:9d}  " + "  ".join(f"{share:7.3f}" for share in shares)


def found(explained: Sequence[Explained]) -> Found:
    """How often a true cause is among those that were named first."""

    def share(of: str, first: int) -> float:
        return float(np.mean([not set(getattr(one, of)[:first]).isdisjoint(one.fact.causes) for one in explained]))

    return Found(len(explained), share("named", 1), share("named", 3), share("prior", 1), share("prior", 3))


class Watch:
    """Waits for those who have left to be held at risk, and explains them then."""

    def __init__(self, settings: Settings, left: dict[str, Truth]) -> None:
        self.partition = PartitionProcessor(settings, complaint_reader())
        self._settings = settings
        self._pending = left
        self._model = PriorAlone()

    def explain(self, moment: int) -> Iterator[tuple[Truth, Customer]]:
        """Those whom the product could nominate at a moment, and who have left since they were last asked for."""
        self.partition.advance(moment)
        self.partition.finish(self._model)
        left = [fact for fact in self._pending.values() if left_at(fact) < moment]
        for fact in left:
            customer = self.partition.customers.get(fact.customer_id)
            if customer is not None and self._is_at_risk(customer):
                del self._pending[fact.customer_id]
                yield fact, customer

    def _is_at_risk(self, customer: Customer) -> bool:
        """Whether the last two decisions and the latest score agree, as for a nomination; the capacity is no matter."""
        ranks = self.partition.ranking.rows(np.array([customer.index]))
        return bool(np.minimum(np.minimum(ranks.earlier, ranks.last), ranks.latest)[0] >= self._settings.alert_above)


def left_at(fact: Truth) -> int:
    """When a customer left, microseconds since 1970; long after every log if he has not."""
    return 1 << 62 if fact.left_at is None else (fact.left_at - EPOCH) // MICROSECOND


def explained_leavers(seed: int, shop: ShopSettings = SHOP, settings: Settings = SETTINGS) -> list[Explained]:
    """All who have left a simulated shop and were at risk afterwards, explained."""
    watch = Watch(settings, {fact.customer_id: fact for fact in truth(shop, seed) if fact.left_at is not None})
    explained: list[Explained] = []
    moment = 0
    for event in chain.from_iterable(simulate(shop, seed)):
        at = event.at
        moment = moment or settings.next_nomination(at)
        while moment <= at:
            for fact, customer in watch.explain(moment):
                about = watch.partition.explainer.profile(customer, moment)
                said = watch.partition.explainer.explain(about)
                explained.append(Explained(fact, about.silent_days, about.repeats > 0, said))
            moment = settings.next_nomination(moment)
        watch.partition.apply(event, at)
    return explained


def main(arguments: Sequence[str]) -> None:
    """Print a line for each seed, and one over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--customers", type=int, default=SHOP.customers)
    options = parser.parse_args(arguments)
    shop = ShopSettings(customers=options.customers, days=SHOP.days)
    print("seed  customers    top-1    top-3  prior-1  prior-3")
    everybody: list[Explained] = []
    for seed in range(options.first, options.first + options.seeds):
        explained = explained_leavers(seed, shop)
        everybody += explained
        print(f"{seed:4d}  {found(explained)}", flush=True)
    print(f" all  {found(everybody)}")
    print(f"silent for {np.median([one.silent_days for one in everybody]):.0f} days in the median when explained")


if __name__ == "__main__":
    main(sys.argv[1:])
