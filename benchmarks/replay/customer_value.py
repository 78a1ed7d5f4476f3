"""Accuracy of the expected value and of the interval of the next order, on a recorded log.

    python -m benchmarks.replay.customer_value LOG --format online-retail --horizon 60d

The log is replayed once, and every decision is compared with what the customer then brought within the horizon, net of
returns, and with the time of their next order. Decisions of the first 30 % of the log's time are left out. The rivals
are money / (age + horizon), and BG/NBD with gamma-gamma, refitted every 28 days, if the package lifetimes is installed.

The square root of the mean squared error (RMSE) is that of the spend capped at its 99th percentile; of the prediction
as it is, and of the prediction capped as well. The mean absolute error (MAE) is that of the whole spend. Gini: area
under the curve of the spend that the customers with the highest predictions bring, relative to that of a perfect order.

Coverage is the share of decisions whose next order is in its interval. It counts decisions before the end of the log
by at least the interval's beginning, or its end if it has one, so that it is known whether they are in it. In the
coverage of all decisions, a customer without an order until the end of the log counts as covered while their interval
has not ended.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from benchmarks.replay.ledger import Ledger
from benchmarks.replay.lifetimes_rival import lifetimes_predictions
from stream_app.core.arrays import Bools, Floats
from stream_app.core.durations import duration
from stream_app.core.events.schema import Event
from stream_app.core.model.labels import counts_as_order
from stream_app.core.partition.score_batch import Effects
from stream_app.core.settings import Settings
from stream_app.core.state.order_amounts import OrderAmounts
from stream_app.core.units import DAY_US
from stream_app.ingest import LogFormat, open_log
from stream_app.replay.runner import Replay

WARM_UP: Final = 0.3  # share of the log's time
CAP: Final = 0.99  # quantile of the spend


class RecordedReplay(Replay):
    """A replay that keeps what it predicts, and the money of every event."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.predicted: defaultdict[str, list[Floats]] = defaultdict(list)
        self.customers: list[str] = []  # of the decisions
        self.money: list[tuple[str, float, float, bool]] = []  # customer, day, amount, whether it is an order
        self._amounts: defaultdict[str, OrderAmounts] = defaultdict(OrderAmounts)

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Record the money of events."""
        for event in events:
            day = event.at / DAY_US
            counts = counts_as_order(event, self.settings)
            change = self._amounts[event.customer_id].change(event, counts=counts)
            if counts or change:
                self.money.append((event.customer_id, day, change, counts))
            yield event

    def _record(self, effects: Effects) -> None:
        super()._record(effects)
        if effects.scores is None or effects.view is None:
            return
        view, probability = effects.view, effects.scores.probability
        first, last = self.churn_model.next_order_days(view.recency, probability)
        self.customers += [one.customer for one in effects.decisions]
        columns = {
            "day": view.now,
            "value": self.churn_model.expected_value(view, probability),
            "rival": np.maximum(view["money"], 0.0) / (view.age + view.horizon) * view.horizon,
            "first": first,
            "last": last,
        }
        for name, column in columns.items():
            self.predicted[name].append(np.array(column))


def figures(name: str, spent: Floats, predicted: Floats) -> str:
    """Return a line of figures of a prediction."""
    cap = np.quantile(spent, CAP)
    error, capped = np.minimum(spent, cap) - predicted, np.minimum(spent, cap) - np.minimum(predicted, cap)
    rmse, capped_rmse = np.sqrt(np.mean(error**2)), np.sqrt(np.mean(capped**2))
    mae, total = np.mean(np.abs(spent - predicted)), predicted.sum() / spent.sum()
    area = gini(spent, predicted) / gini(spent, spent)
    return f"{name:24s} {rmse:9.2f} {capped_rmse:9.2f} {mae:9.2f} {area:9.4f} {total:9.3f}"


def gini(spent: Floats, predicted: Floats) -> float:
    """Return twice the area between the curve of cumulative spend, by rising prediction, and the diagonal.

    >>> gini(np.array([0.0, 0.0, 9.0]), np.array([1.0, 2.0, 3.0])).__round__(3)
    0.667
    """
    shuffled = np.random.default_rng(0).permutation(len(spent))  # decides between equal predictions
    shares = np.cumsum(spent[np.lexsort((shuffled, predicted))]) / spent.sum()
    return float((len(spent) + 1 - 2 * shares.sum()) / len(spent))


def coverage(until_order: Floats, until_end: Floats, first: Floats, last: Floats) -> tuple[float, float]:
    """Return the coverage of decisions for which it is known, and of all of them; see the module's description.

    Args:
        until_order: days from each decision to the customer's next order, or infinity.
        until_end: days from each decision to the end of the log.
        first: beginning of the interval, days from the decision.
        last: its end, or infinity.
    """
    inside: Bools = (until_order >= first) & (until_order <= np.maximum(last, first))
    inside |= np.isinf(until_order) & (until_end <= last)
    known = until_end >= np.where(np.isinf(last), first, last)
    return float(inside[known].mean()), float(inside.mean())


def main(
    log: Annotated[Path, typer.Argument(help="Recorded log.")],
    form: Annotated[str, typer.Option("--format", help="jsonl or the name of a mapping.")] = "jsonl",
    horizon: Annotated[str, typer.Option(help="As in `stream-app replay`.")] = "60d",
    lost_after: Annotated[str, typer.Option(help="As in `stream-app replay`.")] = "180d",
) -> None:
    """Print the accuracy of the expected value and of its rivals, and the coverage of the intervals."""
    settings = Settings(
        horizon=duration(horizon),
        active_window=duration(lost_after),
        lost_after=duration(lost_after),
        rank_by="worth",
    )
    replay = RecordedReplay(settings)
    with tempfile.TemporaryDirectory() as folder, open_log([log], LogFormat(form), Path(folder)) as opened:
        opened.scan()
        replay.run([event] for event in replay.watch(chain.from_iterable(opened.batches())))
    predicted = {name: np.concatenate(columns) for name, columns in replay.predicted.items()}
    ledger, days = Ledger(replay.money, replay.customers), settings.horizon / DAY_US
    day = predicted["day"]
    warm = day >= ledger.start + WARM_UP * (ledger.end - ledger.start)
    judged = warm & (day + days <= ledger.end)
    spent = np.maximum(ledger.spent(day, day + days), 0.0)[judged]
    print(f"{judged.sum():,} decisions, mean spend {spent.mean():.2f}, capped at {np.quantile(spent, CAP):.2f}")
    print(f"{'':24s} {'RMSE':>9s} {'both cap.':>9s} {'MAE':>9s} {'Gini':>9s} {'total':>9s}")
    print(figures("expected value", spent, predicted["value"][judged]))
    print(figures("money / (age + horizon)", spent, predicted["rival"][judged]))
    rival = lifetimes_predictions(ledger, day, days)
    if rival is not None:
        unknown = int(np.isnan(rival.raw[judged]).sum())
        print(figures("BG/NBD, gamma-gamma", spent, rival.predicted[judged]))
        print(f"  {rival.failures} of {rival.fits} fits failed, {unknown:,} predictions were NaN")
    until = ledger.until_order(day)
    known, everyone = coverage(until[warm], ledger.end - day[warm], predicted["first"][warm], predicted["last"][warm])
    has_end = np.isfinite(predicted["last"][warm]).mean()
    print(f"next order: coverage {known:.3f}, of all decisions {everyone:.3f}; {has_end:.0%} of the intervals end")


if __name__ == "__main__":
    typer.run(main)
