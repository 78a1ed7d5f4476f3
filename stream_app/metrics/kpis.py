"""Declares the KPIs of the shop and its customers.

`core/kpis/` counts them in `event_counts.py`, `population.py` and `monthly_churn.py`, and
`services/worker/kpi_publisher.py` sets the metrics; `metrics/index.py` says where every other number is counted.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from stream_app.core.partition.call_rules import RULES
from stream_app.metrics.base import Metrics
from stream_app.metrics.labels import MAX_ALERT_SERIES


class KpiMetrics(Metrics):
    """KPIs of one worker's partitions; sum them over all workers.

    docs/reference/kpis.md defines each KPI and the ratios derived from them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        # Customers
        self.by_band = self._gauge_table(
            "risk_customers",
            "Scored customers, by risk band of the latest churn probability"
            " (low: below 0.25; medium: below 0.5; high: below 0.75; very_high).",
            "shop",
            "segment",
            "band",
        )
        self.by_segment = self._gauge_table("segment_customers", "Buyers by customer segment.", "shop", "segment")
        self.by_stage = self._gauge_table("stage_customers", "Buyers by lifecycle stage.", "shop", "stage")
        self.buyers = self._gauge_table("buyers", "Customers with at least one valid order.", "shop")
        self.repeat_buyers = self._gauge_table(
            "repeat_buyers",
            "Customers with at least two valid orders; divide by buyers for the repurchase rate.",
            "shop",
        )
        self.inactive_buyers = self._gauge_table(
            "inactive_buyers",
            "Buyers without an order for lost_after; divide by buyers for the inactive share.",
            "shop",
        )

        # Months
        self.month_start = self._gauge_table(
            "month_start_timestamp_seconds",
            "Start of the calendar month on the shop's clock; take the maximum over all workers.",
            "month",
        )
        self.month_customers = self._gauge_table(
            "month_start_customers", "Buyers who were not lost at the start of the calendar month.", "shop", "month"
        )
        self.month_lost = self._gauge_table(
            "month_lost_customers",
            "Buyers among them who became lost in the month; divide by month_start_customers for the churn rate.",
            "shop",
            "month",
        )
        self.month_returned = self._gauge_table(
            "month_returned_customers", "Lost buyers who ordered again in the month.", "shop", "month"
        )

        # Visits
        self.page_views = self._counter("page_views", "Page views.", "shop")
        self.visits = self._counter(
            "visits", "Visits: page views with no other page view of the customer in the 30 minutes before.", "shop"
        )
        self.visits_continued = self._counter(
            "visits_continued", "Visits with a second page view; the remaining visits are bounces.", "shop"
        )
        self.visitors = self._counter("visitors", "Distinct visitors per day, summed over days.", "shop")
        self.funnel = self._counter(
            "funnel_steps",
            "Funnel steps: visits, favourites, items added to the cart, checkouts, orders placed, paid and delivered,"
            " and complaints, reviews and returns about orders.",
            "shop",
            "step",
        )
        self.amounts = self._counter(
            "funnel_amount", "Order value at the funnel steps, in the shop's currency.", "shop", "step"
        )
        self.checkout_losses = self._counter(
            "checkout_losses", "Abandoned checkouts and failed payments, by reason.", "shop", "reason"
        )

        # Orders
        self.orders = self._counter("orders", "Valid orders, by first or repeat order of the customer.", "shop", "kind")
        self.revenue = self._counter("revenue_amount", "Value of valid orders, in the shop's currency.", "shop")
        self.daily_buyers = self._counter(
            "daily_buyers",
            "Distinct buyers per day, summed over days; divide by visitors for the conversion rate.",
            "shop",
        )
        self.complaints = self._counter(
            "complaints", "Complaints, low reviews, return reasons and unsubscribes, by category.", "shop", "category"
        )

        self.contacts = self._counter(
            "contacts", "Contacts with customers as reported by the shop's tools, by action.", "shop", "action"
        )

        # Alerts
        self.open_alerts = self._gauge_table(
            "open_alerts",
            "Open alerts, by most likely cause and by segment of the customer at opening"
            f" (unknown: opened by an older version, or beyond {MAX_ALERT_SERIES:,} combinations per worker).",
            "shop",
            "cause",
            "segment",
        )
        self.opened = self._counter_table(
            "alerts_opened", "Alerts opened, by most likely cause and segment.", "shop", "cause", "segment"
        )
        self.closed = self._counter_table(
            "alerts_closed", "Alerts closed, by reason and segment.", "shop", "reason", "segment"
        )
        self.outcomes = self._counter_table(
            "alert_outcomes",
            "Alerts resolved by staff, by outcome, confirmed cause and segment.",
            "outcome",
            "cause",
            "segment",
        )
        self.suppressed = self._counter(
            "alert_candidates_suppressed", "Customers at risk who got no alert, by reason.", "reason"
        )
        for reason in RULES:
            self.suppressed.labels(reason)

        # Holdout
        self.drawn = self._counter_table(
            "holdout_drawn", "Customers drawn in the holdout experiment, by arm.", "experiment", "arm"
        )
        self.trial_outcomes = self._counter_table(
            "holdout_outcomes",
            "Drawn customers whose window has ended, by arm and by whether they ordered within it.",
            "experiment",
            "arm",
            "outcome",
        )
