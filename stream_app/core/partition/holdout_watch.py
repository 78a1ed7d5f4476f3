"""Tracks who was drawn in the holdout experiment, whether they order within its window, and what their labels count."""

from __future__ import annotations

import msgspec

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.customers.customer import Customer
from stream_app.core.kpis.aggregator import KpiAggregator
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.settings import Settings
from stream_app.core.uplift.holdout import NO_ARM, NOT_ORDERED, ORDERED, FirstDraw, Holdout


class HoldoutWatch:
    """The customers of a partition who were drawn in the holdout experiment and whose window has not ended.

    Args:
        settings: the shop's settings.
        working_set: the customers of the partition.
        aggregator: counts draws and outcomes.
    """

    def __init__(self, settings: Settings, working_set: WorkingSet, aggregator: KpiAggregator) -> None:
        self._settings, self._working_set, self._counts = settings, working_set, aggregator.event_counts
        self._waiting: dict[str, Customer] = {}  # by name

    def use(self, settings: Settings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    def restore(self, customer: Customer) -> None:
        """Start tracking a restored customer."""
        if customer.draw is not None and not customer.draw.ended:
            self._waiting[customer.name] = customer

    def record(self, customer: Customer, alert: Alert) -> None:
        """Record an alert that opens: the first one of the experiment is the customer's draw.

        The experiment is that of the draw: a policy may have changed it since.
        """
        candidate, holdout = alert.candidate, self._settings.holdout
        if candidate.arm == NO_ARM:
            return
        if alert.experiment:
            holdout = msgspec.structs.replace(holdout, experiment=alert.experiment)
        share = candidate.share or holdout.share  # 0 in messages of releases before the share could fall
        self._weigh_labels(customer, alert, holdout, share)
        if customer.draw is None or customer.draw.experiment != holdout.key:
            customer.draw = FirstDraw(holdout.key, share, alert.opened_at)
            self._waiting[customer.name] = customer
            self._counts.drawn[holdout.experiment, candidate.arm] += 1

    def _weigh_labels(self, customer: Customer, alert: Alert, holdout: Holdout, share: float) -> None:
        """Set how often the labels count whose horizon contains the draw of a holdout experiment; see `Holdout.copies`.

        If the customer returned before, a call no longer changes the label.
        """
        for pending in customer.waiting:
            if not pending.returned and alert.opened_at < pending.decided_at + self._settings.horizon:
                pending.copies = holdout.copies(customer.name, pending.decided_at, alert.candidate.arm, share)
        customer.packed = None

    def record_order(self, customer: Customer, at: int) -> None:
        """Record an order of a customer at a time in microseconds."""
        draw = customer.draw
        if draw is not None and not draw.ended and draw.at < at <= draw.at + self._settings.uplift_window:
            customer.draw = msgspec.structs.replace(draw, ordered=True)

    def end_windows(self, at: int) -> None:
        """Count the outcomes of customers whose window has ended, so that no order within it can still arrive.

        This runs once per day, like `AlertTracker.close_stale`.
        """
        settings, holdout = self._settings, self._settings.holdout
        for name, customer in list(self._waiting.items()):
            draw = customer.draw
            if draw is not None and draw.at + settings.uplift_window + settings.lateness < at:
                if draw.experiment == holdout.key:
                    arm, outcome = holdout.drawn_arm(name, draw.share), ORDERED if draw.ordered else NOT_ORDERED
                    self._counts.trial_outcomes[holdout.experiment, arm, outcome] += 1
                customer.draw = msgspec.structs.replace(draw, ended=True)
                self._working_set.changed.add(customer)
                del self._waiting[name]
