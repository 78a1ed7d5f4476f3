"""Retries and rate limits. All times are in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import xxhash

from stream_app.core.units import HOUR_US, MINUTE_US, SECOND_US

SHORTEST: Final = SECOND_US // 10  # minimum pause between two attempts
_MARGIN: Final = 20  # extends the span of a limit by 1/20, since messages sent evenly may arrive unevenly
_SPREAD: Final = 0.1  # jitter of requested pauses, so that senders with the same answer do not all retry at once

# Maximum pauses, as recommended by Standard Webhooks 1.0.0.
SCHEDULE: Final = (
    *(5 * SECOND_US, 5 * MINUTE_US, 30 * MINUTE_US, 2 * HOUR_US, 5 * HOUR_US),
    *(10 * HOUR_US, 14 * HOUR_US, 20 * HOUR_US, 24 * HOUR_US),
)
GIVE_UP_AFTER: Final = 72 * HOUR_US


@dataclass(frozen=True)
class Retries:
    """Schedule of retries.

    Args:
        schedule: maximum pause after the first failure, the second, and so on; the last value repeats.
        give_up_after: maximum time between the first and the last attempt.
    """

    schedule: tuple[int, ...] = SCHEDULE
    give_up_after: int = GIVE_UP_AFTER

    def next_try(self, message: str, failures: int, first_at: int, now: int, after: int | None = None) -> int | None:
        """Return the time of the next attempt, or None to give up.

        The pause is uniform between zero and the schedule's maximum ("full jitter", M. Brooker, "Exponential Backoff
        And Jitter", 2015). It is derived from a hash of the message and the attempt, so it does not change after a
        restart. A pause requested by the receiver is respected unless it exceeds the remaining time; in that case a
        last attempt is made when the remaining time ends.

        Args:
            message: id of the message.
            failures: number of failed attempts, at least 1.
            first_at: time of the first attempt.
            now: current time.
            after: pause requested by the receiver, if any.

        >>> at = Retries().next_try("al_1:team", failures=1, first_at=0, now=0)
        >>> SHORTEST <= at <= 5 * SECOND_US
        True
        >>> Retries().next_try("al_1:team", 1, 0, 0, after=HOUR_US) >= HOUR_US
        True
        >>> Retries().next_try("x", 9, 0, 100 * HOUR_US) is None
        True
        >>> Retries().next_try("x", 1, 0, 0, after=100 * HOUR_US) // HOUR_US
        72
        """
        last = first_at + self.give_up_after
        chance = xxhash.xxh3_64_intdigest(f"{message}|{failures}".encode("utf-8", "surrogatepass")) / 2.0**64
        longest = self.schedule[min(failures, len(self.schedule)) - 1]
        pause = max(round(longest * chance), SHORTEST)
        if after is not None:
            pause = max(pause, after + round(after * _SPREAD * chance))
        at = now + pause
        if after is not None and now < last:
            return min(at, last)
        return at if at <= last else None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts in any `span` microseconds."""

    count: int
    span: int


def free_at(limits: Sequence[Limit], sent: Sequence[int], now: int) -> int:
    """Return the earliest time, not before `now`, at which another attempt is within all limits.

    This is a sliding window rather than a token bucket: a bucket of 20 per minute can let 40 messages through in a
    minute, and chat services then block the bot for ten minutes.

    >>> free_at([Limit(2, MINUTE_US)], [0, 10], now=20) / MINUTE_US, free_at([Limit(2, MINUTE_US)], [0], now=20)
    (1.05, 20)
    """
    free = now
    for limit in limits:
        if len(sent) >= limit.count:
            free = max(free, sent[-limit.count] + _span(limit))
    return free


def remembered(limits: Sequence[Limit], sent: Sequence[int], now: int) -> list[int]:
    """Return the times of attempts that still count towards a limit."""
    longest = max(map(_span, limits), default=0)
    most = max((limit.count for limit in limits), default=0)
    return [at for at in sent if at > now - longest][-most:] if most else []


def _span(limit: Limit) -> int:
    return limit.span + limit.span // _MARGIN
