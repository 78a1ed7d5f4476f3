"""Senders and commits together, over the memory twin: who waits for whom, and what ends the process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest

from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused, Retry
from stream_app.core.delivery.records import (
    DEAD,
    PENDING,
    SENT,
    Delivery,
    DeliveryChanges,
    MessageText,
    OutboundMessage,
    Request,
    decode_record,
    encode_record,
)
from stream_app.core.delivery.routing import Policy, Route
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.messages.alerts import AlertOpened
from stream_app.errors import CommitRefused
from stream_app.metrics.base import new_registry
from stream_app.metrics.notifier import DeliveryMetrics
from stream_app.metrics.runtime import CommitMetrics
from stream_app.notifications.messages.fallback import FallbackComposer
from stream_app.notifications.messages.masking import mask
from stream_app.notifications.messages.writer import MessageWriter
from stream_app.ports import Outcome
from stream_app.services.notifier.commits import Commits
from stream_app.services.notifier.requests import Requests
from stream_app.services.notifier.sender import Sender
from stream_app.services.runtime.wall_clock import now_us
from tests.fakes import MemoryDeliveryStore, StoredDeliveries


class Channel:
    """Answers as it is told, after a time; counts what it gets at once."""

    def __init__(self, *answers: Answer | Exception, seconds: float = 0.0) -> None:
        self.answers, self.seconds = list(answers), seconds
        self.got: list[str] = []
        self.at_once = self.most = 0

    async def send(self, outbound: OutboundMessage) -> Answer:
        self.got.append(outbound.id)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else Delivered()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is held."""


def alert(name: str) -> AlertOpened:
    at = datetime.now(UTC)
    return AlertOpened(name, "customer-1", at, at + timedelta(days=1), 1, 0.8, 9.0, 30.0, None, "model", 1, urgent=True)


class SlowStore(MemoryDeliveryStore):
    """A twin whose commits take their time, as those to a server do."""

    async def commit(self, changes: DeliveryChanges, batch: str) -> Outcome:
        await asyncio.sleep(0.01)
        return await super().commit(changes, batch)


class Deliverer:
    """All parts of the service but Kafka."""

    def __init__(self, concurrency: int = 1, timeout_seconds: float = 5.0, **channels: Channel) -> None:
        routes = [Route(name) for name in channels]
        registry = new_registry()
        self.server = StoredDeliveries()
        self.store = SlowStore(self.server)
        self.book = DeliveryScheduler(routes, Policy(live=True), MessageWriter(FallbackComposer()))
        self.commits = Commits(self.book, self.store, CommitMetrics(registry))
        self.metrics = DeliveryMetrics(registry, routes)
        self.senders = [
            Sender(name, channel, self.book, self.commits, self.metrics, concurrency, timeout_seconds, now_us)
            for name, channel in channels.items()
        ]
        self.requests = Requests(self.book, self.store, self.commits)
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.store.claim("notifier")
        self.tasks = [asyncio.create_task(sender.run()) for sender in self.senders]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def take(self, *names: str) -> None:
        self.book.add_alerts(0, 1, [alert(name) for name in names], set(), now_us())
        await self.commits.store()
        for sender in self.senders:
            sender.due.set()

    async def until(self, holds: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.005)

    def states(self) -> dict[str, str]:
        return {name: decode_record(value, Delivery).state for name, value in self.server.deliveries.items()}

    def value(self, name: str, **labels: str) -> float | None:
        self.metrics.update(self.book, now_us())
        return self.metrics.registry.get_sample_value(f"churn_{name}", labels)


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    asyncio.run(run())


def test_one_that_hangs_delays_nobody_else() -> None:
    async def scenario() -> None:
        dead, well = Channel(seconds=60), Channel()
        async with Deliverer(dead=dead, well=well) as deliverer:
            await deliverer.take(*(f"a{place}" for place in range(30)))
            await deliverer.until(lambda: len(well.got) == 30)
            await deliverer.until(lambda: list(deliverer.states().values()).count(SENT) == 30)
            assert len(dead.got) == 1
            assert deliverer.value("delivery_pending_records", channel="dead") == 30
            assert deliverer.value("delivery_pending_records", channel="well") == 0
            assert deliverer.value("deliveries_total", channel="well", outcome="sent") == 30

    play(scenario)


def test_no_more_at_once_than_allowed() -> None:
    async def scenario() -> None:
        channel = Channel(seconds=0.01)
        async with Deliverer(3, team=channel) as deliverer:
            await deliverer.take(*(f"a{place}" for place in range(20)))
            await deliverer.until(lambda: set(deliverer.states().values()) == {SENT})
            assert channel.most == 3
            assert len(channel.got) == 20

    play(scenario)


