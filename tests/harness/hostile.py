"""Records that nobody should send, of every kind that we know: the same ones for the same seed.

They name customers that the good shop does not have, and none of them is an order that counts, a case, or a time that
has not come: whatever a shop could legitimately mean by them, other customers are as they would be without them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from tests.harness import raw_kafka

EVENTS: Final = {"browsing": "browsing", "cart": "cart", "orders": "order", "complaints": "complaint"}  # role: type
PACKED: Final = ("labelled", "nominations")
OTHERS: Final = ("alerts", "scores", "dead_letters")
ROLES: Final = ("ticks", "contacts", *EVENTS, *PACKED, *OTHERS)
PREFIX: Final = "hostile-"
SHOP: Final = "hostile-shop"
_CUSTOMERS: Final = 100
# Fields with which an event of each type is valid and changes nobody else.
_HARMLESS: Final[dict[str, dict[str, Any]]] = {
    "browsing": {"page": "home"},
    "cart": {"action": "add"},
    "order": {"action": "shipped"},
    "complaint": {"form": "survey", "action": "opened", "rating": 5},
}
_LONG_AGO: Final = "1990-01-01T00:00:00Z"
_MARK: Final = "\uf8ff"
_ESCAPED: Final = "\\uf8ff"
_BOMB_BYTES: Final = 300_000_000
Headers = Sequence[tuple[str, bytes | None]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A record for a client library, or a whole batch of bytes for the broker.

    Attributes:
        kind: a name in KINDS.
        role: of its topic.
        customer: whose it is by its key; None: it has no key of a customer.
        batch: bytes of a record batch; then the rest does not count.
        codec: with which it is compressed.
        strays: whether it goes to a partition that is not its customer's.
    """

    kind: str
    role: str
    value: bytes | None = None
    key: bytes | None = None
    headers: Headers = ()
    customer: str | None = None
    batch: bytes | None = None
    codec: str = "none"
    strays: bool = False


@dataclass(frozen=True)
class Bare:
    """A text that stands in JSON without quotes: numbers that no float holds."""

    text: str


class Maker:
    """Makes records of a role.

    Args:
        role: of the topic.
        rng: all that is random.
        at: the time of an event that is written now, RFC 3339.
    """

    def __init__(self, role: str, rng: Random, at: str) -> None:
        self.role, self.rng, self.at = role, rng, at
        self.customer = f"{PREFIX}{rng.randrange(_CUSTOMERS):03d}"

    def event(self, **fields: Any) -> Json:
        """A valid event or message of the role that changes nobody else, but for these fields."""
        if self.role == "ticks":
            return {"type": "tick", "occurred_at": "1971-01-01T00:00:00Z", **fields}
        # A shop of their own: which fields a shop sends changes how its customers are explained.
        basics: Json = {
            "occurred_at": self.at,
            "shop_id": SHOP,
            "event_id": f"{PREFIX}{self.rng.getrandbits(60):x}",
            "customer_id": self.customer,
        }
        if self.role == "contacts":
            return {"type": "contact", **basics, "action": "delivered", **fields}
        kind = EVENTS[self.role]
        return {"type": kind, **basics, **_HARMLESS[kind], **fields}

    def json(self, **fields: Any) -> bytes:
        """The same as bytes; a field may be `Bare`."""
        text = json.dumps(self.event(**fields), default=lambda one: f"{_MARK}{one.text}{_MARK}")
        return text.replace(f'"{_ESCAPED}', "").replace(f'{_ESCAPED}"', "").encode("ascii")

    def record(self, kind: str, value: bytes | None, **more: Any) -> Record:
        """A record with the customer's key."""
        return Record(kind, self.role, value, **{"key": self.customer.encode(), "customer": self.customer, **more})


# --- values that no reader understands -------------------------------------------------------------------------------


def random_bytes(maker: Maker) -> bytes:
    return maker.rng.randbytes(maker.rng.randrange(1, 300))


