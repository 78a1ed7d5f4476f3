"""Structured logs: one JSON object a line, or colours for people; never a customer's id in the clear."""

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

from stream_app.errors import BadOption, ChurnMonitorError

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("json", "console")
PERSONAL: Final = frozenset({"customer", "customer_id"})
# At their level `info` they tell of every fetch session and every rebalance step, in words for their own developers.
CHATTY: Final = ("aiokafka", "kafka", "faust", "librdkafka", "mode")
REPEAT_SECONDS: Final = 10.0  # aiokafka tells a hundred times a second that a broker is gone
_HASH_BYTES: Final = 6


def set_up(level: str = "info", form: str = "json", key: bytes = b"", stream: TextIO | None = None) -> None:
    """Send all logs of the process, our own and those of libraries, through one formatter.

    Call it once, before the first line, and keep Faust from doing the same (`override_logging=False` of its worker).

    Args:
        level: one of LEVELS: what is less is not told.
        form: one of FORMATS.
        key: of the hash that stands for a customer's id. Whoever lacks it cannot find out whose line it is by trying
            ids; the same key in all processes makes their lines comparable. Without one the hash only hides the id
            from a passing look.
        stream: where to; standard error by default.

    Raises:
        BadOption: an unknown level or format.
    """
    if level not in LEVELS:
        raise BadOption(option="The log level", value=level, remedy=f"Give {', '.join(LEVELS)}.")
    if form not in FORMATS:
        raise BadOption(option="The log format", value=form, remedy=f"Give {' or '.join(FORMATS)}.")
    shared = _shared(key)
    handler = Handler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(form)],
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
    """Writes what libraries say again and again once in a while, with how often it was said; our own lines at once.

    Lines are of one kind when logger, level and text are the same before facts are put into it. The first of a kind is
    written at once. Those that follow are counted, and the last of them is written when `every` seconds are over.

    Args:
        stream: where to.
        every: seconds between two lines of one kind.
        clock: seconds that never go back.
    """

    def __init__(
        self, stream: TextIO, every: float = REPEAT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._every, self._clock = every, clock
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write or count a line, and write what was counted for long enough; the lock is held."""
        now = self._clock()
        self._tell(now - self._every)
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
        """Write what is counted still."""
        with self.lock or nullcontext():
            self._tell(self._clock())
        super().close()

    def _tell(self, until: float) -> None:
        """Write the last of each kind that is counted since then or longer, with the number; count from now on."""
        now = self._clock()
        for name, kind in list(self._kinds.items()):
            if kind.since > until:
                continue
            del self._kinds[name]
            if kind.last is not None:
                self._kinds[name] = _Kind(now)
                self._repeat(kind.last, kind.count, now - kind.since)

    def _repeat(self, record: logging.LogRecord, count: int, seconds: float) -> None:
        """Write a line with the number of those like it; one that its library cannot format is no error of ours."""
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - as logging itself does: a line that is wrong never stops a program
            self.handleError(record)
            return
        record.msg, record.args = f"{said} (repeated {count} times in {seconds:.0f} s)", None
        super().emit(record)


@dataclass
class _Kind:
    """Lines of one kind since the first."""

    since: float
    count: int = 0
    last: logging.LogRecord | None = None


def _shared(key: bytes) -> list[Processor]:
    """What is done to a line, whoever wrote it."""
    return [
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


def _last(form: str) -> list[Processor]:
    """How a line is written. Tracebacks are plain: with the values of local variables they would tell of customers."""
    if form == "console":
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]


def plain_refusals(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Write an error of ours as its sentence, without a traceback: it says what is wrong and what to do.

    >>> from stream_app.errors import EmptyLog
    >>> error = EmptyLog(file="a.jsonl")
    >>> plain_refusals(None, "error", {"event": "crashed", "exc_info": (EmptyLog, error, None)})["error"]
    'a.jsonl holds no events: nothing can be replayed. Check the path, and that the export is complete.'
    """
    given = line.get("exc_info")
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, ChurnMonitorError):
        del line["exc_info"]
        line["error"] = str(error)
    return line


def hide_customers(key: bytes) -> Callable[[WrappedLogger, str, EventDict], MutableMapping[str, Any]]:
    """A processor that puts a short hash where a customer's id stands, in a line's fields and inside of them.

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
        # What begins with `_` is the machinery's own, among it the standard library's record.
        return {
            name: value
            if name.startswith("_") or name == "exc_info"
            else hashed(value)
            if name in PERSONAL
            else hidden(value)
            for name, value in line.items()
        }

    return processor
