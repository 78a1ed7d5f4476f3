"""PromQL that the pages share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asking:
    """Builds queries over the series that a page is about.

    Args:
        where: matchers, such as `shop=~"$shop"`.

    >>> Asking('shop=~"$shop"').ratio("churn_repeat_buyers", "churn_buyers")
    'sum(churn_repeat_buyers{shop=~"$shop"}) / (sum(churn_buyers{shop=~"$shop"}) > 0)'
    """

    where: str = ""

    def total(self, metric: str, by: str = "", more: str = "") -> str:
        """A gauge, summed over processes and labels."""
        return f"sum{_by(by)}({self.series(metric, more)})"

    def rate(self, metric: str, by: str = "", more: str = "") -> str:
        """How much a counter grows a second."""
        return f"sum{_by(by)}(rate({self.series(metric, more)}[$__rate_interval]))"

    def gained(self, metric: str, by: str = "", more: str = "", over: str = "$__range") -> str:
        """How much a counter has grown, by default in the range of time above the page."""
        return f"sum{_by(by)}(increase({self.series(metric, more)}[{over}]))"

    def ratio(self, part: str, whole: str, more: str = "", by: str = "") -> str:
        """A gauge as a share of another; nothing while that is nought."""
        return f"{self.total(part, by, more)} / ({self.total(whole, by, more)} > 0)"

    def share(self, part: str, whole: str, over: str = "$__range") -> str:
        """What a counter has gained as a share of what another has; each with its matchers in braces or without."""
        return f"{self._gained(part, over)} / ({self._gained(whole, over)} > 0)"

    def quantile(self, share: float, metric: str) -> str:
        """The value below which a share of a histogram lies, lately."""
        return f"histogram_quantile({share}, {self.rate(f'{metric}_bucket', 'le')})"

    def series(self, metric: str, more: str = "") -> str:
        """The metric with the page's matchers and more of them."""
        matchers = ",".join(one for one in (self.where, more) if one)
        return f"{metric}{{{matchers}}}" if matchers else metric

    def _gained(self, metric: str, over: str) -> str:
        name, _, more = metric.rstrip("}").partition("{")
        return self.gained(name, "", more, over)


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
