"""What a second look at Kafka tells of a consumer, and of Kafka."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Semaphore

from stream_app.adapters.kafka.admin import Partition
from stream_app.adapters.kafka.monitor import KafkaMonitor
from stream_app.core.stall import Progress, Stall
from stream_app.errors import NoBroker, OtherTopic

ALERTS = ("shop.alerts", 0)


class World:
    """A Kafka that may be away, and a clock."""

    def __init__(self) -> None:
        self.now, self.end, self.answers = 0.0, 5, True
        self.monitor = KafkaMonitor(self.ends, away_after=10, clock=lambda: self.now)

    def ends(self, places: Collection[Partition]) -> Mapping[Partition, int]:
        if not self.answers:
            raise NoBroker(bootstrap="x:1", problem="refused")
        return dict.fromkeys(places, self.end)

    def stalls(self, seconds: int, *, moves: bool = False) -> bool:
        """Whether a watchdog of 60 s would end a consumer in so many seconds."""
        stall = Stall(60, longest_look=12)
        stalled = False
        for second in range(seconds):
            self.now += 1
            self.monitor.positions = {ALERTS: 5 + second * moves}
            self.monitor.check()
            self.end += moves
            stalled |= stall.stalled(self.now, self.monitor.progress)
        return stalled


def test_a_consumer_for_which_there_is_nothing_may_be_silent() -> None:
    assert not World().stalls(200)


def test_a_consumer_that_does_not_bring_what_is_there_is_seen() -> None:
    world = World()
    world.end = 6
    assert not world.stalls(59)
    assert world.stalls(70)


def test_a_consumer_that_moves_is_well_however_far_behind() -> None:
    world = World()
    world.end = 1_000
    assert not world.stalls(200, moves=True)


def test_while_kafka_is_away_nobody_is_blamed_and_everybody_is_told() -> None:
    world = World()
    world.end = 6
    world.stalls(5)
    world.answers = False
    assert not world.stalls(10)
    assert not world.monitor.away
    assert not world.stalls(200)
    assert world.monitor.away
    assert world.monitor.silent_seconds == 210
    assert world.monitor.excused(Progress(position=1, lag=1)).waiting
    world.answers = True
    world.monitor.check()
    assert not world.monitor.away
    assert not world.monitor.excused(Progress(position=1, lag=1)).waiting
    assert world.stalls(70)  # and who is silent still is seen again


def test_a_look_that_fails_for_another_reason_does_not_end_the_watch() -> None:
    looks = Semaphore(0)

    def ends(places: Collection[Partition]) -> Mapping[Partition, int]:
        looks.release()
        raise RuntimeError("made up")

    monitor = KafkaMonitor(ends, away_after=10, every=0.001)
    monitor.start()
    try:
        assert all(looks.acquire(timeout=10) for _ in range(3))
    finally:
        monitor.stop()


def test_a_topic_that_was_created_again_or_is_gone_is_told_of() -> None:
    gone: list[str] = []
    other: list[OtherTopic] = []

    def look() -> list[str]:
        if other:
            raise other[0]
        return gone

    monitor = KafkaMonitor(lambda places: dict.fromkeys(places, 9), away_after=10, clock=lambda: 0.0, gone=look)
    monitor.check()
    assert (monitor.gone_topics, monitor.other_topic) == ([], None)
    gone.append("shop.orders")
    monitor.check()
    assert monitor.gone_topics == ["shop.orders"]
    other.append(OtherTopic(topic="shop.orders", present="b", stored="a"))
    monitor.check()
    assert monitor.other_topic is other[0]