def invalid_utf8(maker: Maker) -> bytes:
    return maker.json() + b"\xff\xfe" if maker.role in EVENTS else b'{"type":"\xff\xfe"}'


def in_a_text(maker: Maker) -> bytes:
    """Invalid UTF-8 within a field that is read."""
    return b'{"type":"' + EVENTS.get(maker.role, "contact").encode() + b'","event_id":"\xc3\x28","customer_id":"x"}'


def empty(maker: Maker) -> bytes:
    return b""


def null(maker: Maker) -> None:
    return None


def not_an_object(maker: Maker) -> bytes:
    return maker.rng.choice([b"null", b"[]", b"7", b'"text"', b"{}", b'{"type":null}', b"\xef\xbb\xbf{}"])


def deep(maker: Maker) -> bytes:
    """Nesting that exhausts a stack: of JSON, and of MessagePack."""
    depth = maker.rng.choice([1_000, 20_000])
    if maker.role in PACKED:
        return b"\x91" * depth
    return b'{"type":"browsing","x":' * depth if maker.rng.random() < 0.5 else b"[" * depth


def long_type(maker: Maker) -> bytes:
    return json.dumps({"type": "x" * maker.rng.randrange(300_000, 600_000), "customer_id": maker.customer}).encode()


def large(maker: Maker) -> bytes:
    return b"z" * 900_000


# --- events and messages with absurd fields --------------------------------------------------------------------------

AMOUNTS: Final = ("1e308", "-1e308", "1e400", "-1e400", "NaN", "Infinity", "9" * 400, "1e-400")
DATES: Final = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999-23:59",
    "2262-04-12T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+99:99",
    "yesterday",
    "",
)


def amount(maker: Maker) -> bytes:
    """A number that no shop charges, in an order that would count."""
    number = Bare(maker.rng.choice(AMOUNTS[:-1]))
    return maker.json(action="paid", amount=number)


def number(maker: Maker) -> bytes:
    """A number of another field that nothing measures."""
    field = {
        "browsing": ("price", "dwell_seconds", "load_seconds"),
        "cart": ("price", "quantity"),
        "orders": ("amount", "discount"),
        "complaints": ("rating",),
    }[maker.role]
    return maker.json(**{maker.rng.choice(field): Bare(maker.rng.choice(AMOUNTS[:-1]))})


def negative(maker: Maker) -> bytes:
    field = {"browsing": "search_results", "cart": "quantity", "orders": "items"}.get(maker.role, "rating")
    return maker.json(**{field: -maker.rng.choice([1, 10**6, 2**31, 2**63])})


def date(maker: Maker) -> bytes:
    return maker.json(occurred_at=maker.rng.choice(DATES))


def delivery(maker: Maker) -> bytes:
    """Absurd instants in fields that events may have."""
    return maker.json(promised_at=maker.rng.choice(DATES[:5]), delivered_at=maker.rng.choice(DATES[:5]))


def blank_id(maker: Maker) -> bytes:
    field = maker.rng.choice(["event_id", "customer_id", "shop_id"])
    return maker.json(**{field: maker.rng.choice(["", " ", "\t\n", "\u3000"])})


def surrogate_id(maker: Maker) -> bytes:
    field = maker.rng.choice(["event_id", "customer_id"])
    return maker.json(**{field: PREFIX + maker.rng.choice(["\ud800", "\udfff", "a\udc80b"])})


def long_id(maker: Maker) -> bytes:
    return maker.json(**{maker.rng.choice(["event_id", "customer_id"]): PREFIX + "i" * maker.rng.choice([300, 60_000])})


def control_id(maker: Maker) -> bytes:
    """Characters that break a terminal, a key of Redis or a log."""
    return maker.json(event_id=PREFIX + maker.rng.choice(["\x00", "\x1b[2J", "{p0}", "\u202e", "\r\n"]))


