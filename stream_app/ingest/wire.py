"""Reader for events as JSON lines: decodes blocks of whole lines, and single lines only if a block fails.

An archive of the topics may contain ticks and control messages as well. A replay makes its own; it needs the policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import Event, Rejected, decode, rejecting
from stream_app.core.messages.schema import ControlMessage, Tick
from stream_app.ingest.rejections import Rejection
from stream_app.ingest.sources import Source, SourceStream

BLOCK_BYTES: Final = 262_144
# A file without line breaks, such as an image, must not be read into memory as one line.
MAX_LINE_BYTES: Final = 1_048_576
BOM: Final = b"\xef\xbb\xbf"

Reject = Callable[[Rejection], None]
OnMessage = Callable[[Tick | ControlMessage], None]
decode_message: Final = rejecting(msgspec.json.Decoder(Tick | ControlMessage).decode)
_decoder = msgspec.json.Decoder(Event)


class Block(msgspec.Struct, frozen=True):
    """Whole lines with the number of the first one and of their line breaks, or the beginning of an overlong line."""

    first_line: int
    data: bytes
    breaks: int
    overlong: bool = False


def blocks(stream: SourceStream) -> Iterator[Block]:
    """Yield the blocks of a stream. The last one may not end with a line break."""
    line, rest = 1, stream.read(BLOCK_BYTES).removeprefix(BOM)
    while chunk := stream.read(BLOCK_BYTES):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            data = rest + chunk[:cut]
            breaks = data.count(b"\n")
            yield Block(line, data, breaks)
            line, rest = line + breaks, chunk[cut:]
        elif len(rest) > MAX_LINE_BYTES:
            cut = rest.rfind(b"\n") + 1
            breaks = rest.count(b"\n")
            yield Block(line, rest[:cut], breaks)
            line += breaks
            yield Block(line, rest[cut : cut + MAX_LINE_BYTES], 0, overlong=True)
            line, rest = line + 1, _after_line_end(stream)
        else:
            rest += chunk
    yield Block(line, rest, rest.count(b"\n"))


def _after_line_end(stream: SourceStream) -> bytes:
    while chunk := stream.read(BLOCK_BYTES):
        _, end, rest = chunk.partition(b"\n")
        if end:
            return rest
    return b""


def read_wire(
    source: Source, bounds: Bounds, reject: Reject, on_message: OnMessage, on_bytes: Callable[[int], None]
) -> Iterator[list[Event]]:
    """Yield the events of one file in blocks.

    Args:
        source: the file.
        bounds: bounds for event times.
        reject: called with a Rejection for each line that cannot be read.
        on_message: called with each tick and control message.
        on_bytes: called with the number of bytes read so far.
    """
    with source.open() as stream:
        for block in blocks(stream):
            yield _decode_block(source.name, block, bounds, reject, on_message)
            on_bytes(stream.position)
        if stream.damage:
            reject(Rejection(source.name, 0, f"{stream.damage}: the lines before it are used; copy the file again"))


def _decode_block(file: str, block: Block, bounds: Bounds, reject: Reject, on_message: OnMessage) -> list[Event]:
    if block.overlong:
        reason = f"longer than {MAX_LINE_BYTES} bytes: is this JSON lines, with one event per line?"
        reject(Rejection(file, block.first_line, reason, "", block.data[:8_192].decode("utf-8", "replace")))
        return []
    try:
        events = _decoder.decode_lines(block.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_each(file, block, bounds, reject, on_message)
    lines = block.breaks + (not block.data.endswith(b"\n") and block.data != b"")
    # Blank lines, or values that span lines: decode line by line to get the line numbers right.
    if len(events) != lines or not bounds.contain(events):
        return _decode_each(file, block, bounds, reject, on_message)
    return events


def _decode_each(file: str, block: Block, bounds: Bounds, reject: Reject, on_message: OnMessage) -> list[Event]:
    events: list[Event] = []
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        if not line.strip():
            continue
        event = decode(line)
        message = decode_message(line) if isinstance(event, Rejected) else event
        problem = bounds.problem(event)
        if isinstance(message, Tick | ControlMessage):
            on_message(message)
        elif problem is not None:
            reject(Rejection(file, number, problem.reason, problem.field, line.decode("utf-8", "replace")))
        elif not isinstance(event, Rejected):
            events.append(event)
    return events
