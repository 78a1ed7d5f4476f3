"""`stream-app alerts` as people see it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec
from rich.console import Console

from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.cli.options import one_of
from stream_app.cli.tables import Column, show_table
from stream_app.config import LiveConfig
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused
from stream_app.core.delivery.records import (
    CLOSED,
    DEAD,
    EXPIRED,
    PENDING,
    REASONS,
    REMOVED,
    SENT,
    SHADOW,
    STATES,
    SUPPRESSED,
    ChannelState,
    Delivery,
    OutboundMessage,
    Request,
    encode_record,
    readable,
)
from stream_app.core.delivery.routing import Route
from stream_app.core.messages.schema import AlertOpened
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.errors import BadOption, UnknownChannel, UnknownDelivery
from stream_app.notifications.channel_factory import make_channel
from stream_app.notifications.channel_file import read_channels
from stream_app.notifications.messages.writer import MessageWriter, make_composer
from stream_app.notifications.routes import make_route
from stream_app.services.notifier.clock import now_us
from stream_app.services.notifier.requests import ENABLE, REDRIVE
from stream_app.services.runtime.stores import open_stores

T = TypeVar("T")
_RecordT = TypeVar("_RecordT", Delivery, OutboundMessage, ChannelState)
_WHY_CELLS: Final = 24  # in which a reason still reads well
_NONE: Final = {
    None: "No deliveries yet: they come with the first alert while `stream-app deliver` runs with channels"
    " (delivery.config).",
    PENDING: "No delivery is pending: nothing waits to be sent.",
    SENT: "No delivery has been sent. In shadow mode none is: see `--state shadow`.",
    SUPPRESSED: "No delivery was suppressed.",
    DEAD: "No delivery is dead: nothing was given up.",
    EXPIRED: "No delivery was suppressed because its alert had expired.",
    CLOSED: "No delivery was suppressed because its episode had ended.",
    SHADOW: "No delivery was held back by shadow mode.",
    REMOVED: "No delivery was suppressed because its channel had been removed.",
}
_MARKED: Final = {"en": "[TEST] ", "zh": "【测试】"}


@dataclass(frozen=True)
class Wanted:
    """Which deliveries are asked for, and how they are shown."""

    state: str | None  # or why it was suppressed
    channel: str | None
    limit: int
    form: str

    def has(self, delivery: Delivery) -> bool:
        """Whether a delivery is among them."""
        in_state = self.state in {None, delivery.state} or (delivery.state, delivery.reason) == (SUPPRESSED, self.state)
        return in_state and self.channel in {None, delivery.channel}


def run_list(config: LiveConfig, wanted: Wanted, console: Console) -> None:
    """The latest deliveries, as a table on the terminal or as JSON lines on standard output."""
    one_of("--format", wanted.form, "table", "json")
    if wanted.state is not None:
        one_of("--state", wanted.state, *STATES, *REASONS)
    known, messages, channels = _with_store(config, lambda store: _find(store, wanted))
    found = known[: wanted.limit]
    if wanted.form == "json":
        for one in found:
            message = messages.get(one.message)
            sys.stdout.buffer.write(msgspec.json.encode(_told(one, message)) + b"\n")
        return
    if found:
        columns = [
            *map(Column, ("delivery", "state", "since", "attempts")),
            Column("why, or what comes next", _WHY_CELLS),
        ]
        some = f"the latest {len(found)} of {len(known)}, " if len(known) > len(found) else ""
        title = f"Deliveries: {some}the last to change its state first"
        show_table(console, title, columns, [_row(one, messages.get(one.message)) for one in found])
    else:
        where = f" (channel {wanted.channel})" if wanted.channel else ""
        console.print(f"{_NONE[wanted.state]}{where}", markup=False, soft_wrap=True)
    for name, state in channels.items():
        if state.gone_at:
            console.print(f"Channel {name} is closed since {_time(state.gone_at)}: {state.reason}.", markup=False)
            console.print(f"Open it again with: stream-app alerts enable {name}")


async def _find(
    store: RedisDeliveryStore, wanted: Wanted
) -> tuple[list[Delivery], dict[str, OutboundMessage], dict[str, ChannelState]]:
    found: list[Delivery] = []
    async for chunk in store.all_deliveries():
        found += filter(wanted.has, _readable(chunk, Delivery))
    found.sort(key=lambda one: (-one.changed_at, one.id))
    messages = await store.messages(sorted({one.message for one in found[: wanted.limit]} - {""}))
    channels = await store.channels()
    return (
        found,
        {one.id: one for one in _readable(messages.values(), OutboundMessage)},
        {name: state for name, value in channels.items() for state in _readable([value], ChannelState)},
    )


def _readable(values: Iterable[bytes], kind: type[_RecordT]) -> list[_RecordT]:
    """What can be read of stored values; the rest is named on standard error."""
    found, problems = readable(values, kind)
    for problem in problems:
        sys.stderr.write(f"Skipped a stored record that cannot be read: {problem!a}\n")
    return found


def _row(delivery: Delivery, message: OutboundMessage | None) -> tuple[str, ...]:
    attempts = str(message.attempts) if message is not None and message.attempts else ""
    return delivery.id, delivery.state, _time(delivery.changed_at), attempts, _why(delivery, message)


def _why(delivery: Delivery, message: OutboundMessage | None) -> str:
    if delivery.reason:
        return delivery.reason
    if message is None:
        return "" if delivery.message else f"waits for the digest of {_time(delivery.due_at)}"
    return f"{message.problem}; again at {_time(message.due_at)}" if message.problem else ""


def _told(delivery: Delivery, message: OutboundMessage | None) -> dict[str, Any]:
    return {
        "delivery": delivery.id,
        "alert": delivery.alert_id,
        "channel": delivery.channel,
        "shop": delivery.shop_id,
        "state": delivery.state,
        "why": _why(delivery, message),
        "urgent": delivery.urgent,
        "since": _time(delivery.changed_at),
        "expires": _time(delivery.expires_at),
        "attempts": message.attempts if message is not None else None,
    }


def run_redrive(config: LiveConfig, delivery: str | None, everything: bool, console: Console) -> None:
    """Leave the request to the deliverer."""
    if everything == (delivery is not None):
        remedy = "Name one dead delivery, or give --all."
        raise BadOption(option="The delivery to redrive", value=delivery, remedy=remedy)

    async def ask(store: RedisDeliveryStore) -> int:
        dead = await store.dead()
        if delivery is not None and delivery not in dead:
            raise UnknownDelivery(delivery=delivery)
        if dead:
            await store.ask(encode_record(Request(REDRIVE, delivery or "")))
        return 1 if delivery is not None else len(dead)

    count = _with_store(config, ask)
    done = "The deliverer tries again within a second, or when it runs."
    console.print(f"Asked for: {count}. {done}" if count else f"No delivery is {DEAD}.")


def run_enable(config: LiveConfig, channel: str, console: Console) -> None:
    """Leave the request to the deliverer."""
    _channel_known(config, channel)
    _with_store(config, lambda store: store.ask(encode_record(Request(ENABLE, channel))))
    console.print(f"{channel} is opened within a second, or when the deliverer runs.")
    console.print("What was given up meanwhile comes back with: stream-app alerts redrive --all")


def run_test(config: LiveConfig, channel: str, console: Console) -> int:
    """Send a sample now, past mode, hours and limits; returns the exit status."""
    _channel_known(config, channel)
    channels = read_channels(config.delivery.config)
    entry = channels.file.channels[channel]
    route = make_route(channel, entry, config.shop.settings().clock)
    message = _sample(config, route)

    async def send() -> Answer:
        receiver = make_channel(channel, channels)
        try:
            return await receiver.send(message)
        finally:
            await receiver.close()

    answer = asyncio.run(send())
    if isinstance(answer, Delivered):
        console.print(f"{channel} has taken the sample. Look for {message.title!r} there.", markup=False)
        return 0
    remedy = answer.remedy if isinstance(answer, Refused) else _later(answer)
    console.print(f"{channel} has not taken the sample: {answer.reason}. {remedy}", markup=False)
    return 1


def _later(answer: Answer) -> str:
    if isinstance(answer, Gone):
        return "Ask its owner; when it wants messages again, give `stream-app alerts enable`."
    return "A real alert would be tried again. Check the address, the receiver, and the way to it (firewall, proxy)."


def _sample(config: LiveConfig, route: Route) -> OutboundMessage:
    now = now_us()
    opened_at = EPOCH + now * MICROSECOND
    causes = (Cause("logistics", 0.62), Cause("price", 0.2))
    alert = AlertOpened(
        alert_id=f"test_{now}",
        customer_id="sample-customer",
        opened_at=opened_at,
        expires_at=opened_at + timedelta(days=1),
        rank=1,
        probability=0.87,
        monthly_worth=120.0,
        silent_days=41.0,
        usual_gap_days=18.0,
        source="model",
        version=0,
        explanation=Explanation("loyal", causes, (Evidence("silent", {"days": 41.0}),)),
    )
    text = MessageWriter(make_composer(config)).alert(alert, route)
    mark = _MARKED[route.language]
    title, markdown, plain = (mark + form for form in text)
    return OutboundMessage(alert.alert_id, route.channel, (), title, markdown, plain, now, now, now, alert)


def _channel_known(config: LiveConfig, channel: str) -> None:
    known = read_channels(config.delivery.config).file.channels
    if channel not in known:
        raise UnknownChannel(channel=channel, known=", ".join(known) or "none")


def _with_store(config: LiveConfig, work: Callable[[RedisDeliveryStore], Awaitable[T]]) -> T:
    async def run() -> T:
        stores = open_stores(config)
        try:
            return await work(RedisDeliveryStore(stores.client, config.redis.prefix))
        finally:
            await stores.close()

    return asyncio.run(run())


def _time(at: int) -> str:
    return (EPOCH + at * MICROSECOND).isoformat(timespec="seconds")