def wrong_type(maker: Maker) -> bytes:
    field = maker.rng.choice(["event_id", "customer_id", "occurred_at", "shop_id"])
    return maker.json(**{field: maker.rng.choice([7, True, [], {}, None, 1.5])})


_NOMINEE: Final[Json] = {
    "customer": "", "rank_value": 0.5, "probability": 0.5, "monthly_worth": 9.0, "silent_days": 3.0,
    "usual_gap_days": None, "source": 0, "version": 0,
}  # fmt: skip


def opening(maker: Maker) -> bytes:
    """An episode that cannot be."""
    candidate = {**_NOMINEE, "customer": maker.customer}
    whole: Json = {"alert_id": "al_x", "opened_at": 1_735_000_000_000_000, "expires_at": 1_736_000_000_000_000}
    whole |= {"rank": 1, "bar": 0.5, "nominee": candidate}
    field, value = maker.rng.choice(
        [
            ("opened_at", 2**62), ("opened_at", -(2**62)), ("expires_at", 2**62), ("expires_at", -1), ("rank", 2**62),
            ("bar", Bare("1e308")), ("bar", -5.0), ("alert_id", ""), ("alert_id", "a" * 50_000),
        ]
    )  # fmt: skip
    return maker.json(action="episode_opened", opening={**whole, field: value})


def candidate(maker: Maker) -> bytes:
    """An episode whose nominee cannot be."""
    field, value = maker.rng.choice(
        [
            ("monthly_worth", Bare("1e308")), ("silent_days", Bare("-1e308")), ("probability", 7.0), ("source", 99),
            ("version", 2**62), ("usual_gap_days", Bare("1e308")), ("customer", ""), ("rank_value", Bare("1e400")),
        ]
    )  # fmt: skip
    whole: Json = {"alert_id": "al_x", "opened_at": 2**62, "expires_at": 2**62, "rank": 1, "bar": 0.5}
    whole["nominee"] = {**_NOMINEE, "customer": maker.customer, field: value}
    return maker.json(action="episode_opened", opening=whole)


def contact(maker: Maker) -> bytes:
    field, value = maker.rng.choice(
        [
            ("sequence", 2**62), ("sequence", -1), ("sequence", 2**70), ("action", "a" * 100_000), ("action", ""),
            ("until", "9999-12-31T23:59:59Z"), ("until", "0001-01-01T00:00:00Z"), ("staff", "s" * 100_000),
            ("alert_id", ""), ("note", "n" * 400_000), ("outcome", "o" * 10_000), ("channel", "\ud800"),
        ]
    )  # fmt: skip
    action = maker.rng.choice(["sent", "episode_acked", "episode_snoozed", "episode_resolved", "unheard_of"])
    return maker.json(**{"action": action, field: value})


def desk_done(maker: Maker) -> bytes:
    """The desk's word for a moment, with a number that is not its own."""
    at, sequence = maker.rng.choice(DATES[:5]), maker.rng.choice([2**62, -1, 2**70])
    return json.dumps({"type": "desk_done", "occurred_at": at, "sequence": sequence}).encode()


def tick(maker: Maker) -> bytes:
    field, value = maker.rng.choice(
        [
            ("version", 2**62), ("version", -1), ("version", 2**70), ("version", "1"), ("version", 10**9),
            ("ends", {"orders": -1}), ("ends", {"orders": 2**70}), ("ends", {"x" * 1_000: 1}), ("ends", 7),
            *(("occurred_at", one) for one in DATES if one != "2026-01-01T00:00:00"),
        ]
    )  # fmt: skip
    return maker.json(**{field: value})


def old_tick(maker: Maker) -> bytes:
    """A tick of a time that has passed, with everything that a tick may ask for."""
    return maker.json(version=maker.rng.choice([0, 1, 999_999]), learns=True, nominates=True, waits=True)


# --- messages among our own parts ------------------------------------------------------------------------------------


def packed_shape(maker: Maker) -> bytes:
    return msgspec.msgpack.encode(
        maker.rng.choice([[], {}, 7, "text", None, [[]], [1, 2, 3], [[["x"]]], {"a": 1}, [[], {}, [], "0"]])
    )


