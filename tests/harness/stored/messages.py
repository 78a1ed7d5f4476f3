"""Messages and records of deliveries, as the present release reads and writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from stream_app.core.alerts.staff_actions import AlertNote, WorkNote
from stream_app.core.allocation.allocator import AllocatorPosition
from stream_app.core.delivery.records import (
    ChannelState,
    Delivery,
    OutboundMessage,
    Request,
    decode_record,
    encode_record,
)
from stream_app.core.events.schema import Rejected, decode as decode_event, encode as encode_event
from stream_app.core.messages.alerts import decode_alert
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, ScoreRecords
from stream_app.core.messages.outgoing import Outgoing, pack, unpack
from stream_app.core.messages.schema import decode_control, decode_tick, encode_message
from stream_app.core.partition.progress import Position
from stream_app.core.training.trainer import Checkpoint
from stream_app.ports import ModelVersion
from tests.harness.stored.states import without_schema

_json: Final = msgspec.json.encode


def _of(kind: type) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return lambda value: msgspec.json.decode(value, type=kind), _json


def _packed(kind: type) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return lambda value: unpack(value, kind), msgspec.msgpack.encode


def _read_system_message(value: bytes) -> Any:
    """Read a tick, a control message or a contact: before 0.3, the last two were on one topic."""
    found = (read(value) for read in (decode_tick, decode_control, decode_event))
    return next(one for one in found if not isinstance(one, Rejected))


# Kind, as the fixtures name it -> how the present program reads and writes it.
KINDS: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]]] = {
    "event": (decode_event, encode_event),
    "system message": (_read_system_message, encode_message),
    "alert": (decode_alert, encode_message),
    "labelled": (lambda value: unpack(value, LabelledBatch), pack),
    "nominated": (lambda value: unpack(value, CandidateBatch), pack),
    "scored": (lambda value: msgspec.json.decode(value, type=ScoreRecords), encode_message),
    "outbox record": (lambda value: unpack(value, Outgoing), pack),
    "position": _of(Position),
    "allocator's position": _of(AllocatorPosition),
    "checkpoint": _packed(Checkpoint),
    "model version": _of(ModelVersion),
    "episode note": _of(AlertNote),
    "work note": _of(WorkNote),
    "delivery": (lambda value: decode_record(value, Delivery), encode_record),
    "letter": (lambda value: decode_record(value, OutboundMessage), encode_record),
    "channel state": (lambda value: decode_record(value, ChannelState), encode_record),
    "request": (lambda value: decode_record(value, Request), encode_record),
}


def message_value(kind: str, value: bytes) -> Any:
    """Read a stored or sent value, and return it under the names that it has in the format."""
    return msgspec.json.decode(_json(KINDS[kind][0](value)))


def message_again(kind: str, value: bytes) -> bytes:
    """Read a value and write it again."""
    read, write = KINDS[kind]
    return write(read(value))


def summary_value(value: bytes) -> Any:
    return msgspec.json.decode(_json(without_schema(value)))
