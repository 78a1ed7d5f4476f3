"""Summary of a log, counted during the first pass."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice, pairwise, starmap

import msgspec

from stream_app.core.events.schema import KINDS, Event
from stream_app.core.messages.unknown_words import UnknownValues
from stream_app.core.units import micros
from stream_app.ingest.spool import KIND_RANK


class LogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a log.

    Attributes:
        lines: number of non-blank lines read.
        events: number of events.
        rejected: number of rejected lines.
        skipped: number of lines skipped: by the mapping, those without a customer or of an ignored kind; in JSON lines,
            ticks and control messages.
        first_at: time of the first event in microseconds since 1970-01-01 UTC; 0 if there are no events.
        last_at: time of the last event.
        kinds: number of events by kind.
        fields: optional fields that are set in at least one event, by kind.
        unknown_words: counts of unrecognized values, by field.
        in_order: whether the events were already in replay order and need no sorting.
    """

    lines: int
    events: int
    rejected: int
    skipped: int
    first_at: int
    last_at: int
    kinds: dict[str, int]
    fields: dict[str, frozenset[str]]
    unknown_words: dict[str, dict[str, int]]
    in_order: bool

    @property
    def rejected_share(self) -> float:
        """Share of lines that were rejected; 0 for an empty log."""
        return self.rejected / max(self.lines, 1)


class SummaryBuilder:
    """Builds a log summary from blocks of events.

    >>> from stream_app.core.events.schema import decode
    >>> builder = SummaryBuilder()
    >>> line = '{"type":"order","event_id":"1","customer_id":"c","occurred_at":"2024-01-01T00:00:00Z","amount":5}'
    >>> builder.add([decode(line), decode(line)])
    >>> s = builder.summary(lines=3, rejected=1, skipped=0)
    >>> s.kinds, s.fields["order"], s.in_order, s.first_at == s.last_at
    ({'order': 2}, frozenset({'amount'}), True, True)
    """

    def __init__(self) -> None:
        self.events = 0
        self.in_order = True
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._latest: Event | None = None
        self._kinds: Counter[type[Event]] = Counter()
        self._unknown_words = UnknownValues()
        self._unseen = {kind: _optional_fields(kind) for kind in KINDS.values()}

    def add(self, events: Sequence[Event]) -> None:
        """Add a block of events. Blocks must be added in log order."""
        if not events:
            return
        self.events += len(events)
        self._kinds.update(map(type, events))
        times = [event.occurred_at for event in events]
        follows = self._latest is None or _place(self._latest) <= _place(events[0])
        ordered = _ordered(events, times)
        self.in_order = self.in_order and follows and ordered
        first, last = (times[0], times[-1]) if ordered else (min(times), max(times))
        self._first = first if self._first is None else min(first, self._first)
        self._last = last if self._last is None else max(last, self._last)
        self._latest = events[-1]
        self._see_fields(events)
        for event in events:
            self._unknown_words.record(event)

    def _see_fields(self, events: Sequence[Event]) -> None:
        for kind, unseen in self._unseen.items():
            of_kind = [event for event in events if type(event) is kind] if unseen else []
            for name, default in list(unseen.items()):
                if list(map(operator.attrgetter(name), of_kind)).count(default) < len(of_kind):
                    del unseen[name]

    def summary(self, *, lines: int, rejected: int, skipped: int) -> LogSummary:
        """Return the summary, given the number of lines read, rejected and skipped."""
        return LogSummary(
            lines=lines,
            events=self.events,
            rejected=rejected,
            skipped=skipped,
            first_at=_microseconds(self._first),
            last_at=_microseconds(self._last),
            kinds={name: self._kinds[kind] for name, kind in KINDS.items() if self._kinds[kind]},
            fields={
                name: frozenset(_optional_fields(kind)) - frozenset(self._unseen[kind])
                for name, kind in KINDS.items()
                if self._kinds[kind]
            },
            unknown_words=self._unknown_words.by_field,
            in_order=self.in_order,
        )


def _optional_fields(kind: type[Event]) -> dict[str, object]:
    """Return the optional fields of a kind with their defaults."""
    optional = [field for field in msgspec.structs.fields(kind) if not field.required]
    return {
        field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in optional
    }


def _place(event: Event) -> tuple[datetime, int]:
    return event.occurred_at, KIND_RANK[type(event)]


def _ordered(events: Iterable[Event], times: Sequence[datetime]) -> bool:
    """Return whether events are in replay order. Comparing the times alone is usually enough."""
    if all(map(operator.lt, times, islice(times, 1, None))):
        return True
    return all(starmap(operator.le, pairwise(map(_place, events))))


def _microseconds(at: datetime | None) -> int:
    return 0 if at is None else micros(at)
