"""The `stream-app deliveries` commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import typer
from rich.console import Console

from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.cli.options import ConfigOption, JsonOption, SetOption, load_settings, one_of
from stream_app.cli.output import iso_time, messages, results, write_json
from stream_app.cli.tables import show_table
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
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.units import from_micros
from stream_app.errors import BadOption, UnknownChannel, UnknownDelivery
from stream_app.notifications.channel_factory import make_channel, make_route
from stream_app.notifications.channel_file import Channels, read_channels
from stream_app.notifications.messages.writer import MessageWriter, make_composer
from stream_app.services.notifier.requests import ENABLE, REDRIVE
from stream_app.services.runtime.stores import with_stores
from stream_app.services.runtime.wall_clock import now_us

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="List and retry alert deliveries, and test channels."
)
T = TypeVar("T")
_RecordT = TypeVar("_RecordT", Delivery, OutboundMessage, ChannelState)
_NONE: Final = {
    None: "There are no deliveries yet. They start with the first alert while `stream-app notifier` runs with channels"
    " (delivery.config).",
    PENDING: "There are no pending deliveries.",
    SENT: "There are no sent deliveries. In shadow mode nothing is sent; see `--state shadow`.",
    SUPPRESSED: "There are no suppressed deliveries.",
    DEAD: "There are no dead deliveries.",
    EXPIRED: "There are no deliveries suppressed because their alert expired.",
    CLOSED: "There are no deliveries suppressed because their alert closed.",
    SHADOW: "There are no deliveries suppressed by shadow mode.",
    REMOVED: "There are no deliveries suppressed because their channel was removed.",
}
_TEST_PREFIX: Final = {"en": "[TEST] ", "zh": "【测试】"}
ChannelArgument = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel.")]


@app.command("list")
def list_deliveries(
    state: Annotated[
        str | None, typer.Option(help=f"{', '.join(STATES)}, or the reason of a suppressed delivery, such as {SHADOW}.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only deliveries to this channel.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows, newest first.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """List deliveries with their state and its reason, latest state change first."""
    if state is not None:
        one_of("--state", state, (*STATES, *REASONS))

    def matches(delivery: Delivery) -> bool:
        reason = delivery.reason if delivery.state == SUPPRESSED else None
        return state in {None, delivery.state, reason} and channel in {None, delivery.channel}

    found = _with_store(load_settings(config, given=given), lambda store: _find(store, matches, limit))
    if as_json:
        write_json(_content(one, found.messages.get(one.message)) for one in found.deliveries[:limit])
        return
    where = f" (channel {channel})" if channel else ""
    _show(found, limit, f"{_NONE[state]}{where}", results())


@app.command()
def redrive(
    delivery: Annotated[str | None, typer.Argument(metavar="DELIVERY", help="Id of a dead delivery.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Retry all dead deliveries.")] = False,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Retry dead deliveries. Those of expired alerts are suppressed instead."""
    if everything == (delivery is not None):
        remedy = "Name one dead delivery, or use --all."
        raise BadOption(option="DELIVERY", value=delivery, remedy=remedy)

    async def request(store: RedisDeliveryStore) -> int:
        dead = await store.dead()
        if delivery is not None and delivery not in dead:
            raise UnknownDelivery(delivery=delivery)
        if dead:
            await store.ask(encode_record(Request(REDRIVE, delivery or "")))
        return 1 if delivery is not None else len(dead)

    count = _with_store(load_settings(config, given=given), request)
    done = f"Requested retries: {count}. A running notifier starts them within a second."
    results().print(done if count else _NONE[DEAD])


@app.command()
def enable(channel: ChannelArgument, config: ConfigOption = None, given: SetOption = None) -> None:
    """Reopen a channel that its receiver has closed (HTTP 410)."""
    settings = load_settings(config, given=given)
    _channels_with(settings, channel)
    _with_store(settings, lambda store: store.ask(encode_record(Request(ENABLE, channel))))
    console = results()
    console.print(f"Channel {channel} will be reopened by a running notifier within a second.")
    console.print("To retry the deliveries that died in the meantime: stream-app deliveries redrive --all")


@app.command("test")
def send_sample(channel: ChannelArgument, config: ConfigOption = None, given: SetOption = None) -> None:
    """Send a sample alert, marked as a test, to a channel now. If this fails, print a remedy and exit with status 1.

    Ignores shadow mode, quiet hours and limits.
    """
    settings = load_settings(config, given=given)
    channels = _channels_with(settings, channel)
    entry = channels.file.channels[channel]
    message = _sample(settings, make_route(channel, entry, settings.shop.settings().clock))

    async def send() -> Answer:
        receiver = make_channel(channel, channels)
        try:
            return await receiver.send(message)
        finally:
            await receiver.close()

    answer, console = asyncio.run(send()), messages()
    if isinstance(answer, Delivered):
        console.print(f"{channel} accepted the sample. Look for {message.title!r} there.", markup=False)
        return
    console.print(f"{channel} did not accept the sample: {answer.reason}. {_remedy(answer)}", markup=False)
    raise typer.Exit(1)


