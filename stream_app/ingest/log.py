"""Recorded logs: one scan, then any number of reads in replay order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import msgspec

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import ControlMessage, PolicyRecord, Tick
from stream_app.errors import EmptyLog
from stream_app.ingest.formats import LogFormat, choose_mapping
from stream_app.ingest.mapped import MappedReader, batched
from stream_app.ingest.probe import probe
from stream_app.ingest.rejections import RejectionLog
from stream_app.ingest.sources import Source, expand
from stream_app.ingest.spool import DEFAULT_MEMORY, Spool
from stream_app.ingest.summary import LogSummary, SummaryBuilder
from stream_app.ingest.wire import OnMessage, Reject, read_wire
from stream_app.mapping.mapping import Mapping

BATCH_EVENTS: Final = 4_096


class Progress(msgspec.Struct, frozen=True):
    """Progress of a scan: share of bytes read (0 to 1) and number of events so far."""

    share: float
    events: int


OnProgress = Callable[[Progress], None]


def open_log(
    paths: Sequence[str | Path],
    form: LogFormat,
    workdir: Path,
    *,
    not_after: datetime | None = None,
    rejected: Path | None = None,
    memory: str = DEFAULT_MEMORY,
    stdin: BinaryIO | None = None,
) -> Log:
    r"""Open a log after checking that its first lines can be read.

    Args:
        paths: files, folders, or `-` for standard input.
        form: format of the log.
        workdir: existing folder for data that does not fit in memory.
        not_after: reject events more than a day after this time; None for no limit.
        rejected: file for rejected lines; defaults to `rejected.jsonl` in `workdir`.
        memory: DuckDB's memory limit for sorting.
        stdin: stream to read for `-`; defaults to standard input.

    Raises:
        UnusableLog: the log is empty, lacks a column, or its first lines cannot be read.
        BadMapping: the mapping is invalid.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "log.csv").write_text("cust,date\nann,2024-03-02\nbob,2024-03-01\nann,tomorrow\n")
    ...     form = LogFormat("csv", columns={"customer_id": "cust", "occurred_at": "date"}, kind="order")
    ...     with open_log([f"{folder}/log.csv"], form, Path(folder)) as log:
    ...         summary = log.scan()
    ...         [event.customer_id for batch in log.batches() for event in batch], [r.line for r in log.rejections]
    (['bob', 'ann'], [4])
    """
    sources = expand(paths, workdir, stdin)
    bounds = Bounds.until(not_after)
    mapping = choose_mapping(form, sources)
    probe(sources, mapping, bounds)
    return Log(sources, mapping, bounds, RejectionLog(rejected or workdir / "rejected.jsonl"), workdir, memory)


class Log(AbstractContextManager["Log"]):
    """A log in one or more files. `scan` counts its events, `batches` reads them.

    Use it as a context manager, or call `close`, to delete the copies in the working folder.

    Attributes:
        policies: contact policies in the log, in order of time; known after `scan`.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        mapping: Mapping | None,
        bounds: Bounds,
        rejections: RejectionLog,
        workdir: Path,
        memory: str = DEFAULT_MEMORY,
    ) -> None:
        self.sources, self.mapping, self.rejections = [s for s in sources if s.size], mapping, rejections
        self._bounds, self._workdir, self._memory = bounds, workdir, memory
        self.policies: list[PolicyRecord] = []
        self._summary: LogSummary | None = None
        self._spool: Spool | None = None

    def scan(self, on_progress: OnProgress | None = None) -> LogSummary:
        """Read the log once to count events, store rejected lines, and sort the events if they are not in replay order.

        Mapped tables are always copied to the working folder as events; JSON lines only if they must be sorted.

        Raises:
            EmptyLog: the log contains no valid event.
            NotSorted: sorting failed, for example because memory or disk space was insufficient.
        """
        if self._summary is None:
            meter = _Meter(self.sources, on_progress)
            self._summary = self._scan_wire(meter) if self.mapping is None else self._scan_table(self.mapping, meter)
            if not self._summary.events:
                raise EmptyLog(file=", ".join(source.name for source in self.sources[:3]))
            meter.done(self._summary.events)
        return self._summary

    def _scan_wire(self, meter: _Meter) -> LogSummary:
        builder, skipped = SummaryBuilder(), 0

        def on_message(message: Tick | ControlMessage) -> None:
            nonlocal skipped
            skipped += 1
            if isinstance(message, PolicyRecord):
                self.policies.append(message)

        for events in self._read_wire(self.rejections.add, on_message, meter):
            builder.add(events)
            meter.events = builder.events
        if not builder.in_order:
            self._spool = Spool(self._workdir, "events", self._memory)
            numbered = enumerate(chain.from_iterable(self._read_wire(_ignore, _ignore, _Meter(self.sources, None))))
            _fill(self._spool, numbered)
            self._spool.sort()
        self.policies.sort(key=lambda one: one.occurred_at)
        rejected = self.rejections.count
        return builder.summary(lines=builder.events + rejected + skipped, rejected=rejected, skipped=skipped)

    def _scan_table(self, mapping: Mapping, meter: _Meter) -> LogSummary:
        builder = SummaryBuilder()
        reader = MappedReader(mapping, self._bounds, self._workdir, self._memory)
        self._spool = Spool(self._workdir, "events", self._memory)
        for numbered in reader.read(self.sources, self.rejections.add, meter.at):
            builder.add([event for _, event in numbered])
            _fill(self._spool, numbered)
            meter.events = builder.events
        if builder.in_order and not mapping.orders.group_by:
            self._spool.finish()
        else:
            self._spool.sort()
        return builder.summary(lines=reader.lines, rejected=self.rejections.count, skipped=reader.skipped)

    def _read_wire(self, reject: Reject, on_message: OnMessage, meter: _Meter) -> Iterator[list[Event]]:
        for source in self.sources:
            yield from read_wire(source, self._bounds, reject, on_message, meter.at)
            meter.next_file(source.size)

    def batches(self, size: int = BATCH_EVENTS) -> Iterator[list[Event]]:
        """Yield lists of `size` events, ordered by time, then kind (alphabetically), then place in the log."""
        self.scan()
        if self._spool is not None:
            yield from self._spool.batches(size)
            return
        yield from batched(chain.from_iterable(self._read_wire(_ignore, _ignore, _Meter(self.sources, None))), size)

    def close(self) -> None:
        """Delete the copies in the working folder, but keep the file of rejected lines."""
        self.rejections.close()
        if self._spool is not None:
            self._spool.remove()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _fill(spool: Spool, numbered: Iterable[tuple[int, Event]]) -> None:
    for place, event in numbered:
        spool.add(event.at, place, event)


def _ignore(_: object) -> None:
    """Ignore a rejected line or a message, since the first pass has already stored it."""


class _Meter:
    """Converts the position in the current file into progress through the whole log."""

    def __init__(self, sources: Sequence[Source], on_progress: OnProgress | None) -> None:
        self.events = 0
        self._total, self._before = sum(source.size for source in sources) or 1, 0
        self._on_progress = on_progress

    def at(self, position: int) -> None:
        """Report the position in the current file, in bytes."""
        if self._on_progress is not None:
            self._on_progress(Progress(min((self._before + position) / self._total, 1.0), self.events))

    def next_file(self, size: int) -> None:
        """Move on to the next file; `size` is the size of the current one."""
        self._before += size

    def done(self, events: int) -> None:
        """Report the end of the scan."""
        self.events, self._before = events, 0
        self.at(self._total)
