"""Retries and rate limits. All times are in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import xxhash

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
SHORTEST: Final = SECOND // 10  # minimum pause between two attempts
_MARGIN: Final = 20  # the span of a limit is extended by 1/20: messages sent evenly may arrive unevenly
_SPREAD: Final = 0.1  # spread of requested pauses: senders that got the same answer must not return at once

# Maximum pauses, as proposed by Standard Webhooks 1.0.0.
SCHEDULE: Final = (
    *(5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
GIVE_UP_AFTER: Final = 72 * HOUR


@dataclass(frozen=True)
class Retries:
    """Schedule of retries.

    Args:
        schedule: maximum pause after the first failure, the second, and so on; the last one repeats.
        give_up_after: maximum time from the first attempt to the last one.
    """

    schedule: tuple[int, ...] = SCHEDULE
    give_up_after: int = GIVE_UP_AFTER

    def next_try(self, message: str, failures: int, first_at: int, now: int, after: int | None = None) -> int | None:
        """Return the time of the next attempt; None: give up.

        The pause is uniform between zero and the schedule's maximum ("full jitter", M. Brooker, "Exponential Backoff
        And Jitter", 2015). It is derived from a hash of message and attempt, so that it is the same after a restart. A
        pause requested by the receiver is respected, unless it exceeds the remaining time: then the last attempt is
        made at its end.

        Args:
            message: id of the message.
            failures: number of failed attempts, from 1.
            first_at: time of the first attempt.
            now: current time.
            after: pause requested by the receiver.

        >>> at = Retries().next_try("al_1:team", failures=1, first_at=0, now=0)
        >>> SHORTEST <= at <= 5 * SECOND
        True
        >>> Retries().next_try("al_1:team", 1, 0, 0, after=HOUR) >= HOUR, Retries().next_try("x", 9, 0, 100 * HOUR)
        (True, None)
        >>> Retries().next_try("x", 1, 0, 0, after=100 * HOUR) // HOUR
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
    """Return from when the next attempt is within all limits, at least `now`.

    This is not a token bucket: a bucket of 20 per minute lets 40 messages pass within a minute, after which chat
    services block a bot for ten minutes.

    >>> free_at([Limit(2, MINUTE)], [0, 10], now=20) / MINUTE, free_at([Limit(2, MINUTE)], [0], now=20)
    (1.05, 20)
    """
    free = now
    for limit in limits:
        if len(sent) >= limit.count:
            free = max(free, sent[-limit.count] + _span(limit))
    return free


def remembered(limits: Sequence[Limit], sent: Sequence[int], now: int) -> list[int]:
    """Return the times of attempts that are still relevant to a limit."""
    longest = max(map(_span, limits), default=0)
    most = max((limit.count for limit in limits), default=0)
    return [at for at in sent if at > now - longest][-most:] if most else []


def _span(limit: Limit) -> int:
    return limit.span + limit.span // _MARGIN
