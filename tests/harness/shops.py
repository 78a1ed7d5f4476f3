"""Small shops for tests of the core: events, logs drawn by hypothesis, a trained model, and a minimal shell."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import Any, Final
from zlib import crc32

import msgspec
import numpy as np
from hypothesis import strategies as st

from stream_app.core.alerts.lifecycle import Alert, AlertClosing, open_alerts
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.events.enumerations import CartAction, ComplaintAction, ContactAction, OrderAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Event, Order
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.experts.expert import Labels, Rows
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import CHURNED, Matured, Pending, Returned
from stream_app.core.model.scores import LogOddsColumns
from stream_app.core.partition.processor import Counts, PartitionProcessor
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND

T0: Final = 1_704_067_200_000_000  # 2024-01-01 00:00 UTC, a Monday, microseconds
SECOND: Final = 1_000_000
SHOP: Final = Settings(
    rank_by="risk",
    horizon=10 * DAY_US,
    active_window=25 * DAY_US,
    decide_every=2 * DAY_US,
    lateness=DAY_US,
    lost_after=15 * DAY_US,
    capacity=2,
    agreement=DAY_US,
    alert_above=0.01,  # the trained model is seldom certain; the threshold has a test of its own
)
PLANNED: Final = msgspec.structs.replace(SHOP, rank_by="worth")
_ids = count()


def _basics(customer: str, at: int, event_id: str | None) -> dict[str, Any]:
    named = event_id if event_id is not None else f"e{next(_ids)}"
    return {"event_id": named, "customer_id": customer, "occurred_at": EPOCH + at * MICROSECOND}


def order(customer: str, at: int, event_id: str | None = None, **fields: Any) -> Order:
    """Return an order at `at` microseconds, by default a paid one."""
    return Order(**_basics(customer, at, event_id), **fields)


def browsing(customer: str, at: int, event_id: str | None = None, **fields: Any) -> Browsing:
    return Browsing(**_basics(customer, at, event_id), **fields)


def cart(customer: str, at: int, event_id: str | None = None, **fields: Any) -> Cart:
    """Return a cart event, by default an addition."""
    return Cart(**_basics(customer, at, event_id), **fields)


def complaint(customer: str, at: int, event_id: str | None = None, **fields: Any) -> Complaint:
    """Return a complaint event, by default an opening."""
    return Complaint(**_basics(customer, at, event_id), **fields)


def contact(customer: str, at: int, action: str = "sent", event_id: str | None = None) -> Contact:
    """Return a contact, by default a message that was sent."""
    return Contact(**_basics(customer, at, event_id), action=ContactAction(action))


@st.composite
def some_event(draw: st.DrawFn, at: int, customers: int, contacts: bool) -> Event:
    customer = f"c{draw(st.integers(0, customers - 1))}"
    kind = draw(st.sampled_from(["order", "order", "browsing", "cart", "complaint", *["contact"] * contacts]))
    match kind:
        case "order":
            action = draw(
                st.sampled_from([OrderAction.PAID, OrderAction.PAID, OrderAction.PLACED, OrderAction.RETURNED])
            )
            return order(customer, at, action=action, amount=draw(st.sampled_from([None, 0.0, 9.9, 250.0])))
        case "browsing":
            return browsing(customer, at, category=draw(st.sampled_from([None, "shoes", "hats"])))
        case "cart":
            return cart(customer, at, action=draw(st.sampled_from(CartAction)))
        case "contact":
            return contact(customer, at, draw(st.sampled_from(ContactAction)))
        case _:
            case = draw(st.sampled_from(["a", "b", "c"]))
            return complaint(customer, at, action=draw(st.sampled_from(ComplaintAction)), complaint_id=case)


@st.composite
def logs(
    draw: st.DrawFn, customers: int = 4, max_size: int = 25, start: int = T0, contacts: bool = False
) -> list[Event]:
    """Draw a log in order of time, with many gaps equal to the periods of SHOP."""
    special = [0, 1, HOUR_US, DAY_US, SHOP.decide_every, SHOP.horizon, SHOP.horizon + 1, SHOP.active_window]
    gaps = draw(st.lists(st.sampled_from(special) | st.integers(0, 4 * DAY_US), min_size=1, max_size=max_size))
    at, events = start, []
    for gap in gaps:
        at += gap
        events.append(draw(some_event(at, customers, contacts)))
    return events


def rows_of(rng: np.random.Generator, size: int) -> Rows:
    """Return rows of plausible features, rounded to float16 as they are stored, and a baseline."""
    features = rng.uniform(0.0, 5.0, (size, len(NAMES))).astype(np.float16).astype(np.float64)
    return Rows(features, rng.normal(0.0, 1.0, size))


def separable(rng: np.random.Generator, size: int) -> tuple[Rows, Labels]:
    """Return rows whose label depends on recency, with 10 % noise: a rule that every expert can learn."""
    rows = rows_of(rng, size)
    place = NAMES.index("recency")
    for other in ("recency_to_gap", "silence"):  # correlated with recency in a real log
        rows.features[:, NAMES.index(other)] = rows.features[:, place] / 2
    labels = (rows.features[:, place] > 2.5) ^ (rng.random(size) < 0.1)
    return rows, labels.astype(np.int8)


def matured_rows(churn_model: ChurnModel, rows: Rows, labels: Labels, decided_at: int, horizon: int) -> list[Matured]:
    """Return decisions of a model on rows, with their labels."""
    log_odds, probability = churn_model.predict(rows)
    stored = LogOddsColumns(churn_model.specs).pack(log_odds, rows.prior)
    found = []
    for row, label in enumerate(labels.tolist()):
        pending = Pending(f"c{row:05d}", decided_at)
        pending.features = rows.features[row].astype(np.float16).tobytes()
        pending.log_odds = stored[row].tobytes()
        pending.probability = float(probability[row])
        found.append(Matured(pending, label, decided_at + horizon))
    return found


def train(
    churn_model: ChurnModel, days: Iterable[int], seed: int = 1, rows_a_day: int = 120, horizon: int = SHOP.horizon
) -> None:
    """Train a model on days of separable rows, with decisions and returns counted as the shells do."""
    for day in days:
        rng = np.random.default_rng([seed, day])
        rows, labels = separable(rng, rows_a_day)
        decided_at = T0 + day * DAY_US
        matured = matured_rows(churn_model, rows, labels, decided_at, horizon)
        cohorts = Cohorts()
        cohorts.record_decisions([one.pending for one in matured])
        cohorts.record_returns(
            [
                Returned(decided_at, decided_at + int(rng.integers(1, horizon)))
                for one in matured
                if one.label != CHURNED
            ]
        )
        churn_model.record_cohorts(cohorts)
        churn_model.learn_day(matured, decided_at + horizon)


@cache
def trained_model() -> ChurnModel:
    """Return a trained model whose tree has split. It is shared and must not be changed."""
    churn_model = ChurnModel(SHOP.horizon, SHOP.decide_every, seed=1)
    train(churn_model, range(30))
    return churn_model


@cache
def planning_model() -> ChurnModel:
    """Return the trained model with an untrained lost probability. It is shared and must not be changed."""
    churn_model = copy.deepcopy(trained_model())
    churn_model.track_lost(PLANNED)
    return churn_model


@dataclass
class ShopOutcome:
    decisions: dict[tuple[str, int], tuple[float, bytes, bytes]] = field(default_factory=dict)
    labels: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)  # -> label, matured_at
    opened: list[Alert] = field(default_factory=list, compare=False)  # NaN is not equal to itself: see `texts`
    closed: list[AlertClosing] = field(default_factory=list, compare=False)
    texts: list[str] = field(default_factory=list)  # alerts opened and closed, as text
    breaches: list[SlaBreach] = field(default_factory=list, compare=False)
    ended: list[SlaBreachEnded] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)  # explanations and breaches, as text
    returned: list[Returned] = field(default_factory=list)
    steps: Counter[tuple[int, bool]] = field(default_factory=Counter)  # (cell, with a return) -> ended steps
    vector: dict[str, list[float]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)


class Shell:
    """Minimal shell: partitions, an allocator and a fixed model."""

    def __init__(self, settings: Settings = SHOP, partitions: int = 1, model: ChurnModel | None = None) -> None:
        self.settings = settings
        self.model = model or (planning_model() if settings.plans_calls else trained_model())
        self.partitions = [PartitionProcessor(settings) for _ in range(partitions)]
        self.outcome = ShopOutcome()
        self._nomination = settings.next_nomination(T0)

    def of(self, customer: str) -> PartitionProcessor:
        return self.partitions[crc32(customer.encode()) % len(self.partitions)]

    def take(self, event: Event) -> None:
        """Run the allocations that are due, then apply an event."""
        while self._nomination <= event.at:
            self.nominate(self._nomination)
            self._nomination = self.settings.next_nomination(self._nomination)
        self.of(event.customer_id).apply(event, event.at)

    def nominate(self, at: int) -> None:
        for partition in self.partitions:
            partition.advance(at)
        self.finish()
        candidates = []
        for partition in self.partitions:
            partition.alerts.close_stale(at)
            if self.settings.opens_alerts(at):
                candidates += partition.alerts.candidates.best(at, self.model)
        for alert in open_alerts(candidates, self.settings):
            alerts = self.of(alert.customer).alerts
            explained = replace(alert, candidate=alerts.candidates.explained(alert.candidate))
            alerts.open_alert(explained)
            self.outcome.opened.append(explained)

    def finish(self, watermark: int | None = None) -> None:
        for partition in self.partitions:
            effects = partition.finish(self.model, watermark)
            for one in effects.decisions:
                key = (one.customer, one.decided_at)
                assert key not in self.outcome.decisions
                self.outcome.decisions[key] = (one.probability, one.features, one.log_odds)
            for matured in effects.matured:
                key = (matured.pending.customer, matured.pending.decided_at)
                assert key not in self.outcome.labels
                self.outcome.labels[key] = (matured.label, matured.matured_at)
            self.outcome.closed += effects.closed
            self.outcome.breaches += effects.breaches
            self.outcome.ended += effects.ended
            self.outcome.returned += effects.returned
            for cell, ended, returned in effects.steps.rows():
                self.outcome.steps.update({(cell, False): ended, (cell, True): returned})

    def end(self, last: int) -> ShopOutcome:
        """End the log at this time and return the results."""
        for partition in self.partitions:
            partition.advance(last + 1)
        self.finish(watermark=last)
        outcome = self.outcome
        for partition in self.partitions:
            outcome.vector |= {name: customer.vector.tolist() for name, customer in partition.customers.items()}
            for name, value in vars(partition.counts).items():
                setattr(outcome.counts, name, getattr(outcome.counts, name) + value)
        outcome.closed.sort(key=lambda one: (one.at, one.alert.customer))
        outcome.texts = [
            repr(one) for one in (*(alert.without_explanation() for alert in outcome.opened), *outcome.closed)
        ]
        explained = [repr(one.candidate.explanation) for one in outcome.opened]
        outcome.explained = [*explained, *map(repr, sorted(outcome.breaches, key=lambda one: one.alert_id))]
        outcome.ended.sort(key=lambda one: (one.at, one.alert_id))
        outcome.returned.sort()
        return outcome


def run_log(
    events: Sequence[Event],
    settings: Settings = SHOP,
    cuts: Sequence[bool] = (),
    partitions: int = 1,
) -> ShopOutcome:
    """Run a log to its end, and score after each event that is marked in `cuts`."""
    shell = Shell(settings, partitions)
    for place, event in enumerate(events):
        shell.take(event)
        if place < len(cuts) and cuts[place]:
            shell.finish()
    return shell.end(max(event.at for event in events))
