"""Prometheus HTTP API client."""

from __future__ import annotations

import http.client
import json
import math
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

_SECONDS: Final = 30.0  # timeout
_POINTS: Final = 240  # of a trend
_VALUES: Final = re.compile(r"label_values\((?:(?P<metric>.+),\s*)?(?P<label>\w+)\)")


class Refused(Exception):
    """Prometheus rejects a query."""


@dataclass(frozen=True)
class Range:
    """A time range in seconds since 1970, and the scrape interval."""

    start: float
    end: float
    scrape: int = 5

    @property
    def step(self) -> int:
        """Seconds between two points of a trend: `$__interval`."""
        return max(math.ceil((self.end - self.start) / _POINTS), self.scrape)

    def fill(self, expr: str, choices: Mapping[str, str]) -> str:
        """Return a query with Grafana's variables filled in.

        >>> Range(0, 600).fill('rate(x{a=~"$a"}[$__rate_interval])', {"a": ".*"})
        'rate(x{a=~".*"}[20s])'
        """
        own = {
            "__rate_interval": f"{max(self.step + self.scrape, 4 * self.scrape)}s",
            "__interval": f"{self.step}s",
            "__range": f"{round(self.end - self.start)}s",
        }
        return re.sub(r"\$\{?(\w+)\}?", lambda found: {**choices, **own}[found[1]], expr)


@dataclass(frozen=True)
class Series:
    """A time series: labels, and points of seconds and value."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """Latest value that is a number, or NaN."""
        known = [value for _, value in self.points if not math.isnan(value)]
        return known[-1] if known else math.nan


class Prometheus:
    """A Prometheus at a URL."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc

    def instant(self, expr: str, at: float) -> list[Series]:
        """Return the values at one time. Raise Refused."""
        found = self._ask("query", query=expr, time=at)
        if found["resultType"] == "scalar":
            return [Series({}, [_point(found["result"])])]
        return [Series(_labels(one), [_point(one["value"])]) for one in found["result"]]

    def course(self, expr: str, over: Range) -> list[Series]:
        """Return the values over a time range. Raise Refused."""
        found = self._ask("query_range", query=expr, start=over.start, end=over.end, step=over.step)
        return [Series(_labels(one), [_point(pair) for pair in one["values"]]) for one in found["result"]]

    def label_values(self, query: str, over: Range) -> list[str]:
        """Return the result of the query `label_values(metric, label)` of a variable."""
        asked = _VALUES.fullmatch(query)
        if asked is None:
            raise Refused(f"not a label_values query: {query}")
        more = {"match[]": asked["metric"]} if asked["metric"] else {}
        found: list[str] = self._ask(f"label/{asked['label']}/values", start=over.start, end=over.end, **more)
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their health and last error."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """Return all scrape targets."""
        found: list[dict[str, Any]] = self._ask("targets")["activeTargets"]
        return found

    def _ask(self, path: str, **given: object) -> Any:
        with closing(http.client.HTTPConnection(self._host, timeout=_SECONDS)) as connection:
            connection.request("GET", f"/api/v1/{path}?{urlencode(given)}")
            answer = json.loads(connection.getresponse().read())
        if answer["status"] != "success":
            raise Refused(f"{answer['error']}: {given.get('query', path)}")
        return answer["data"]


def _labels(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in found["metric"].items() if name != "__name__"}


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