def packed_labelled(maker: Maker) -> bytes:
    """Examples, sums and moments that cannot be."""
    good = [maker.customer, 1_735_000_000_000_000, bytes(48), bytes(8), 0.5, 1, 0, 0]
    inf, nan = float("inf"), float("nan")
    examples = [
        [*good[:4], value, *good[5:]] for value in (inf, -inf, nan, 7.0, 1e308)
    ] + [
        [*good[:2], features, *good[3:]] for features in (b"", b"x", bytes(47), bytes(100_000), b"\xff" * 48)
    ] + [
        [*good[:3], odds, *good[4:]] for odds in (b"", b"x", bytes(7), b"\x7c\x00" * 4)
    ] + [
        [*good[:1], at, *good[2:]] for at in (2**62, -(2**62))
    ] + [
        [*good[:5], label, *good[6:]] for label in (2, -1, 2**62)
    ]  # fmt: skip
    wholes: list[Any] = [[[one], {}, [], 0] for one in examples]
    wholes += [[[], {day: value}, [], 0] for day, value in ((1, inf), (1, nan), (2**62, 1.0), (-5, 1.0), (1, -1e308))]
    wholes += [[[], {}, [[a, b, c]], 0] for a, b, c in ((2**62, 0, 1), (0, -1, 1), (0, 0, 2**62))]
    wholes += [[[], {}, [], at] for at in (2**62, -(2**62))] + [[[], {}, [], 0, 2**62], [[], {}, [], 0, -1]]
    return msgspec.msgpack.encode(maker.rng.choice(wholes))


def packed_nominated(maker: Maker) -> bytes:
    """Lists of nominees that cannot be."""
    good = {**_NOMINEE, "customer": maker.customer}
    wrong: list[Json] = [
        {"rank_value": float("inf")}, {"rank_value": float("nan")}, {"probability": float("nan")}, {"version": 2**62},
        {"monthly_worth": 1e308}, {"silent_days": float("-inf")}, {"customer": ""}, {"customer": "c" * 100_000},
    ]  # fmt: skip
    wholes: list[Any] = [[1_735_000_000_000_000, [{**good, **one}]] for one in wrong]
    wholes += [[at, []] for at in (2**62, -(2**62))] + [[0, [], 2**62], [0, [], -1], [0, "none"]]
    return msgspec.msgpack.encode(maker.rng.choice(wholes))


def alert(maker: Maker) -> bytes:
    """An alert that cannot be."""
    whole: Json = {"type": "opened", "alert_id": f"al_{maker.customer}", "customer_id": maker.customer}
    whole |= {"opened_at": maker.at, "expires_at": maker.at, "rank": 1, "probability": 0.5, "monthly_worth": 9.0}
    whole |= {"silent_days": 3.0, "usual_gap_days": None, "source": "model", "version": 0}
    field, value = maker.rng.choice(
        [
            ("opened_at", "0001-01-01T00:00:00+23:59"), ("expires_at", "9999-12-31T23:59:59-23:59"),
            ("opened_at", "9999-12-31T23:59:59Z"), ("rank", 2**62), ("probability", 1e308), ("monthly_worth", -1e308),
            ("silent_days", 1e308), ("alert_id", ""), ("alert_id", "a" * 300_000), ("customer_id", "\ud800"),
            ("source", "s" * 300_000), ("shop_id", ""), ("type", "closed"), ("explanation", 7),
        ]
    )  # fmt: skip
    return json.dumps({**whole, field: value}).encode()


SEQUENCES: Final = (
    b"",
    None,
    b"abc",
    b"-1",
    b"0",
    b"1e9",
    b"9" * 5_000,
    b"\xff",
    b"99999999999999999999",
    b" 7 ",
)


# --- kinds -----------------------------------------------------------------------------------------------------------

