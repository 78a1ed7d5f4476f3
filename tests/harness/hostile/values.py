"""Hostile values: unreadable bytes, and fields that no shop or service would send."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.harness.hostile.maker import EVENTS, PACKED, PREFIX, Bare, Json, Maker

Value = Callable[[Maker], bytes | None]

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
_NUMBERS: Final = {
    "browsing": ("price", "dwell_seconds", "load_seconds"),
    "cart": ("price", "quantity"),
    "orders": ("amount", "discount"),
    "complaints": ("rating",),
}
_COUNTS: Final = {"browsing": "search_results", "cart": "quantity", "orders": "items"}
_NOMINEE: Final[Json] = {
    "customer": "", "rank_value": 0.5, "probability": 0.5, "monthly_worth": 9.0, "silent_days": 3.0,
    "usual_gap_days": None, "source": 0, "version": 0,
}  # fmt: skip
_OPENING: Final[Json] = {"alert_id": "al_x", "rank": 1, "bar": 0.5}


def _nested(maker: Maker) -> bytes:
    """Return JSON or MessagePack nested so deeply that it exhausts a stack."""
    depth = maker.rng.choice([1_000, 20_000])
    if maker.role in PACKED:
        return b"\x91" * depth
    return b'{"type":"browsing","x":' * depth if maker.rng.random() < 0.5 else b"[" * depth


def _opening(maker: Maker) -> bytes:
    """Return a step that opens an invalid alert."""
    times = {"opened_at": 1_735_000_000_000_000, "expires_at": 1_736_000_000_000_000}
    whole: Json = {**_OPENING, **times, "nominee": {**_NOMINEE, "customer": maker.customer}}
    field, value = maker.rng.choice(
        [
            ("opened_at", 2**62), ("opened_at", -(2**62)), ("expires_at", 2**62), ("expires_at", -1), ("rank", 2**62),
            ("bar", Bare("1e308")), ("bar", -5.0), ("alert_id", ""), ("alert_id", "a" * 50_000),
        ]
    )  # fmt: skip
    return maker.json(action="episode_opened", opening={**whole, field: value})


def _candidate(maker: Maker) -> bytes:
    """Return a step that opens an alert with an invalid candidate."""
    field, value = maker.rng.choice(
        [
            ("monthly_worth", Bare("1e308")), ("silent_days", Bare("-1e308")), ("probability", 7.0), ("source", 99),
            ("version", 2**62), ("usual_gap_days", Bare("1e308")), ("customer", ""), ("rank_value", Bare("1e400")),
        ]
    )  # fmt: skip
    candidate = {**_NOMINEE, "customer": maker.customer, field: value}
    opening = {**_OPENING, "opened_at": 2**62, "expires_at": 2**62, "nominee": candidate}
    return maker.json(action="episode_opened", opening=opening)


def _step(maker: Maker) -> bytes:
    """Return a step of an alert with an invalid field."""
    return maker.with_one_of(
        ("sequence", 2**62), ("sequence", -1), ("sequence", 2**70), ("action", "a" * 100_000), ("action", ""),
        ("until", "9999-12-31T23:59:59Z"), ("until", "0001-01-01T00:00:00Z"), ("staff", "s" * 100_000),
        ("alert_id", ""), ("note", "n" * 400_000), ("outcome", "o" * 10_000),
    )  # fmt: skip


def _contact(maker: Maker) -> bytes:
    """Return a contact with an invalid field, or one that claims to be written by the system."""
    return maker.with_one_of(
        ("action", "a" * 100_000), ("action", ""), ("staff", "s" * 100_000), ("alert_id", ""), ("note", "n" * 400_000),
        ("channel", "\ud800"), ("sequence", 1), ("sequence", 2**62), ("opening", _OPENING), ("type", "alert_step"),
        ("action", "episode_resolved"), ("action", "episode_opened"), ("type", "tick"), ("type", "desk_done"),
    )  # fmt: skip


def _allocation_done(maker: Maker) -> bytes:
    """Return the allocator's marker with an invalid sequence number."""
    at, sequence = maker.rng.choice(DATES[:5]), maker.rng.choice([2**62, -1, 2**70])
    return json.dumps({"type": "desk_done", "occurred_at": at, "sequence": sequence}).encode()


def _tick(maker: Maker) -> bytes:
    return maker.with_one_of(
        ("version", 2**62), ("version", -1), ("version", 2**70), ("version", "1"), ("version", 10**9),
        ("ends", {"orders": -1}), ("ends", {"orders": 2**70}), ("ends", {"x" * 1_000: 1}), ("ends", 7),
        *(("occurred_at", one) for one in DATES if one != "2026-01-01T00:00:00"),
    )  # fmt: skip


def _old_tick(maker: Maker) -> bytes:
    """Return a tick in the past that sets all flags."""
    return maker.json(version=maker.rng.choice([0, 1, 999_999]), learns=True, nominates=True, waits=True)


