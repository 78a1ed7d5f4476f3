"""What calls do to a model that learns on a shop where they work, and how far a holdout mends it.

    python -m benchmarks.treatment --customers 5000 --days 365 --effect 0.1

A simulated shop is replayed three times: without an effect of calls, with an effect and the weights of
`Holdout.copies`, and with an effect and without the weights. With an effect, a called customer who would not order
within the horizon does so more often: as many of them order as raises the share of all called customers by `--effect`.
The models are compared on the same decisions, on customers who are called in none of the replays.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np
import typer

from stream_app.core.arrays import Bools
from stream_app.core.events.schema import Event, Order
from stream_app.core.model.evaluation_metrics import Scored, ece, roc_auc
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, from_micros
from stream_app.core.uplift.holdout import Holdout, draw
from stream_app.replay.results import CHURNED, OPEN, Decisions
from stream_app.replay.runner import Replay
from stream_app.simulate import ShopSettings, simulate

WARM_UP: Final = 0.3  # share of the log before the first decision that is compared
_WITHIN: Final = 20 * DAY_US  # a saved customer orders within this time after the call
_RETURNS: Final = 0.2  # expected share of called customers who would order anyway


class Unweighed(Holdout, frozen=True):
    """A holdout whose labels all count once."""

    def copies(self, customer: str, decided_at: int, arm: str, share: float) -> int:  # noqa: ARG002 - of Holdout
        """Return 1."""
        return 1


@dataclass(frozen=True)
class World:
    """A replay in which calls have an effect."""

    decisions: Decisions
    called: frozenset[str]
    saved: int


@dataclass(frozen=True)
class Comparison:
    """Quality on the same decisions on untreated customers."""

    name: str
    n: int
    auc: float
    ece: float
    called: int
    saved: int


class EffectiveCalls:
    """A log in which some of the called customers order again.

    Args:
        replay: the replay that reads the log, whose alerts are the calls.
        batches: the log without an effect of calls.
        effect: how much calls raise the share of customers who order.
        seed: decides who is saved.
    """

    def __init__(self, replay: Replay, batches: Iterable[list[Event]], effect: float, seed: int) -> None:
        self._replay, self._batches = replay, batches
        self._chance, self._seed = effect / (1.0 - _RETURNS), seed
        self._seen = 0  # number of alerts that have been looked at
        self._orders: list[tuple[int, str, Order]] = []  # a heap of the orders of saved customers
        self.saved = 0

    def __iter__(self) -> Iterator[list[Event]]:
        for batch in self._batches:
            for event in batch:
                self._save()
                while self._orders and self._orders[0][0] < event.at:
                    yield [heapq.heappop(self._orders)[2]]
                yield [event]

    def _save(self) -> None:
        opened = self._replay.outcome.opened
        for alert in opened[self._seen :]:
            if not alert.is_held_out and draw(alert.alert_id, str(self._seed)) < self._chance:
                self.saved += 1
                at = alert.opened_at + round((0.05 + 0.95 * draw(alert.alert_id, "when")) * _WITHIN)
                order = Order(
                    event_id=f"saved-{alert.alert_id}",
                    customer_id=alert.customer,
                    occurred_at=from_micros(at),
                    order_id=f"saved-{alert.alert_id}",
                    amount=alert.candidate.monthly_worth,
                )
                heapq.heappush(self._orders, (order.at, order.event_id, order))
        self._seen = len(opened)


def world(shop: ShopSettings, settings: Settings, effect: float, seed: int) -> World:
    """Replay a simulated shop in which calls have an effect."""
    replay = Replay(settings)
    log = EffectiveCalls(replay, simulate(shop, seed), effect, seed)
    outcome = replay.run(log)
    called = frozenset(one.customer for one in outcome.opened if not one.is_held_out)
    return World(outcome.columns.decisions(), called, log.saved)


def untouched(decisions: Decisions, called: frozenset[str]) -> Bools:
    """Return a mask of the labelled decisions after the warm-up on customers who were never called."""
    first, last = int(decisions.decided_at.min()), int(decisions.decided_at.max())
    free = np.array([name not in called for name in decisions.customers])
    warm = decisions.decided_at >= first + WARM_UP * (last - first)
    mask: Bools = (decisions.label != OPEN) & warm & free[decisions.customer]
    return mask


def compare(shop: ShopSettings, settings: Settings, effect: float, seed: int) -> list[Comparison]:
    """Return the quality of the three models, the one that never saw an effect first."""
    unweighed = Unweighed(**msgspec.structs.asdict(settings.holdout))
    worlds = {
        "no effect": world(shop, settings, 0.0, seed),
        "effect, weighed": world(shop, settings, effect, seed),
        "effect, unweighed": world(shop, msgspec.structs.replace(settings, holdout=unweighed), effect, seed),
    }
    called = frozenset().union(*(one.called for one in worlds.values()))
    return [_quality(name, one, called) for name, one in worlds.items()]


def _quality(name: str, one: World, called: frozenset[str]) -> Comparison:
    mask = untouched(one.decisions, called)
    scored = Scored(one.decisions.label[mask] == CHURNED, one.decisions.probability[mask])
    return Comparison(name, int(mask.sum()), roc_auc(scored), ece(scored), len(one.called), one.saved)


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the figures as lines of text."""
    auc, error = comparisons[0].auc, comparisons[0].ece
    lines = [f"{'model':18} {'n':>8} {'AUC':>7} {'±':>7} {'ECE':>7} {'±':>7} {'called':>7} {'saved':>6}"]
    lines += [
        f"{one.name:18} {one.n:8,} {one.auc:7.4f} {one.auc - auc:+7.4f} {one.ece:7.4f} {one.ece - error:+7.4f}"
        f" {one.called:7,} {one.saved:6,}"
        for one in comparisons
    ]
    return "\n".join(lines)


def main(
    customers: Annotated[int, typer.Option(help="Number of customers.")] = 5_000,
    days: Annotated[int, typer.Option(help="Days of the log.")] = 365,
    effect: Annotated[float, typer.Option(help="Effect of a call, as a share of the called customers.")] = 0.1,
    share: Annotated[float, typer.Option(help="Share of held-out customers.")] = 0.5,
    capacity: Annotated[int, typer.Option(help="Calls per working day.")] = 30,
    seed: Annotated[int, typer.Option(help="Seed of the shop.")] = 1,
) -> None:
    """Compare models with and without an effect of calls."""
    holdout = Holdout(share, later_share=share)
    settings = Settings(rank_by="worth", capacity=capacity, holdout=holdout, lost_after=120 * DAY_US)
    typer.echo(table(compare(ShopSettings(customers=customers, days=days), settings, effect, seed)))


if __name__ == "__main__":
    typer.run(main)