Value = Callable[[Maker], bytes | None]
_TEXTS: Final[dict[str, Value]] = {
    "random bytes": random_bytes,
    "invalid UTF-8": invalid_utf8,
    "invalid UTF-8 in a text": in_a_text,
    "empty": empty,
    "null": null,
    "not an object": not_an_object,
    "deep nesting": deep,
}
_OF_EVENTS: Final[dict[str, Value]] = {
    "number": number,
    "negative": negative,
    "date": date,
    "blank id": blank_id,
    "surrogate id": surrogate_id,
    "long id": long_id,
    "control characters": control_id,
    "wrong type": wrong_type,
}
_VALUES: Final[dict[str, dict[str, Value]]] = {
    "ticks": {**_TEXTS, "tick": tick, "old tick": old_tick},
    "contacts": {
        **_TEXTS, "opening": opening, "nominee": candidate, "contact": contact, "desk done": desk_done, "date": date,
        "blank id": blank_id, "surrogate id": surrogate_id, "long id": long_id, "wrong type": wrong_type,
    },
    "browsing": {**_TEXTS, **_OF_EVENTS},
    "cart": {**_TEXTS, **_OF_EVENTS},
    "orders": {**_TEXTS, **_OF_EVENTS, "amount": amount, "delivery": delivery},
    "complaints": {**_TEXTS, **_OF_EVENTS},
    "labelled": {**_TEXTS, "packed shape": packed_shape, "labelled": packed_labelled},
    "nominations": {**_TEXTS, "packed shape": packed_shape, "nominated": packed_nominated},
    "alerts": {**_TEXTS, "alert": alert},
    "scores": _TEXTS,
    "dead_letters": _TEXTS,
}  # fmt: skip
_LARGE: Final[dict[str, Value]] = {"long type": long_type, "large": large}


def _misplaced(maker: Maker) -> Record:
    return maker.record("misplaced", maker.json(), strays=True)


def _compressed(maker: Maker) -> Record:
    return maker.record("compressed", maker.json(), codec=maker.rng.choice(["gzip", "snappy", "lz4", "zstd"]))


def _many_headers(maker: Maker) -> Record:
    return maker.record("many headers", b"{}", headers=[("", b"")] * 2_000)


def _wide(maker: Maker) -> Record:
    """A key, headers and a value that fill the record together."""
    headers = [("h" * 30_000, b"v" * 200_000), ("null", None)]
    return maker.record("wide", b"z" * 200_000, key=b"k" * 400_000, headers=headers)


def _large_key(maker: Maker) -> Record:
    return maker.record("large key", b"{}", key=b"k" * 70_000)


def _binary_key(maker: Maker) -> Record:
    return maker.record("binary key", b"{}", key=b"\xff\x00\xfe" + maker.rng.randbytes(5))


def _sequence(maker: Maker) -> Record:
    headers = [("sequence", maker.rng.choice(SEQUENCES))] * maker.rng.choice([1, 2])
    return maker.record("sequence header", maker.rng.choice([b"{}", b"\x90", b"\x92\x00\x90"]), headers=headers)


def _forged_number(maker: Maker) -> Record:
    """A number that an outbox may come to, on a value that is no message."""
    return maker.record("forged number", b"{}", headers=[("sequence", b"999999")])


_OTHER: Final[dict[str, Callable[[Maker], Record]]] = {
    "many headers": _many_headers,
    "large key": _large_key,
    "binary key": _binary_key,
    "sequence header": _sequence,
    "forged number": _forged_number,
}
_OF_SHOP: Final = {"misplaced": _misplaced, "compressed": _compressed}


# --- whole batches that clients do not write -------------------------------------------------------------------------


def _header_name(maker: Maker) -> bytes:
    """A header whose name is no UTF-8."""
    return raw_kafka.batch([raw_kafka.record(0, b"{}", maker.customer.encode(), [(b"\xff\xfe", b"x")])])


def _null_header(maker: Maker) -> bytes:
    return raw_kafka.batch([raw_kafka.record(0, b"{}", None, [(b"name", None)])])


