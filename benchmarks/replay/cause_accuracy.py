"""Accuracy of explanations: how often they name a true cause of a simulated customer's churn.

    python -m benchmarks.replay.cause_accuracy --seeds 20

Each seed simulates a shop with hidden causes. Every customer who has left is explained once, as in production: at the
first allocation after they left at which their scores agree that they are at risk. The scores are those of a shop
without a trained model (BG/NBD); they decide when a customer is explained, but do not affect the explanation. A
customer counts as found if one of their true causes is among the first causes named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Final

import numpy as np
import typer

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.core.arrays import Floats
from stream_app.core.causes.catalogue import ONE_TIME, REPEAT
from stream_app.core.causes.explanation import Explanation
from stream_app.core.causes.inference import read_evidence
from stream_app.core.causes.rule import Reading
from stream_app.core.customers.customer import Customer
from stream_app.core.expert_spec import DEFAULT
from stream_app.core.model.bg_nbd import bg_nbd_log_odds
from stream_app.core.model.experts.expert import probability_of
from stream_app.core.model.features import NAMES
from stream_app.core.model.scores import EXPERTS, PRIOR_SOURCE, LogOddsColumns, Scores
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import micros
from stream_app.simulate import ShopSettings, Truth, simulate, truth

SHOP: Final = ShopSettings(customers=1_500, days=365)
SETTINGS: Final = Settings(zone="Asia/Shanghai")


class BaselineModel:
    """A model that scores by the BG/NBD baseline alone and learns nothing."""

    feedback = None

    def decide(self, view: StateFrame) -> Scores:
        """Return scores without features and log-odds of experts, since nothing learns from them."""
        n = len(view.now)
        nothing = np.zeros((n, len(NAMES)), dtype=np.float16)
        log_odds = np.zeros((n, len(EXPERTS)), dtype=np.float32)
        stored = LogOddsColumns(DEFAULT).pack(log_odds, log_odds[:, 0])
        return Scores(nothing, log_odds, self.score(view), PRIOR_SOURCE, 0, stored)

    def lost_probability(self, silent_days: Floats, churn_probability: Floats) -> Floats:
        """Raise NotImplementedError, since no calls are planned."""
        raise NotImplementedError

    def expected_value(self, view: StateFrame, churn_probability: Floats) -> Floats:
        """Raise NotImplementedError, like `lost_probability`."""
        raise NotImplementedError

    def next_order_days(self, silent_days: Floats, churn_probability: Floats) -> tuple[Floats, Floats]:
        """Raise NotImplementedError, like `lost_probability`."""
        raise NotImplementedError

    def score(self, view: StateFrame) -> Floats:
        """Return probabilities of churn."""
        return probability_of(bg_nbd_log_odds(view))


@dataclass(frozen=True)
class Explained:
    """A customer who has left, with their explanation."""

    fact: Truth
    at: int  # microseconds
    silent_days: float
    repeat: bool
    readings: dict[str, Reading]
    explanation: Explanation

    @property
    def named(self) -> list[str]:
        """The causes of the explanation, most likely first."""
        return [cause.key for cause in self.explanation.causes]

    @property
    def prior(self) -> list[str]:
        """The causes by their priors alone, most likely first."""
        priors = REPEAT if self.repeat else ONE_TIME
        return sorted(priors, key=lambda cause: -priors[cause])


@dataclass(frozen=True)
class Accuracy:
    """Shares of customers with a true cause among the first one and three causes, explained and by priors alone."""

    customers: int
    top_1: float
    top_3: float
    prior_1: float
    prior_3: float

    def __str__(self) -> str:
        shares = (self.top_1, self.top_3, self.prior_1, self.prior_3)
        return f"{self.customers:9d}  " + "  ".join(f"{share:7.3f}" for share in shares)


def accuracy(explained: Sequence[Explained]) -> Accuracy:
    """Return how often a true cause is among the first that are named."""

    def share(of: str, first: int) -> float:
        return float(np.mean([not set(getattr(one, of)[:first]).isdisjoint(one.fact.causes) for one in explained]))

    return Accuracy(len(explained), share("named", 1), share("named", 3), share("prior", 1), share("prior", 3))


class Leavers:
    """Customers who have left and have not been explained.

    Args:
        settings: the shop's settings.
        left: facts by customer.
    """

    def __init__(self, settings: Settings, left: dict[str, Truth]) -> None:
        self.partition = PartitionProcessor(settings, complaint_reader())
        self._settings = settings
        self._pending = left
        self._model = BaselineModel()

    def take_at_risk(self, moment: int) -> Iterator[tuple[Truth, Customer]]:
        """Remove and yield the customers who have left and are at risk at this time."""
        self.partition.advance(moment)
        self.partition.finish(self._model)
        left = [fact for fact in self._pending.values() if left_at(fact) < moment]
        for fact in left:
            customer = self.partition.customers.get(fact.customer_id)
            if customer is not None and self._is_at_risk(customer):
                del self._pending[fact.customer_id]
                yield fact, customer

    def _is_at_risk(self, customer: Customer) -> bool:
        """Whether the last two decisions and the latest score agree, as for an alert candidate."""
        ranks = self.partition.ranking.rows(np.array([customer.index]))
        return bool(np.minimum(np.minimum(ranks.earlier, ranks.last), ranks.latest)[0] >= self._settings.alert_above)


def left_at(fact: Truth) -> int:
    """Return when a customer left, microseconds since 1970; long after every log if they have not."""
    return 1 << 62 if fact.left_at is None else micros(fact.left_at)


def explained_leavers(seed: int, shop: ShopSettings = SHOP, settings: Settings = SETTINGS) -> list[Explained]:
    """Explain all customers who left a simulated shop and were at risk afterwards."""
    leavers = Leavers(settings, {fact.customer_id: fact for fact in truth(shop, seed) if fact.left_at is not None})
    explained: list[Explained] = []
    moment = 0
    for event in chain.from_iterable(simulate(shop, seed)):
        at = event.at
        moment = moment or settings.next_nomination(at)
        while moment <= at:
            for fact, customer in leavers.take_at_risk(moment):
                about = leavers.partition.explainer.profile(customer, moment)
                explanation = leavers.partition.explainer.explain(about)
                explained.append(
                    Explained(fact, moment, about.silent_days, about.repeats > 0, read_evidence(about), explanation)
                )
            moment = settings.next_nomination(moment)
        leavers.partition.apply(event, at)
    return explained


def main(
    seeds: Annotated[int, typer.Option(help="Number of shops.")] = 20,
    first: Annotated[int, typer.Option(help="Seed of the first shop.")] = 1,
    customers: Annotated[int, typer.Option(help="Customers of each shop.")] = SHOP.customers,
) -> None:
    """Print how often true causes are found: a line per seed, and one for all seeds."""
    shop = ShopSettings(customers=customers, days=SHOP.days)
    print("seed  customers    top-1    top-3  prior-1  prior-3")
    everybody: list[Explained] = []
    for seed in range(first, first + seeds):
        explained = explained_leavers(seed, shop)
        everybody += explained
        print(f"{seed:4d}  {accuracy(explained)}", flush=True)
    print(f" all  {accuracy(everybody)}")
    print(f"silent for {np.median([one.silent_days for one in everybody]):.0f} days in the median when explained")


if __name__ == "__main__":
    typer.run(main)
