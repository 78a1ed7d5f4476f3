"""Delivery scheduler: takes alerts and channel answers, and returns messages to send and changes to store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set as AbstractSet

from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused
from stream_app.core.delivery.pending import ChannelQueue, PendingDeliveries
from stream_app.core.delivery.quiet_hours import digest_due
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
    DeliveryChanges,
    DeliveryState,
    OutboundMessage,
    delivery_id,
    digest_id,
)
from stream_app.core.delivery.retry import free_at, remembered
from stream_app.core.delivery.routing import MessageWriter, Policy, Route
from stream_app.core.messages.alerts import AlertClosed, AlertMessage, AlertOpened
from stream_app.core.units import micros


class DeliveryScheduler(PendingDeliveries):
    """Schedules all pending deliveries.

    Every method changes the records in memory and collects the changes to store: call `take_changes`, store them, then
    call `confirm`. A message is not sent until it is stored, so that after a crash the same message is sent again.

    Args:
        routes: routes of all channels.
        policy: delivery policy for all channels.
        writer: writes the messages.
    """

    def __init__(self, routes: Sequence[Route], policy: Policy, writer: MessageWriter) -> None:
        super().__init__(route.channel for route in routes)
        self.routes: Mapping[str, Route] = {route.channel: route for route in routes}
        self._policy, self._writer = policy, writer
        self._queues = {name: ChannelQueue() for name in self.routes}
        self._in_flight: set[str] = set()  # ids of messages that are being sent
        self._closed: set[str] = set()  # ids of messages in flight whose alert has closed

    def begin(self, stored: DeliveryState, now: int) -> None:
        """Resume the stored deliveries, and suppress those of channels that were removed from the configuration."""
        self._load(stored)
        for message in list(self.messages.values()):
            if message.channel in self.routes:
                self._queues[message.channel].add(message)
            else:
                self._end_message(message, SUPPRESSED, REMOVED, now)
        for delivery in list(self.deliveries.values()):
            if delivery.channel not in self.routes:
                self._end_delivery(delivery, SUPPRESSED, REMOVED, now)
            elif not delivery.message:
                self._queues[delivery.channel].collected[delivery.id] = delivery

    def confirm(self, changes: DeliveryChanges) -> None:
        """Release the messages of the stored changes for sending."""
        for name in changes.messages:
            message = self.messages.get(name)
            if message is not None and name not in self._in_flight:
                self._queues[message.channel].add(message)

    # --- alerts in ---------------------------------------------------------------------------------------------------

    def delivery_ids(self, message: AlertMessage) -> list[str]:
        """Return the ids of all deliveries that the alerts may create. Pass those that exist to `add_alerts`."""
        if not isinstance(message, AlertOpened):
            return []
        return [delivery_id(message.alert_id, name) for name, route in self.routes.items() if route.takes(message)]

    def add_alerts(
        self, partition: int, offset: int, messages: Sequence[AlertMessage], known: AbstractSet[str], now: int
    ) -> None:
        """Add opened and closed alerts.

        Args:
            partition: partition of the records.
            offset: offset after the last record.
            messages: messages in the records.
            known: ids of deliveries that already exist.
            now: microseconds.
        """
        self.position[partition] = max(offset, self.position.get(partition, 0))
        self._change()
        for message in messages:
            if isinstance(message, AlertClosed):
                self._close(message, now)
            elif isinstance(message, AlertOpened):  # held-out customers are left alone
                self._open(message, known, now)

    def _open(self, alert: AlertOpened, known: AbstractSet[str], now: int) -> None:
        opened_at, expires_at = micros(alert.opened_at), micros(alert.expires_at)
        for name, route in self.routes.items():
            key = delivery_id(alert.alert_id, name)
            if not route.takes(alert) or key in known or key in self.deliveries:
                continue
            collects = route.collects(alert)
            due_at = digest_due(opened_at, self._policy.digest_hour, self._policy.zone) if collects else now
            delivery = Delivery(
                key, alert.alert_id, name, alert.shop_id, now, now, expires_at, due_at, urgent=alert.urgent
            )
            if expires_at <= now:
                self._end_delivery(delivery, SUPPRESSED, EXPIRED, now)
                continue
            self.deliveries[key] = delivery
            if collects:
                delivery.alert = alert
                self._queues[name].collected[key] = delivery
                self._save_delivery(delivery)
            else:
                self._write_alert(delivery, alert, now)
            self._change().opened.append(key)

    def _write_alert(self, delivery: Delivery, alert: AlertOpened, now: int) -> None:
        text = self._writer.alert(alert, self.routes[delivery.channel])
        ids = (delivery.id,)
        self._add_message(
            OutboundMessage(delivery.id, delivery.channel, ids, *text, now, delivery.expires_at, now, alert)
        )

    def _close(self, message: AlertClosed, now: int) -> None:
        """Suppress the unsent deliveries of a closed alert. A digest that is already written is not changed."""
        for name in self.routes:
            delivery = self.deliveries.get(delivery_id(message.alert_id, name))
            if delivery is None:
                continue
            outbound = self.messages.get(delivery.message)
            if outbound is None:
                self._queues[name].collected.pop(delivery.id, None)
                self._end_delivery(delivery, SUPPRESSED, CLOSED, now)
            elif outbound.id in self._in_flight:
                self._closed.add(outbound.id)
            elif len(outbound.deliveries) == 1:
                self._end_message(outbound, SUPPRESSED, CLOSED, now)

    # --- messages out ------------------------------------------------------------------------------------------------

    def write_digest(self, channel: str, now: int) -> bool:
        """Write a channel's digest if it is due and the day's alerts have arrived; return whether it was written."""
        due = self._queues[channel].take_digest(now, self._policy.settle, self._policy.settle_at_most)
        for delivery in due:
            if delivery.expires_at <= now:
                self._end_delivery(delivery, SUPPRESSED, EXPIRED, now)
        left = {one.alert_id: one for one in due if one.expires_at > now}
        alerts = [one.alert for one in left.values() if one.alert is not None]
        for text, ids in self._writer.digest(alerts, self.routes[channel]) if alerts else []:
            held = [left.pop(one) for one in ids]
            names = tuple(delivery.id for delivery in held)
            expires_at = max(delivery.expires_at for delivery in held)
            self._add_message(OutboundMessage(digest_id(channel, names), channel, names, *text, now, expires_at, now))
        for delivery in left.values():  # an alert that the writer left out must not be lost
            assert delivery.alert is not None  # noqa: S101 - what waits for a digest has its alert
            self._write_alert(delivery, delivery.alert, now)
        return bool(due)

    def next_message(self, channel: str, now: int) -> OutboundMessage | None:
        """Return a message to send now, or None. The message is in flight until `record_answer` is called.

        Due messages that must not be sent (expired, in shadow mode or on a closed channel) are ended here.
        """
        route, state, queue = self.routes[channel], self.channels[channel], self._queues[channel]
        while (name := queue.first(now)) is not None:
            message = self.messages.get(name)
            if message is None or name in self._in_flight:
                queue.pop()
            elif message.expires_at <= now:
                self._end_message(message, SUPPRESSED, EXPIRED, now)
            elif state.gone_at:
                self._end_message(message, DEAD, f"the channel is closed: {state.reason}", now)
            elif not self._policy.live:
                self._end_message(message, SUPPRESSED, SHADOW, now)
            elif self._free_at(route, now) > now:
                return None
            else:
                queue.pop()
                self._in_flight.add(message.id)
                if route.limits:
                    state.sent = [*remembered(route.limits, state.sent, now), now]
                    self._save_channel(channel)
                return message
        return None

    def wake_at(self, channel: str, now: int) -> int | None:
        """Return when to check a channel again if nothing new arrives, or None if nothing is pending."""
        queue = self._queues[channel]
        first, digest = queue.next_at(), queue.digest_at(self._policy.settle, self._policy.settle_at_most)
        if first is not None:
            first = max(first, self._free_at(self.routes[channel], now))
        return min((at for at in (first, digest) if at is not None), default=None)

    def _free_at(self, route: Route, now: int) -> int:
        """Return the earliest time at which quiet hours and rate limits allow a message."""
        quiet_until = route.quiet.ends(now) if route.quiet is not None else None
        return max(quiet_until or now, free_at(route.limits, self.channels[route.channel].sent, now))

    # --- answers in --------------------------------------------------------------------------------------------------

    def record_answer(self, name: str, answer: Answer, tried_at: int, now: int) -> None:
        """Record a channel's answer to a message in flight.

        Args:
            name: message id.
            answer: the channel's answer.
            tried_at: time of the attempt, microseconds.
            now: microseconds.
        """
        message = self.messages[name]
        self._in_flight.discard(name)
        closed = name in self._closed and len(message.deliveries) == 1
        self._closed.discard(name)
        if isinstance(answer, Delivered):
            self._end_message(message, SENT, "", now)
        elif isinstance(answer, Gone):
            state = self.channels[message.channel]
            state.gone_at, state.reason = now, answer.reason
            self._save_channel(message.channel)
            self._end_message(message, DEAD, f"the channel is closed: {answer.reason}", now)
        elif closed:
            self._end_message(message, SUPPRESSED, CLOSED, now)
        elif isinstance(answer, Refused):
            self._end_message(message, DEAD, answer.reason, now)
        else:
            self._retry(message, answer.reason, answer.after, tried_at, now)

    def _retry(self, message: OutboundMessage, reason: str, after: int | None, tried_at: int, now: int) -> None:
        message.attempts += 1
        message.first_at = message.first_at or tried_at
        message.problem = reason
        at = self._policy.retries.next_try(message.id, message.attempts, message.first_at, now, after)
        if at is None:
            self._end_message(message, DEAD, f"given up after {message.attempts} attempts: {reason}", now)
            return
        message.due_at = at
        self._save_message(message)

    # --- user requests -----------------------------------------------------------------------------------------------

    def redrive(self, deliveries: Sequence[Delivery], messages: Mapping[str, OutboundMessage], now: int) -> int:
        """Retry dead deliveries and their messages. Return the number of deliveries.

        A message is always retried as a whole, since its text describes all its alerts.
        """
        retried = 0
        for delivery in deliveries:
            message = messages.get(delivery.message)
            if delivery.state != DEAD or message is None or delivery.channel not in self.routes:
                continue
            delivery.state, delivery.reason, delivery.changed_at = PENDING, "", now
            self.deliveries[delivery.id] = delivery
            self._save_delivery(delivery)
            self._change().opened.append(delivery.id)
            message.attempts, message.first_at, message.due_at, message.problem = 0, 0, now, ""
            self.messages[message.id] = message
            self._save_message(message)
            retried += 1
        self.dead -= retried
        return retried

    def enable(self, channel: str) -> bool:
        """Reopen a channel that its receiver has closed. Return False for an unknown channel."""
        if channel not in self.channels:
            return False
        self.channels[channel] = ChannelState(sent=self.channels[channel].sent)
        self._save_channel(channel)
        return True

    def complete_requests(self, count: int) -> None:
        """Mark the given number of oldest requests as carried out."""
        self._change().answered += count
