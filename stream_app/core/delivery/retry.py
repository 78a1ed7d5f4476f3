"""When a letter is tried again, and how often a channel may be used. Microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import xxhash

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
SHORTEST: Final = SECOND // 10  # between two attempts, whatever chance says
_MARGIN: Final = 20  # a limit's span is taken longer by this part of it: what is sent evenly may arrive unevenly
_SPREAD: Final = 0.1  # of what the receiver asks for: those who were told the same do not come back at once

# What Standard Webhooks 1.0.0 proposes, as the most that each pause may be.
SCHEDULE: Final = (
    *(5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
GIVE_UP_AFTER: Final = 72 * HOUR


@dataclass(frozen=True)
class Retries:
    """How patient we are.

    Args:
        schedule: the longest pause after the first failure, the second, and so on; the last one repeats.
        give_up_after: no attempt is made later than so long after the first.
    """

    schedule: tuple[int, ...] = SCHEDULE
    give_up_after: int = GIVE_UP_AFTER

    def next_try(self, message: str, failures: int, first_at: int, now: int, after: int | None = None) -> int | None:
        """When to try again; None: never.

        The pause is drawn evenly between nought and the schedule's ("full jitter", M. Brooker, "Exponential Backoff And
        Jitter", 2015), by a hash of letter and attempt: who looks twice sees the same. A receiver that says how long it
        wants to be left alone gets at least that, or what is left until we give up: then it is tried a last time.

        Args:
            message: its id.
            failures: so many attempts have failed, from 1.
            first_at: when the first one was made.
            now: the clock.
            after: what the receiver asked for.

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
    """From when on the next attempt keeps every limit; `now` if it does already.

    Not a bucket that fills up again: a bucket of 20 a minute lets 40 pass within a minute, and a robot is then
    silenced for ten.

    >>> free_at([Limit(2, MINUTE)], [0, 10], now=20) / MINUTE, free_at([Limit(2, MINUTE)], [0], now=20)
    (1.05, 20)
    """
    free = now
    for limit in limits:
        if len(sent) >= limit.count:
            free = max(free, sent[-limit.count] + _span(limit))
    return free


def remembered(limits: Sequence[Limit], sent: Sequence[int], now: int) -> list[int]:
    """The moments of attempts that a limit still looks at."""
    longest = max(map(_span, limits), default=0)
    most = max((limit.count for limit in limits), default=0)
    return [at for at in sent if at > now - longest][-most:] if most else []


def _span(limit: Limit) -> int:
    return limit.span + limit.span // _MARGIN
