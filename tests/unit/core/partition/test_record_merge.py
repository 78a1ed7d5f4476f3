"""The one order over the topics of a partition number: the same for every way in which a log is cut into fetches."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

from stream_app.core.partition.record_merge import Entry, RecordMerge
from stream_app.errors import AlignmentGap

TOPICS = ("ticks", "contacts", "orders")
ITEM_BYTES = 10


@dataclass(frozen=True)
class Log:
    """One topic, completely published: times by offset; some offsets hold nothing, as after markers of transactions."""

    offsets: tuple[int, ...]
    times: tuple[int, ...]
    end: int

    def fetch(self, merge: RecordMerge[str], topic: str, start: int, end: int) -> None:
        inside = [(o, t) for o, t in zip(self.offsets, self.times, strict=True) if start <= o < end]
        offsets, times = [o for o, _ in inside], [t for _, t in inside]
        items = [f"{topic}-{offset}" for offset in offsets]
        merge.push(topic, start, items, times, offsets, end, self.end, ITEM_BYTES * len(items))


@st.composite
def logs(draw: st.DrawFn) -> Log:
    slots = draw(st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=14))
    held = [(offset, time) for offset, time in enumerate(slots) if time is not None]
    return Log(tuple(o for o, _ in held), tuple(t for _, t in held), len(slots))


def by_heads(published: dict[str, Log]) -> list[Entry[str]]:
    """The order as the definition says it, slowly: among all heads the smallest (time, precedence, offset)."""
    left = [list(zip(log.times, log.offsets, strict=True)) for log in published.values()]
    order: list[Entry[str]] = []
    while any(left):
        time, index, offset = min((queue[0][0], index, queue[0][1]) for index, queue in enumerate(left) if queue)
        del left[index][0]
        order.append((index, offset, time, f"{TOPICS[index]}-{offset}"))
    return order


def buffered_items(merge: RecordMerge[str]) -> int:
    return sum(len(queue.entries) for queue in merge._queues)


def filled(**published: list[int]) -> RecordMerge[str]:
    """An aligner with topics that hold these times, all fetched at once; the others are caught up and empty."""
    merge = RecordMerge[str](TOPICS)
    for topic in TOPICS:
        times = published.get(topic, [])
        Log(tuple(range(len(times))), tuple(times), len(times)).fetch(merge, topic, 0, len(times))
    return merge


@given(st.tuples(logs(), logs(), logs()), st.integers(0, 1 << 32))
def test_the_order_does_not_depend_on_fetches_and_nothing_is_lost_or_doubled(
    three: tuple[Log, Log, Log], seed: int
) -> None:
    chance = random.Random(seed)
    published = dict(zip(TOPICS, three, strict=True))
    merge = RecordMerge[str](TOPICS)
    merge.begin(dict.fromkeys(TOPICS, 0))
    fetched = dict.fromkeys(TOPICS, -1)  # nothing told yet, not even of the lag
    popped: list[Entry[str]] = []
    while unread := [topic for topic, log in published.items() if fetched[topic] < log.end]:
        # 1. Fetch a piece of any topic, which may begin before what is expected: a redelivery.
        topic = chance.choice(unread)
        expected = max(0, fetched[topic])
        start = chance.randint(max(0, expected - 4), expected)
        end = chance.randint(start, min(start + 8, published[topic].end))
        published[topic].fetch(merge, topic, start, end)
        if end >= expected:
            fetched[topic] = end
        # 2. Take some, and give the last of them back.
        run = merge.pop(chance.randint(0, 5))
        kept = chance.randint(0, len(run))
        merge.put_back(run[kept:])
        popped += run[:kept]
        # 3. What is consumed is told exactly.
        for index, name in enumerate(TOPICS):
            mine = {offset for topic_index, offset, _, _ in popped if topic_index == index}
            rest = [offset for offset in published[name].offsets if offset not in mine and offset < fetched[name]]
            assert merge.positions[name] == (rest[0] if rest else max(0, fetched[name]))
    popped += merge.pop(1000)
    assert popped == by_heads(published)
    assert merge.positions == {topic: log.end for topic, log in published.items()}
    assert (merge.buffered_bytes, buffered_items(merge)) == (0, 0)
    assert merge.waiting_for == ()


@given(logs(), st.integers(0, 1 << 32))
def test_bytes_go_down_with_every_item_and_come_back_with_what_is_put_back(log: Log, seed: int) -> None:
    chance = random.Random(seed)
    merge = RecordMerge[str](["orders"])
    cut = chance.randint(0, log.end)
    log.fetch(merge, "orders", 0, cut)
    log.fetch(merge, "orders", cut, log.end)
    left = len(log.offsets)
    assert merge.buffered_bytes == ITEM_BYTES * left
    while left:
        run = merge.pop(chance.randint(1, 4))
        kept = chance.randint(0, len(run))
        merge.put_back(run[kept:])
        left -= kept
        assert merge.buffered_bytes == ITEM_BYTES * left
        assert buffered_items(merge) == left


def test_what_is_put_back_after_its_fetch_was_written_off_counts_nothing_and_comes_again() -> None:
    merge = RecordMerge[str](["orders"])
    merge.push("orders", 0, ["a"], [1], [0], 1, 9, 10)
    run = merge.pop(1)
    merge.push("orders", 1, ["b", "c"], [2, 3], [1, 2], 3, 9, 20)
    assert merge.buffered_bytes == 20
    merge.put_back(run)
    assert merge.buffered_bytes == 20
    assert [(item, merge.buffered_bytes) for *_, item in (merge.pop(1)[0] for _ in range(3))] == [
        ("a", 20),
        ("b", 10),
        ("c", 0),
    ]


def test_equal_times_go_by_topic_then_by_offset() -> None:
    merge = filled(orders=[5, 5], ticks=[5], contacts=[5])
    assert [item for *_, item in merge.pop(10)] == ["ticks-0", "contacts-0", "orders-0", "orders-1"]


def test_a_run_ends_at_the_smallest_of_the_other_heads() -> None:
    merge = filled(ticks=[1, 5], contacts=[6], orders=[3])
    assert [time for _, _, time, _ in merge.pop(10)] == [1, 3, 5, 6]


def test_a_late_event_goes_as_soon_as_it_is_the_head_and_not_before() -> None:
    merge = filled(orders=[10, 3, 11], ticks=[9, 12])
    assert [item for *_, item in merge.pop(10)] == ["ticks-0", "orders-0", "orders-1", "orders-2", "ticks-1"]


def test_unknown_lag_waits_and_a_topic_that_has_caught_up_does_not() -> None:
    merge = RecordMerge[str](TOPICS)
    merge.begin({"ticks": 40, "contacts": 0, "orders": 3})
    merge.push("orders", 3, ["o"], [7], [3], 4, 4, 10)
    assert (merge.pop(9), merge.waiting_for) == ([], ("ticks", "contacts"))
    merge.push("ticks", 40, [], [], [], 40, 40, 0)
    merge.push("contacts", 0, [], [], [], 0, 2, 0)
    assert (merge.pop(9), merge.waiting_for) == ([], ("contacts",))
    merge.push("contacts", 0, [], [], [], 2, 2, 0)  # two records that are nobody's
    assert merge.pop(9) == [(2, 3, 7, "o")]
    assert merge.positions == {"ticks": 40, "contacts": 2, "orders": 4}


def test_nothing_waits_at_the_head_of_the_log() -> None:
    merge = filled(orders=[1])
    assert len(merge.pop(9)) == 1
    merge.push("orders", 1, ["next"], [2], [1], 2, 2, 10)
    assert merge.pop(9) == [(2, 1, 2, "next")]


def test_a_topic_that_runs_empty_while_it_lags_stops_the_others() -> None:
    merge = filled(ticks=[1], contacts=[4])
    merge.push("orders", 0, ["o"], [2], [0], 1, 5, 10)
    assert [entry[:2] for entry in merge.pop(9)] == [(0, 0), (2, 0)]
    assert merge.waiting_for == ("orders",)
    assert merge.lags == {"ticks": 0, "contacts": 1, "orders": 4}
    merge.push("orders", 1, [], [], [], 5, 5, 0)
    assert [entry[:2] for entry in merge.pop(9)] == [(1, 0)]


def test_one_topic_alone_is_read_past_the_others() -> None:
    merge = filled(ticks=[1], contacts=[8, 9, 10])
    assert [item for *_, item in merge.pop(2, only="contacts")] == ["contacts-0", "contacts-1"]
    assert merge.positions == {"ticks": 0, "contacts": 2, "orders": 0}
    assert merge.pop(9, only="orders") == []


def test_a_gap_is_refused_and_leaves_all_as_it_was() -> None:
    merge = filled(orders=[1])
    with pytest.raises(AlignmentGap, match="at offset 3 instead of 1"):
        merge.push("orders", 3, ["x"], [9], [3], 4, 4, 10)
    assert merge.positions["orders"] == 0
    assert len(merge.pop(9)) == 1


def test_a_fetch_of_an_earlier_time_says_nothing_about_the_lag() -> None:
    merge = RecordMerge[str](["orders"])
    merge.begin({"orders": 60})
    merge.push("orders", 40, ["old"], [1], [45], 50, 50, 10)
    assert merge.lags == {"orders": None}
    merge.push("orders", 60, [], [], [], 60, 90, 0)
    merge.push("orders", 40, ["old"], [1], [45], 60, 60, 10)
    assert merge.lags == {"orders": 30}
    assert (buffered_items(merge), merge.waiting_for) == (0, ("orders",))


def test_a_new_assignment_forgets_buffers_and_lags() -> None:
    merge = filled(orders=[1, 2])
    merge.begin({"ticks": 5, "contacts": 6, "orders": 7})
    assert (buffered_items(merge), merge.buffered_bytes, merge.pop(9)) == (0, 0, [])
    assert merge.waiting_for == TOPICS
    assert merge.positions == {"ticks": 5, "contacts": 6, "orders": 7}


def test_a_topic_without_a_position_begins_where_its_first_fetch_does() -> None:
    merge = RecordMerge[str](TOPICS)
    merge.begin({"ticks": 0})
    merge.push("orders", 500, ["o"], [7], [500], 501, 501, 10)
    assert merge.positions == {"ticks": 0, "orders": 500}
    assert merge.waiting_for == ("ticks", "contacts")
    with pytest.raises(AlignmentGap):
        merge.push("orders", 502, [], [], [], 502, 502, 0)


def test_a_full_topic_is_not_wanted_and_the_one_that_blocks_it_is() -> None:
    merge = RecordMerge[str](TOPICS, max_bytes=300)
    merge.push("orders", 0, ["a", "b"], [1, 2], [0, 1], 2, 1000, 150)
    assert [topic for topic in TOPICS if merge.wants(topic)] == ["ticks", "contacts"]
    for topic in ("ticks", "contacts"):
        merge.push(topic, 0, [], [], [], 0, 0, 0)
    assert len(merge.pop(1)) == 1
    assert merge.wants("orders")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_bytes_are_those_of_what_is_left_even_when_a_later_push_comes_between(steps: list[tuple[int, int]]) -> None:
    merge = RecordMerge[str](["orders"])
    left = end = 0
    for pushed, limit in steps:
        offsets = list(range(end, end + pushed))
        merge.push("orders", end, ["x"] * pushed, offsets, offsets, end + pushed, 999, 10 * pushed)
        end += pushed
        left += pushed - len(merge.pop(limit))
        assert (merge.buffered_bytes, buffered_items(merge)) == (10 * left, left)