def _packed_header_name(maker: Maker) -> bytes:
    return _gzip([raw_kafka.record(0, b"{}", maker.customer.encode(), [(b"\xff", b"x")])])


def _offset(maker: Maker) -> bytes:
    """A record that claims to lie far behind its batch."""
    return raw_kafka.batch([raw_kafka.record(0, b"{}", maker.customer.encode(), delta=1_000)])


def _crowd(_maker: Maker) -> bytes:
    """Some KB that unpack to a hundred thousand empty records."""
    return _gzip([raw_kafka.record(index, None) for index in range(100_000)])


def _bomb(maker: Maker) -> bytes:
    """Some hundred KB that unpack to some hundred MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = b"\x00" + raw_kafka.varint(0) + raw_kafka.varint(0) + raw_kafka.field(None) + raw_kafka.varint(_BOMB_BYTES)
    tail = raw_kafka.varint(0)
    parts = [packer.compress(raw_kafka.varint(len(head) + _BOMB_BYTES + len(tail)) + head)]
    chunk = bytes(1_000_000)
    parts += [packer.compress(chunk) for _ in range(_BOMB_BYTES // len(chunk))]
    parts += [packer.compress(tail), packer.flush()]
    return raw_kafka.batch([b""], "gzip", b"".join(parts))


def _gzip(records: Sequence[bytes]) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return raw_kafka.batch(records, "gzip", packer.compress(b"".join(records)) + packer.flush())


BATCHES: Final[dict[str, Callable[[Maker], bytes]]] = {
    "header name": _header_name,
    "null header": _null_header,
    "packed header name": _packed_header_name,
    "offset": _offset,
}
BOMBS: Final[dict[str, Callable[[Maker], bytes]]] = {"bomb": _bomb, "crowd": _crowd}

KINDS: Final = (
    *dict.fromkeys(name for values in _VALUES.values() for name in values),
    *_LARGE, *_OTHER, *_OF_SHOP, "wide", *BATCHES, *BOMBS,
)  # fmt: skip


def few(seed: int, kinds: Collection[str] = KINDS, roles: Collection[str] = ROLES) -> Iterator[Record]:
    """Records that are large, or that a process counts and does not forgive for ever: two of each kind and role."""
    for role in roles:
        rng = Random(f"{seed} {role} few")
        for _ in range(2):
            maker = Maker(role, rng, _LONG_AGO)
            for name, value in _LARGE.items():
                if name in kinds:
                    yield maker.record(name, value(maker))
            if "wide" in kinds:
                yield _wide(maker)
            yield from (Record(name, role, batch=batch(maker)) for name, batch in BATCHES.items() if name in kinds)
        maker, bombs = Maker(role, rng, _LONG_AGO), BOMBS if role in ("orders", "alerts", *PACKED) else {}
        yield from (Record(name, role, batch=bomb(maker)) for name, bomb in bombs.items() if name in kinds)


def many(
    seed: int, count: int, at: Callable[[], str], kinds: Collection[str] = KINDS, roles: Collection[str] = ROLES
) -> Iterator[Record]:
    """Any number of small records, the kinds of each role in turn.

    Args:
        seed: of all that is random.
        count: of records.
        at: the time of the next event that is accepted, RFC 3339.
        kinds: those that are wanted.
        roles: the topics that are wanted.
    """
    makers: list[tuple[str, str]] = []
    for role in roles:
        of_role = [*_VALUES[role], *_OTHER, *(_OF_SHOP if role in EVENTS else ())]
        makers += [(role, name) for name in of_role if name in kinds]
    for place in range(count if makers else 0):
        role, name = makers[place % len(makers)]
        maker = Maker(role, Random(f"{seed} {place}"), at())
        if name in _VALUES[role]:
            yield maker.record(name, _VALUES[role][name](maker))
        else:
            yield {**_OTHER, **_OF_SHOP}[name](maker)
