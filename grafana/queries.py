"""Builder of PromQL queries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Queries:
    """Builder of queries with common label matchers.

    Args:
        where: matchers, such as `shop=~"$shop"`.

    >>> Queries('shop=~"$shop"').ratio("churn_repeat_buyers", "churn_buyers")
    'sum(churn_repeat_buyers{shop=~"$shop"}) / (sum(churn_buyers{shop=~"$shop"}) > 0)'
    """

    where: str = ""

    def total(self, metric: str, by: str = "", more: str = "") -> str:
        """Return a gauge, summed over processes and labels."""
        return f"sum{_by(by)}({self.series(metric, more)})"

    def rate(self, metric: str, by: str = "", more: str = "") -> str:
        """Return the growth of a counter per second."""
        return f"sum{_by(by)}(rate({self.series(metric, more)}[$__rate_interval]))"

    def increase(self, metric: str, by: str = "", more: str = "", over: str = "$__range") -> str:
        """Return the growth of a counter, by default in the time range of the page."""
        return f"sum{_by(by)}(increase({self.series(metric, more)}[{over}]))"

    def ratio(self, part: str, whole: str, more: str = "", by: str = "") -> str:
        """Return the ratio of two gauges; empty while the denominator is zero."""
        return f"{self.total(part, by, more)} / ({self.total(whole, by, more)} > 0)"

    def share(self, part: str, whole: str, over: str = "$__range") -> str:
        """Return the ratio of the growth of two counters, which may have matchers in braces."""
        return f"{self._increase(part, over)} / ({self._increase(whole, over)} > 0)"

    def quantile(self, share: float, metric: str) -> str:
        """Return a quantile of a histogram over the rate interval."""
        return f"histogram_quantile({share}, {self.rate(f'{metric}_bucket', 'le')})"

    def series(self, metric: str, more: str = "") -> str:
        """Return a metric with the common matchers and additional ones."""
        matchers = ",".join(one for one in (self.where, more) if one)
        return f"{metric}{{{matchers}}}" if matchers else metric

    def _increase(self, metric: str, over: str) -> str:
        name, _, more = metric.rstrip("}").partition("{")
        return self.increase(name, "", more, over)


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
