"""The deliverer without its shell: alerts and answers in, letters to send and records to store out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused
from stream_app.core.delivery.changes import Changes, Stored
from stream_app.core.delivery.ledger import Ledger
from stream_app.core.delivery.pending import PendingMessages
from stream_app.core.delivery.records import (
    CLOSED,
    DEAD,
    EXPIRED,
    PENDING,
    REMOVED,
    SENT,
    SHADOW,
    SUPPRESSED,
    ChannelState,
    Delivery,
    OutboundMessage,
    delivery_id,
    digest_id,
    encode_record,
)
from stream_app.core.delivery.retry import free_at, remembered
from stream_app.core.delivery.routing import Policy, Route
from stream_app.core.delivery.writer import Writer
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.units import EPOCH, MICROSECOND


class DeliveryScheduler(Ledger):
    """All deliveries that are pending, and what becomes of them.

    Every method changes the book in memory and notes what is to be stored: take `changes`, store them, say `stored`.
    A letter is handed out only when it is stored, so that it is the same letter after a crash.

    Args:
        routes: of every channel.
        policy: of all of them.
        writer: of the messages.
    """

    def __init__(self, routes: Sequence[Route], policy: Policy, writer: Writer) -> None:
        super().__init__(route.channel for route in routes)
        self.routes: Mapping[str, Route] = {route.channel: route for route in routes}
        self._policy, self._writer = policy, writer
        self._queues = {name: PendingMessages() for name in self.routes}
        self._out: set[str] = set()  # letters under way
        self._closed: set[str] = set()  # letters under way whose alert has closed meanwhile

    # --- beginning, storing ---------------------------------------------------------------------------------------

    def begin(self, stored: Stored, now: int) -> None:
        """Take up what is stored; what belongs to a channel that is not there any more ends."""
        self._load(stored)
        self._take_up(list(self.deliveries.values()), list(self.messages.values()), now)

    def _take_up(self, deliveries: Sequence[Delivery], outbounds: Sequence[OutboundMessage], now: int) -> None:
        for outbound in outbounds:
            if outbound.channel in self.routes:
                self._queues[outbound.channel].put(outbound)
            else:
                self._end(outbound, SUPPRESSED, REMOVED, now)
        for delivery in deliveries:
            if delivery.channel not in self.routes and delivery.id in self.deliveries:
                self._finish(delivery, SUPPRESSED, REMOVED, now)
            elif delivery.channel in self.routes and not delivery.message:
                self._queues[delivery.channel].collect(delivery)

    def stored(self, changes: Changes) -> None:
        """Say that changes are stored: their letters may be sent now."""
        for name in changes.messages:
            outbound = self.messages.get(name)
            if outbound is not None and name not in self._out:
                self._queues[outbound.channel].put(outbound)

    # --- alerts in ------------------------------------------------------------------------------------------------

    def ids(self, message: AlertOpened | AlertClosed) -> list[str]:
        """Ids of the deliveries that an alert may make: `take` wants to know which of them are known already."""
        if isinstance(message, AlertClosed):
            return []
        return [delivery_id(message.alert_id, name) for name, route in self.routes.items() if route.takes(message)]

    def take(
        self,
        partition: int,
        offset: int,
        messages: Sequence[AlertOpened | AlertClosed],
        known: AbstractSet[str],
        now: int,
    ) -> None:
        """Take in records of a partition, all before an offset; `known` deliveries have been made before."""
        self.position[partition] = max(offset, self.position.get(partition, 0))
        self._noted()
        for message in messages:
            if isinstance(message, AlertClosed):
                self._close(message, now)
            else:
                self._open(message, known, now)

    def _open(self, alert: AlertOpened, known: AbstractSet[str], now: int) -> None:
        opened_at, expires_at = _micros(alert.opened_at), _micros(alert.expires_at)
        for name, route in self.routes.items():
            name_of = delivery_id(alert.alert_id, name)
            if not route.takes(alert) or name_of in known or name_of in self.deliveries:
                continue
            due_at = self._policy.due_at(alert, opened_at, route, now)
            delivery = Delivery(
                name_of, alert.alert_id, name, alert.shop_id, now, now, expires_at, due_at, urgent=alert.urgent
            )
            if expires_at <= now:
                self._finish(delivery, SUPPRESSED, EXPIRED, now)
                continue
            self.deliveries[delivery.id] = delivery
            if route.collects(alert):
                delivery.alert = alert
                self._queues[name].collect(delivery)
            else:
                text = self._writer.alert(alert, route)
                self._write(OutboundMessage(delivery.id, name, (delivery.id,), *text, now, expires_at, now, alert))
            self._keep(delivery)
            self._noted().opened.append(delivery.id)

    def _close(self, message: AlertClosed, now: int) -> None:
        """Suppress what has not been sent; a digest that is written stays as it is."""
        for name in self.routes:
            delivery = self.deliveries.get(delivery_id(message.alert_id, name))
            if delivery is None:
                continue
            outbound = self.messages.get(delivery.message)
            if outbound is None:
                self._queues[name].leave(delivery)
                self._finish(delivery, SUPPRESSED, CLOSED, now)
            elif outbound.id in self._out:
                self._closed.add(outbound.id)
            elif len(outbound.deliveries) == 1:
                self._end(outbound, SUPPRESSED, CLOSED, now)

    # --- letters out ----------------------------------------------------------------------------------------------

    def collect(self, channel: str, now: int) -> bool:
        """Write the digest of a channel, if it is due and the day's alerts have come; whether it was written."""
        waiting = self._queues[channel].settled(now, self._policy.settle, self._policy.settle_at_most)
        if not waiting:
            return False
        for delivery in waiting:
            self._queues[channel].leave(delivery)
        alive = [one for one in waiting if one.expires_at > now]
        for delivery in waiting:
            if delivery.expires_at <= now:
                self._finish(delivery, SUPPRESSED, EXPIRED, now)
        self._digest(channel, alive, now)
        return True

    def _digest(self, channel: str, deliveries: Sequence[Delivery], now: int) -> None:
        by_alert = {delivery.alert_id: delivery for delivery in deliveries}
        alerts = [delivery.alert for delivery in deliveries if delivery.alert is not None]
        for text, ids in self._writer.digest(alerts, self.routes[channel]) if alerts else []:
            held = [by_alert[one] for one in ids]
            names = tuple(delivery.id for delivery in held)
            expires_at = max(delivery.expires_at for delivery in held)
            self._write(OutboundMessage(digest_id(channel, names), channel, names, *text, now, expires_at, now))
            for delivery in held:
                delivery.alert = None
                self._keep(delivery)
                del by_alert[delivery.alert_id]
        for delivery in by_alert.values():  # a writer that leaves an alert out must not lose it
            assert delivery.alert is not None  # noqa: S101 - what collects has its alert
            text = self._writer.alert(delivery.alert, self.routes[channel])
            self._write(
                OutboundMessage(
                    delivery.id, channel, (delivery.id,), *text, now, delivery.expires_at, now, delivery.alert
                )
            )
            delivery.alert = None
            self._keep(delivery)

    def due(self, channel: str, now: int) -> OutboundMessage | None:
        """A letter to send now, which is under way until `note`; None: there is none, or it must wait.

        What is due and must not be sent ends here: expired, in shadow mode, or on a channel that is closed.
        """
        route, state, queue = self.routes[channel], self.channels[channel], self._queues[channel]
        while (name := queue.first(now)) is not None:
            outbound = self.messages.get(name)
            if outbound is None or name in self._out:
                queue.pop()
            elif outbound.expires_at <= now:
                self._end(outbound, SUPPRESSED, EXPIRED, now)
            elif state.gone_at:
                self._end(outbound, DEAD, f"the channel is closed: {state.reason}", now)
            elif not self._policy.live:
                self._end(outbound, SUPPRESSED, SHADOW, now)
            elif self._wait(route, now) > now:
                return None
            else:
                queue.pop()
                return self._handed_out(outbound, route, now)
        return None

    def _handed_out(self, outbound: OutboundMessage, route: Route, now: int) -> OutboundMessage:
        self._out.add(outbound.id)
        if route.limits:
            state = self.channels[route.channel]
            state.sent = [*remembered(route.limits, state.sent, now), now]
            self._keep_channel(route.channel)
        return outbound

    def wake_at(self, channel: str, now: int) -> int | None:
        """When to look at a channel again, unless something new comes; None: there is nothing."""
        queue = self._queues[channel]
        first = queue.next_at()
        settled = queue.settles_at(self._policy.settle, self._policy.settle_at_most)
        moments = [settled] if settled is not None else []
        if first is not None:
            moments.append(max(first, self._wait(self.routes[channel], now)))
        return min(moments, default=None)

    def _wait(self, route: Route, now: int) -> int:
        """From when on hours and limits let a letter pass."""
        quiet_until = route.quiet.ends(now) if route.quiet is not None else None
        return max(quiet_until or now, free_at(route.limits, self.channels[route.channel].sent, now))

    # --- answers in -----------------------------------------------------------------------------------------------

    def note(self, name: str, answer: Answer, tried_at: int, now: int) -> None:
        """Note what a channel said of a letter that was handed out.

        Args:
            name: the letter's id.
            answer: of the channel.
            tried_at: when the attempt was made.
            now: the clock.
        """
        outbound = self.messages[name]
        self._out.discard(name)
        closed = name in self._closed
        self._closed.discard(name)
        if isinstance(answer, Delivered):
            self._end(outbound, SENT, "", now)
        elif isinstance(answer, Gone):
            state = self.channels[outbound.channel]
            state.gone_at, state.reason = now, answer.reason
            self._keep_channel(outbound.channel)
            self._end(outbound, DEAD, f"the channel is closed: {answer.reason}", now)
        elif closed and len(outbound.deliveries) == 1:
            self._end(outbound, SUPPRESSED, CLOSED, now)
        elif isinstance(answer, Refused):
            self._end(outbound, DEAD, answer.reason, now)
        else:
            self._again(outbound, answer.reason, answer.after, tried_at, now)

    def _again(self, outbound: OutboundMessage, reason: str, after: int | None, tried_at: int, now: int) -> None:
        outbound.attempts += 1
        outbound.first_at = outbound.first_at or tried_at
        outbound.problem = reason
        at = self._policy.retries.next_try(outbound.id, outbound.attempts, outbound.first_at, now, after)
        if at is None:
            self._end(outbound, DEAD, f"given up after {outbound.attempts} attempts: {reason}", now)
            return
        outbound.due_at = at
        self._noted().messages[outbound.id] = encode_record(outbound)

    # --- what people ask for --------------------------------------------------------------------------------------

    def redrive(self, deliveries: Sequence[Delivery], outbounds: Mapping[str, OutboundMessage], now: int) -> int:
        """Take up dead deliveries again, with the letters in which they were; how many there were.

        A letter comes back as a whole, since its words are those of all its alerts.
        """
        taken = 0
        for delivery in deliveries:
            outbound = outbounds.get(delivery.message)
            if delivery.state != DEAD or outbound is None or delivery.channel not in self.routes:
                continue
            delivery.state, delivery.reason, delivery.changed_at = PENDING, "", now
            self.deliveries[delivery.id] = delivery
            self._keep(delivery)
            self._noted().opened.append(delivery.id)
            outbound.attempts, outbound.first_at, outbound.due_at, outbound.problem = 0, 0, now, ""
            self.messages[outbound.id] = outbound
            self._noted().messages[outbound.id] = encode_record(outbound)
            taken += 1
        self.dead -= taken
        return taken

    def enable(self, channel: str) -> bool:
        """Open a channel that its receiver has closed; False if there is no such channel."""
        if channel not in self.channels:
            return False
        self.channels[channel] = ChannelState(sent=self.channels[channel].sent)
        self._keep_channel(channel)
        return True

    def answered(self, requests: int) -> None:
        """Say that so many requests have been carried out."""
        self._noted().answered += requests


def _micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
