"""Simulated staff who take on alerts and report their outcomes, as people do with `stream-app alerts`.

The staff are part of the simulation, like the customers. What real staff would learn in a call, they read from the
simulator's ground truth (`stream_app.simulate.truth`). Their calls have no effect on customers: the simulated shop
determines who leaves, and when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from threading import Event as Flag, Thread
from typing import Final, Literal

import msgspec
import xxhash

from stream_app.adapters.kafka.control import ControlProducer
from stream_app.config import LiveConfig
from stream_app.core.alerts.staff_actions import ACKED, RESOLVED, AlertNote
from stream_app.core.messages.schema import AlertStep
from stream_app.core.units import from_micros
from stream_app.notifications.open_alerts import OpenAlert, open_alerts, step_of
from stream_app.services.runtime.stores import with_stores
from stream_app.simulate import ShopSettings
from stream_app.simulate.confirmations import confirmed_cause
from stream_app.simulate.truth import Truth, truth

TEAM: Final = ("Li Na", "Wang Wei", "Zhang Min")
# Shares of the alerts. One that is left alone closes because of what the customer does, or expires.
# Urgent alerts are never left alone.
UNREACHABLE: Final = 0.15
LEFT_ALONE: Final = 0.45
WITHOUT_REASON: Final = 0.25  # share of departed customers who do not say why they left
SOON: Final = timedelta(days=45)  # customers who will leave within this time say so in a call
TAKEN_ON_AFTER: Final = timedelta(hours=4)  # maximum
ENDED_AFTER: Final = timedelta(days=2), timedelta(days=8)  # shortest and longest time from opening to outcome
_POLL_SECONDS: Final = 0.5  # between two reads of the open alerts
_log = logging.getLogger(__name__)
Handling = Literal["left alone", "unreachable", "reached"]


@dataclass(frozen=True)
class Case:
    """How and when one alert is handled, drawn from the shop's seed and the alert's id: the same in every run."""

    owner: str
    acked_at: datetime
    resolved_at: datetime
    handling: Handling
    says_why: bool
    answer: tuple[float, ...] = (1.0, 1.0, 0.0, 0.0)  # draws for `confirmed_cause`; by default the true main cause


def case_of(note: AlertNote, seed: int) -> Case:
    """Draw the case for an alert.

    >>> note = AlertNote("al_1", "c1", from_micros(0), from_micros(0), 1, 0.9, 1.0, 1.0)
    >>> case_of(note, seed=1) == case_of(note, seed=1), case_of(note, seed=1).owner in TEAM
    (True, True)
    """
    draws = _draws(note.alert_id, seed)
    chance, (soonest, latest) = next(draws), ENDED_AFTER
    if note.urgent:  # nobody leaves an overdue complaint alone
        chance = LEFT_ALONE + chance * (1 - LEFT_ALONE)
    called: Handling = "unreachable" if chance >= 1 - UNREACHABLE else "reached"
    return Case(
        owner=TEAM[int(next(draws) * len(TEAM))],
        acked_at=note.opened_at + TAKEN_ON_AFTER * next(draws),
        resolved_at=note.opened_at + soonest + (latest - soonest) * next(draws),
        handling="left alone" if chance < LEFT_ALONE else called,
        says_why=next(draws) >= WITHOUT_REASON,
        answer=tuple(islice(draws, 4)),
    )


def outcome_of(
    case: Case, truth_of_customer: Truth, at: datetime, shown: Sequence[str] = ()
) -> tuple[str, str | None] | None:
    """Return the outcome of a case, with the cause if the customer gave one; None if the alert is not handled.

    Args:
        case: the case.
        truth_of_customer: ground truth about the customer.
        at: time of the call.
        shown: causes shown with the alert, most likely first.
    """
    if case.handling == "left alone":
        return None
    if case.handling == "unreachable":
        return "unreachable", None
    causes, left_at = truth_of_customer.causes, truth_of_customer.left_at
    cause = confirmed_cause(truth_of_customer, shown, iter(case.answer)) if causes and case.says_why else None
    if left_at is not None and left_at <= at:
        return "lost", cause
    if left_at is not None and left_at <= at + SOON:
        return "no_action", cause  # the customer is about to leave, and no offer can change that
    return "retained", None


class Staff:
    """The staff of a shop.

    Args:
        truths: ground truth of the customers.
        seed: seed of the simulation.
    """

    def __init__(self, truths: Iterable[Truth], seed: int) -> None:
        self._truths = {one.customer_id: one for one in truths}
        self._seed = seed
        self._sent: set[tuple[str, str]] = set()  # (alert, action) already sent; the store shows them a moment later

    def work(self, alerts: Iterable[OpenAlert], now: datetime) -> Iterator[AlertStep]:
        """Yield the due actions on open alerts."""
        for one in alerts:
            note, truth_of_customer = one.note, self._truths.get(one.note.customer_id)
            case = case_of(note, self._seed)
            if truth_of_customer is None or one.work.owner not in {"", case.owner}:
                continue  # somebody is handling it with `stream-app alerts`
            if now >= case.acked_at and not one.work.owner and (note.alert_id, ACKED) not in self._sent:
                yield step_of(one, ACKED, case.owner, now, take_over=False, event_id=_event(note, ACKED))
                self._sent.add((note.alert_id, ACKED))  # after the yield, once the action has been sent
            shown = [cause.key for cause in note.explanation.causes]
            outcome = outcome_of(case, truth_of_customer, now, shown) if now >= case.resolved_at else None
            if outcome is not None and (note.alert_id, RESOLVED) not in self._sent:
                step = step_of(one, RESOLVED, case.owner, now, take_over=False, event_id=_event(note, RESOLVED))
                yield msgspec.structs.replace(step, outcome=outcome[0], cause=outcome[1])
                self._sent.add((note.alert_id, RESOLVED))


@contextmanager
def working_staff(config: LiveConfig, shop: ShopSettings, seed: int, now: Callable[[], int]) -> Iterator[None]:
    """Let simulated staff work in a thread until the context exits. Errors are logged and do not stop the shop.

    Args:
        config: service settings.
        shop: the simulated shop's settings.
        seed: seed of the simulation.
        now: returns the shop time in microseconds, or 0 before the staff start to work.
    """
    stop = Flag()

    def work() -> None:
        staff, producer = Staff(truth(shop, seed), seed), ControlProducer(config)
        failed = False
        while not stop.wait(_POLL_SECONDS):
            if (at := now()) == 0:
                continue
            try:
                alerts = with_stores(config, lambda stores: open_alerts(stores.states, range(config.kafka.partitions)))
                for step in staff.work(alerts, from_micros(at)):
                    producer.send(step)
                    if stop.is_set():
                        break
                failed = False
            except Exception as error:  # noqa: BLE001 - no error may stop the shop
                if not failed:
                    _log.warning("Simulated staff failed", extra={"problem": str(error)})
                failed = True

    thread = Thread(target=work, name="staff", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _event(note: AlertNote, action: str) -> str:
    """Return the id of an action. It is the same in every run, so duplicates count once."""
    return f"staff-{note.alert_id}-{action}"


def _draws(alert_id: str, seed: int) -> Iterator[float]:
    """Yield pseudo-random numbers in [0, 1) for a case."""
    place = 0
    while True:
        place += 1
        yield xxhash.xxh3_64_intdigest(f"{alert_id}|{place}".encode(), seed=seed % (1 << 64)) / (1 << 64)
