"""Logs: one form for all who write, and no customer in the clear."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from stream_app.core.events.schema import Order
from stream_app.core.units import EPOCH
from stream_app.services.runtime import logs

ANN = "ann-lee-4711"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.CHATTY}
    root.handlers = []  # else set_up closes those of pytest
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_event_and_fields(stream: io.StringIO, lines: Lines) -> None:
    logs.set_up(stream=stream)
    structlog.stdlib.get_logger("stream_app.services.worker").info("committed", partition=3, shop="花店")
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info", "logger": "stream_app.services.worker", "event": "committed", "partition": 3, "shop": "花店"
    }  # fmt: skip


def test_libraries_write_in_the_same_form(stream: io.StringIO, lines: Lines) -> None:
    logs.set_up(stream=stream)
    logging.getLogger("aiokafka.consumer").warning("lost %s of %d", "x", 2, extra={"customer_id": ANN})
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("lost x of 2", "warning", "aiokafka.consumer")
    assert line["customer_id"].startswith("#")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_customer_in_the_clear_anywhere(form: str, stream: io.StringIO) -> None:
    logs.set_up(form=form, stream=stream)
    log = structlog.stdlib.get_logger("x").bind(customer=ANN)
    order = Order(event_id="e", customer_id=ANN, occurred_at=EPOCH)
    log.warning("odd", order=order, seen=[{"customer_id": ANN}], nested={"deep": {"customer": ANN}}, pair=(order, 1))
    try:
        raise_over(ANN)
    except ZeroDivisionError:
        log.exception("failed")
    assert "ZeroDivisionError" in stream.getvalue()
    assert ANN not in stream.getvalue()


def raise_over(customer: str) -> float:
    return len(customer) / 0


def test_one_customer_has_one_hash_under_one_key(stream: io.StringIO, lines: Lines) -> None:
    for key in (b"one", b"one", b"other"):
        logs.set_up(key=key, stream=stream)
        structlog.stdlib.get_logger("x").info("scored", customer=ANN)
    first, second, other = (line["customer"] for line in lines())
    assert first == second != other


@pytest.mark.parametrize(("level", "told"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_what_is_below_the_level_is_not_told(level: str, told: int, stream: io.StringIO) -> None:
    logs.set_up(level=level, form="console", stream=stream)
    log = structlog.stdlib.get_logger("x")
    for write in (log.debug, log.info, log.warning):
        write("said")
    assert stream.getvalue().count("said") == told


def test_the_chat_of_libraries_is_for_debugging(stream: io.StringIO) -> None:
    logs.set_up(stream=stream)
    logging.getLogger("aiokafka.consumer.fetcher").info("chat")
    logs.set_up(level="debug", stream=stream)
    logging.getLogger("aiokafka.consumer.fetcher").info("wanted")
    assert "chat" not in stream.getvalue()
    assert "wanted" in stream.getvalue()


def test_what_json_cannot_hold_is_written_as_text(stream: io.StringIO, lines: Lines) -> None:
    logs.set_up(stream=stream)
    structlog.stdlib.get_logger("x").info("at", moment=EPOCH, ids={7})
    assert lines()[0]["moment"] == str(EPOCH)


def test_what_a_library_says_again_and_again_is_counted(stream: io.StringIO) -> None:
    now = [0.0]
    handler = logs.Handler(stream, every=10, clock=lambda: now[0])

    def say(name: str, message: str, *vector: object) -> None:
        handler.handle(logging.LogRecord(name, logging.ERROR, "", 0, message, vector, None))

    for number in range(700):  # ten a second
        now[0] = number / 10
        say("aiokafka.conn", "no broker %s", number)
        if number == 350:
            say("aiokafka.conn", "of another kind")
            say("stream_app.services.worker", "ours")
            say("stream_app.services.worker", "ours")
    handler.close()
    said = stream.getvalue().splitlines()
    assert said[0] == "no broker 0"
    assert [line for line in said if "broker" not in line] == ["of another kind", "ours", "ours"]
    counted = [int(line.partition("repeated ")[2].split()[0]) for line in said if "repeated" in line]
    assert len(counted) == 7
    assert sum(counted) == 699  # nothing is lost
    assert said[-1].startswith("no broker 699 (repeated")


def test_a_line_that_its_library_cannot_format_stops_nobody(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    handler = logs.Handler(stream, every=10, clock=lambda: now[0])
    for moment in (0.0, 1.0, 20.0, 40.0):
        now[0] = moment
        handler.handle(logging.LogRecord("aiokafka.x", logging.WARNING, "", 0, "bad %d %s", ("x",), None))
        handler.handle(logging.LogRecord("stream_app.x", logging.WARNING, "", 0, "ours", (), None))
    handler.close()
    assert stream.getvalue().splitlines() == ["ours"] * 4
    assert "Logging error" in capsys.readouterr().err


def test_errors_of_two_kinds_behind_the_same_words_are_both_told(stream: io.StringIO) -> None:
    handler = logs.Handler(stream, clock=lambda: 0.0)
    for error in (OSError("a"), ValueError("b")):
        handler.handle(logging.LogRecord("aiokafka", logging.ERROR, "", 0, "failed", (), (type(error), error, None)))
    assert stream.getvalue().count("failed") == 2
