"""Structured logging, as JSON lines or coloured text. Customer ids are always hashed."""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from stream_app.errors import ChurnMonitorError

PERSONAL: Final = frozenset({"customer", "customer_id"})
# Libraries that log every fetch session and every step of a rebalance at level `info`.
CHATTY: Final = ("aiokafka", "kafka", "faust", "librdkafka", "mode")
REPEAT_SECONDS: Final = 10.0  # aiokafka logs an unavailable broker a hundred times per second
_HASH_BYTES: Final = 6


def set_up(level: str = "info", form: str = "json", key: bytes = b"", stream: TextIO | None = None) -> None:
    """Configure logging for the process, including its libraries.

    Call this once, before anything is logged, and keep Faust from configuring logging (`override_logging=False`).

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `json` or `console`.
        key: key of the hash that replaces customer ids. A secret key prevents recovering ids by trying candidates.
            Use the same key in all processes to correlate their log lines.
        stream: output; standard error by default.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        plain_refusals,
        hide_customers(key),
    ]
    # Tracebacks omit local variables, which may contain customer data.
    if form == "console":
        last: list[Processor] = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        renderer = structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        last = [structlog.processors.format_exc_info, renderer]
    handler = Handler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


class Handler(logging.StreamHandler[TextIO]):
    """Log handler that collapses repeated lines from libraries. Our own lines are written at once.

    Lines with the same logger, level and message template are repeats. The first one is written at once. Later ones
    are counted, and the last of them is written, with the count, every `every` seconds.

    Args:
        stream: output.
        every: seconds between two lines about the same repeats.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, stream: TextIO, every: float = REPEAT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._every, self._clock = every, clock
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write or count a record, and write overdue repeats. The caller must hold the lock."""
        now = self._clock()
        self._write_repeats(now - self._every)
        if record.name.partition(".")[0] not in CHATTY:
            super().emit(record)
            return
        error = record.exc_info[0] if record.exc_info else None
        kind = self._kinds.get(name := (record.name, record.levelno, str(record.msg), error))
        if kind is None:
            self._kinds[name] = _Kind(now)
            super().emit(record)
        else:
            kind.count, kind.last = kind.count + 1, record

    def close(self) -> None:
        """Write all counted repeats."""
        with self.lock or nullcontext():
            self._write_repeats(self._clock())
        super().close()

    def _write_repeats(self, until: float) -> None:
        """Write the last line of each kind whose count started at `until` or earlier, and restart the count."""
        now = self._clock()
        for name, kind in list(self._kinds.items()):
            if kind.since > until:
                continue
            del self._kinds[name]
            if kind.last is not None:
                self._kinds[name] = _Kind(now)
                self._repeat(kind.last, kind.count, now - kind.since)

    def _repeat(self, record: logging.LogRecord, count: int, seconds: float) -> None:
        """Write a line and how often it was repeated. A line that cannot be formatted is reported and dropped."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - like the logging module: a malformed line never stops a program
            self.handleError(record)
            return
        record.msg, record.args = f"{text} (repeated {count} times in {seconds:.0f} s)", None
        super().emit(record)


@dataclass
class _Kind:
    since: float
    count: int = 0
    last: logging.LogRecord | None = None


def plain_refusals(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Log one of our own errors as its message, without a traceback: the message states the problem and the remedy.

    >>> from stream_app.errors import EmptyLog
    >>> error = EmptyLog(file="a.jsonl")
    >>> plain_refusals(None, "error", {"event": "crashed", "exc_info": (EmptyLog, error, None)})["error"]
    'a.jsonl contains no events. Check the path, and that the export is complete.'
    """
    given = line.get("exc_info")
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, ChurnMonitorError):
        del line["exc_info"]
        line["error"] = str(error)
    return line


def hide_customers(key: bytes) -> Callable[[WrappedLogger, str, EventDict], MutableMapping[str, Any]]:
    """Return a processor that replaces customer ids in a line's fields, at any depth, with a short hash.

    >>> hide = hide_customers(b"secret")
    >>> hide(None, "info", {"event": "scored", "customer": "ann", "seen": [{"customer_id": "ann"}]})
    {'event': 'scored', 'customer': '#b175e9ccb17d', 'seen': [{'customer_id': '#b175e9ccb17d'}]}
    """

    def hashed(value: object) -> str:
        return "#" + hashlib.blake2b(str(value).encode(), digest_size=_HASH_BYTES, key=key[:64]).hexdigest()

    def hidden(value: object) -> object:
        if isinstance(value, msgspec.Struct):
            value = msgspec.structs.asdict(value)
        if isinstance(value, Mapping):
            return {name: hashed(one) if name in PERSONAL else hidden(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [hidden(one) for one in value]
        return value

    def processor(_logger: WrappedLogger, _method: str, line: EventDict) -> MutableMapping[str, Any]:
        # Fields that start with `_` are internal, such as the standard library's log record.
        return {
            name: value
            if name.startswith("_") or name == "exc_info"
            else hashed(value)
            if name in PERSONAL
            else hidden(value)
            for name, value in line.items()
        }

    return processor