class Found(NamedTuple):
    """Deliveries, their messages by id, and the states of channels by name."""

    deliveries: list[Delivery]
    messages: dict[str, OutboundMessage]
    channels: dict[str, ChannelState]


async def _find(store: RedisDeliveryStore, matches: Callable[[Delivery], bool], limit: int) -> Found:
    found: list[Delivery] = []
    async for chunk in store.all_deliveries():
        found += filter(matches, _readable(chunk, Delivery))
    found.sort(key=lambda one: (-one.changed_at, one.id))
    stored = await store.messages(sorted({one.message for one in found[:limit]} - {""}))
    channels = await store.channels()
    return Found(
        found,
        {one.id: one for one in _readable(stored.values(), OutboundMessage)},
        {name: state for name, value in channels.items() for state in _readable([value], ChannelState)},
    )


def _readable(values: Iterable[bytes], kind: type[_RecordT]) -> list[_RecordT]:
    """Return the records that can be decoded. Report the others on standard error."""
    found, problems = readable(values, kind)
    for problem in problems:
        typer.echo(f"Skipped an unreadable record: {problem!a}", err=True)
    return found


def _show(found: Found, limit: int, none: str, console: Console) -> None:
    shown = found.deliveries[:limit]
    if shown:
        columns = {"delivery": 0, "state": 0, "since": 0, "attempts": 0, "reason, or next attempt": 24}
        count = f"{len(shown)} of {len(found.deliveries)}, " if len(found.deliveries) > len(shown) else ""
        rows = [_row(one, found.messages.get(one.message)) for one in shown]
        show_table(console, f"Deliveries: {count}latest state change first", columns, rows)
    else:
        console.print(none, markup=False, soft_wrap=True)
    for name, state in found.channels.items():
        if state.gone_at:
            console.print(f"Channel {name} closed at {iso_time(state.gone_at)}: {state.reason}.", markup=False)
            console.print(f"To reopen it: stream-app deliveries enable {name}")


def _row(delivery: Delivery, message: OutboundMessage | None) -> tuple[str, ...]:
    attempts = str(message.attempts) if message is not None and message.attempts else ""
    return delivery.id, delivery.state, iso_time(delivery.changed_at), attempts, _reason(delivery, message)


def _reason(delivery: Delivery, message: OutboundMessage | None) -> str:
    if delivery.reason:
        return delivery.reason
    if message is None:
        return "" if delivery.message else f"waits for the digest at {iso_time(delivery.due_at)}"
    return f"{message.problem}; next attempt at {iso_time(message.due_at)}" if message.problem else ""


def _content(delivery: Delivery, message: OutboundMessage | None) -> dict[str, Any]:
    return {
        "delivery": delivery.id,
        "alert": delivery.alert_id,
        "channel": delivery.channel,
        "shop": delivery.shop_id,
        "state": delivery.state,
        "reason": _reason(delivery, message),
        "urgent": delivery.urgent,
        "since": iso_time(delivery.changed_at),
        "expires": iso_time(delivery.expires_at),
        "attempts": message.attempts if message is not None else None,
    }


def _remedy(answer: Answer) -> str:
    if isinstance(answer, Refused):
        return answer.remedy
    if isinstance(answer, Gone):
        return "Ask the owner of the receiver, then run `stream-app deliveries enable`."
    return "A real alert would be retried. Check the address, the receiver and the network (firewall, proxy)."


def _sample(config: LiveConfig, route: Route) -> OutboundMessage:
    now = now_us()
    opened_at = from_micros(now)
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
    title, markdown, plain = (_TEST_PREFIX[route.language] + form for form in text)
    return OutboundMessage(alert.alert_id, route.channel, (), title, markdown, plain, now, now, now, alert)


def _channels_with(config: LiveConfig, channel: str) -> Channels:
    """Return all channels. Raises UnknownChannel if `channel` is not one of them."""
    channels = read_channels(config.delivery.config)
    if channel not in channels.file.channels:
        raise UnknownChannel(channel=channel, known=", ".join(channels.file.channels) or "none")
    return channels


def _with_store(config: LiveConfig, task: Callable[[RedisDeliveryStore], Awaitable[T]]) -> T:
    return with_stores(config, lambda stores: task(RedisDeliveryStore(stores.client, config.redis.prefix)))