def _labelled(maker: Maker) -> bytes:
    """Return invalid examples, sums and times."""
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


def _candidates(maker: Maker) -> bytes:
    good = {**_NOMINEE, "customer": maker.customer}
    wrong: list[Json] = [
        {"rank_value": float("inf")}, {"rank_value": float("nan")}, {"probability": float("nan")}, {"version": 2**62},
        {"monthly_worth": 1e308}, {"silent_days": float("-inf")}, {"customer": ""}, {"customer": "c" * 100_000},
    ]  # fmt: skip
    wholes: list[Any] = [[1_735_000_000_000_000, [{**good, **one}]] for one in wrong]
    wholes += [[at, []] for at in (2**62, -(2**62))] + [[0, [], 2**62], [0, [], -1], [0, "none"]]
    return msgspec.msgpack.encode(maker.rng.choice(wholes))


def _alert(maker: Maker) -> bytes:
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


_TEXTS: Final[dict[str, Value]] = {
    "random bytes": lambda maker: maker.rng.randbytes(maker.rng.randrange(1, 300)),
    "invalid UTF-8": lambda maker: maker.json() + b"\xff\xfe" if maker.role in EVENTS else b'{"type":"\xff\xfe"}',
    "invalid UTF-8 in a text": lambda maker: (
        b'{"type":"' + EVENTS.get(maker.role, "contact").encode() + b'","event_id":"\xc3\x28","customer_id":"x"}'
    ),
    "empty": lambda _: b"",
    "null": lambda _: None,
    "not an object": lambda maker: maker.rng.choice(
        [b"null", b"[]", b"7", b'"text"', b"{}", b'{"type":null}', b"\xef\xbb\xbf{}"]
    ),
    "deep nesting": _nested,
}
_IDS: Final[dict[str, Value]] = {
    "blank id": lambda maker: maker.with_any(["event_id", "customer_id", "shop_id"], ["", " ", "\t\n", "\u3000"]),
    "surrogate id": lambda maker: maker.with_any(
        ["event_id", "customer_id"], [PREFIX + one for one in ("\ud800", "\udfff", "a\udc80b")]
    ),
    "long id": lambda maker: maker.with_any(
        ["event_id", "customer_id"], [PREFIX + "i" * length for length in (300, 60_000)]
    ),
    "wrong type": lambda maker: maker.with_any(
        ["event_id", "customer_id", "occurred_at", "shop_id"], [7, True, [], {}, None, 1.5]
    ),
    "date": lambda maker: maker.with_any(["occurred_at"], DATES),
}
_EVENT: Final[dict[str, Value]] = {
    **_TEXTS,
    **_IDS,
    "number": lambda maker: maker.with_any(_NUMBERS[maker.role], [Bare(one) for one in AMOUNTS[:-1]]),
    "negative": lambda maker: maker.with_any(
        [_COUNTS.get(maker.role, "rating")], [-size for size in (1, 10**6, 2**31, 2**63)]
    ),
    # Characters that break a terminal, a key of Redis or a log.
    "control characters": lambda maker: maker.with_any(
        ["event_id"], [PREFIX + one for one in ("\x00", "\x1b[2J", "{p0}", "\u202e", "\r\n")]
    ),
}
_PACKED: Final[dict[str, Value]] = {
    **_TEXTS,
    "packed shape": lambda maker: msgspec.msgpack.encode(
        maker.rng.choice([[], {}, 7, "text", None, [[]], [1, 2, 3], [[["x"]]], {"a": 1}, [[], {}, [], "0"]])
    ),
}
VALUES: Final[dict[str, dict[str, Value]]] = {
    "ticks": {**_TEXTS, "tick": _tick, "old tick": _old_tick},
    "control": {
        **_TEXTS, **_IDS,
        "opening": _opening, "nominee": _candidate, "step": _step, "desk done": _allocation_done,
    },
    "contacts": {**_TEXTS, **_IDS, "contact": _contact},
    "browsing": _EVENT,
    "cart": _EVENT,
    "orders": {
        **_EVENT,
        # In an order that would count, what no shop charges.
        "amount": lambda maker: maker.json(action="paid", amount=Bare(maker.rng.choice(AMOUNTS[:-1]))),
        "delivery": lambda maker: maker.json(
            promised_at=maker.rng.choice(DATES[:5]), delivered_at=maker.rng.choice(DATES[:5])
        ),
    },
    "complaints": _EVENT,
    "labelled": {**_PACKED, "labelled": _labelled},
    "nominations": {**_PACKED, "nominated": _candidates},
    "alerts": {**_TEXTS, "alert": _alert},
    "scores": _TEXTS,
    "dead_letters": _TEXTS,
}  # fmt: skip
LARGE: Final[dict[str, Value]] = {
    "long type": lambda maker: json.dumps(
        {"type": "x" * maker.rng.randrange(300_000, 600_000), "customer_id": maker.customer}
    ).encode(),
    "large": lambda _: b"z" * 900_000,
}