def test_answers_that_come_together_share_a_commit() -> None:
    async def scenario() -> None:
        async with Deliverer(16, team=Channel(seconds=0.02)) as deliverer:
            await deliverer.take(*(f"a{place}" for place in range(16)))
            await deliverer.until(lambda: set(deliverer.states().values()) == {SENT})
            assert deliverer.server.number < 10

    play(scenario)


@pytest.mark.parametrize(
    ("answer", "state", "outcome"),
    [
        (Retry("down"), PENDING, "retry"),
        (Refused("bad", "mend"), DEAD, "refused"),
        (Gone("410"), DEAD, "gone"),
        (ValueError("https://host/t0ken"), PENDING, "retry"),
    ],
)
def test_what_comes_of_an_attempt_is_stored_and_counted(answer: Any, state: str, outcome: str) -> None:
    async def scenario() -> None:
        async with Deliverer(team=Channel(answer, seconds=0.01)) as deliverer:
            await deliverer.take("a")
            await deliverer.until(lambda: deliverer.server.number == 2)
            assert deliverer.states() == {"a:team": state}
            assert deliverer.value("delivery_attempts_total", channel="team", outcome=outcome) == 1
            assert "t0ken" not in str(deliverer.server)
            assert deliverer.value("delivery_channel_disabled", channel="team") == float(outcome == "gone")

    play(scenario)


def test_a_channel_that_does_not_keep_its_own_time_is_left() -> None:
    async def scenario() -> None:
        async with Deliverer(timeout_seconds=0.02, team=Channel(seconds=60)) as deliverer:
            await deliverer.take("a")
            await deliverer.until(lambda: deliverer.server.number == 2)
            assert "did not finish in time" in deliverer.book.messages["a:team"].problem

    play(scenario)


def test_a_later_deliverer_ends_the_earlier_one() -> None:
    async def scenario() -> None:
        async with Deliverer(team=Channel(seconds=0.05)) as deliverer:
            await deliverer.take("a")
            await asyncio.sleep(0.01)
            await MemoryDeliveryStore(deliverer.server).claim("notifier")
            with pytest.raises(CommitRefused):
                await asyncio.wait_for(deliverer.tasks[0], 10)
            assert deliverer.states() == {"a:team": PENDING}

    play(scenario)


def test_a_sender_ends_when_it_is_told_to_though_something_comes_at_that_very_moment() -> None:
    async def scenario() -> None:
        for turns in range(6):
            async with Deliverer(team=Channel()) as deliverer:
                await asyncio.sleep(0.002)
                deliverer.senders[0].due.set()
                for _ in range(turns):
                    await asyncio.sleep(0)
                deliverer.tasks[0].cancel()
                await asyncio.wait(deliverer.tasks, timeout=10)
                assert deliverer.tasks[0].cancelled()

    play(scenario)


def test_what_people_ask_for_is_carried_out_once() -> None:
    async def scenario() -> None:
        channel = Channel(Gone("410"))
        async with Deliverer(team=channel) as deliverer:
            await deliverer.take("a", "b")
            await deliverer.until(lambda: set(deliverer.states().values()) == {DEAD})
            for request in (Request("enable", "team"), Request("redrive"), Request("dance")):
                await deliverer.store.ask(encode_record(request))
            await deliverer.store.ask(b"not json")
            assert await deliverer.requests.answer(now_us())
            assert not await deliverer.requests.answer(now_us())
            deliverer.senders[0].due.set()
            await deliverer.until(lambda: set(deliverer.states().values()) == {SENT})
            assert sorted(channel.got) == ["a:team", "a:team", "b:team"]

    play(scenario)


def test_a_composer_that_fails_is_replaced_by_plain_words() -> None:
    class Broken:
        def alert(self, *_: object) -> MessageText:
            raise ValueError("a template")

        def digest(self, *_: object) -> list[tuple[MessageText, tuple[str, ...]]]:
            raise ValueError("a template")

    words = MessageWriter(Broken())
    assert "no order for 30 days" in words.alert(alert("a"), Route("team")).plain
    assert words.digest([alert("a")], Route("team", language="zh"))[0][1] == ("a",)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("max_bytes", [300, 2_048])
def test_plain_digests_hold_all_alerts_within_their_size(language: str, max_bytes: int) -> None:
    alerts = [alert(f"a{place}") for place in range(100)]
    pages = FallbackComposer().digest(alerts, language, max_bytes)
    assert [name for _, names in pages for name in names] == [one.alert_id for one in alerts]
    for message, names in pages:
        assert len(message.markdown.encode()) <= max_bytes
        assert len(message.plain.encode()) <= max_bytes
        assert message.plain.count(mask("customer-1")) == len(names)
    assert "customer-1" not in pages[0][0].plain
    assert mask("customer-1") in pages[0][0].plain
