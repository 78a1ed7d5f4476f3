"""The simulated staff of the living shop: takes on alerts, and says what came of them, as people do by `alert`.

It belongs to the shop and not to the product, as its customers do: it learns how a case stands by what the simulator
knows (`stream_app.simulate.truth`), as real staff do by a call, and the product hears of it what staff would say. Its
calls move nobody: who leaves, and when, was drawn with the shop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event as Flag
from threading import Thread
from typing import Final

import msgspec
import xxhash

from stream_app.adapters.kafka.contacts import Contacts
from stream_app.config import LiveConfig
from stream_app.core.alerts.staff_actions import ACKED, RESOLVED, AlertNote
from stream_app.core.messages.schema import Contact
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.notifications.open_alerts import OpenAlert, contact_of, open_alerts
from stream_app.services.runtime.stores import open_stores
from stream_app.simulate import ShopSettings
from stream_app.simulate.truth import Truth, truth

TEAM: Final = ("Li Na", "Wang Wei", "Zhang Min")
# Of all cases: calls nobody answers; and cases that are left to run, so that they end by what the customer does.
UNREACHABLE: Final = 0.15
LEFT_TO_RUN: Final = 0.45
WITHOUT_REASON: Final = 0.25  # of those who have left and were reached: they do not say why
SOON: Final = timedelta(days=45)  # who will leave within this time tells in a call that he is about to
TAKEN_ON_AFTER: Final = timedelta(hours=4)  # at the most
ENDED_AFTER: Final = timedelta(days=2), timedelta(days=8)  # behind the opening
_LOOK_SECONDS: Final = 0.5  # between two looks at the open cases
_log = logging.getLogger(__name__)


class Fate(StrEnum):
    """What comes of a case, whenever it is worked on."""

    RUNS = "runs"
    UNREACHABLE = "unreachable"
    REACHED = "reached"


@dataclass(frozen=True)
class Case:
    """What the staff does about one alert: drawn from the shop's seed and the alert's id, so the same in every run."""

    owner: str
    acked_at: datetime
    resolved_at: datetime
    fate: Fate
    says_why: bool


def case_of(note: AlertNote, seed: int) -> Case:
    """Draw a case.

    >>> note = AlertNote("al_1", "c1", EPOCH, EPOCH, 1, 0.9, 1.0, 1.0)
    >>> case_of(note, seed=1) == case_of(note, seed=1), case_of(note, seed=1).owner in TEAM
    (True, True)
    """
    draws = _draws(note.alert_id, seed)
    chance, (soonest, latest) = next(draws), ENDED_AFTER
    fate = Fate.RUNS if chance < LEFT_TO_RUN else Fate.REACHED
    return Case(
        owner=TEAM[int(next(draws) * len(TEAM))],
        acked_at=note.opened_at + TAKEN_ON_AFTER * next(draws),
        resolved_at=note.opened_at + soonest + (latest - soonest) * next(draws),
        fate=Fate.UNREACHABLE if chance >= 1 - UNREACHABLE else fate,
        says_why=next(draws) >= WITHOUT_REASON,
    )


def verdict(case: Case, about: Truth, at: datetime) -> tuple[str, str | None] | None:
    """What the staff says at the end of a case: outcome, and the cause if it was told; None: the case is left to run.

    Args:
        case: as it was drawn.
        about: the hidden facts of its customer.
        at: when it is said.
    """
    if case.fate is Fate.RUNS:
        return None
    if case.fate is Fate.UNREACHABLE:
        return "unreachable", None
    cause = about.causes[0] if about.causes and case.says_why else None
    if about.left_at is not None and about.left_at <= at:
        return "lost", cause
    if about.left_at is not None and about.left_at <= at + SOON:
        return "no_action", cause  # he says that he is going, and nothing that could be offered would hold him
    return "retained", None  # he is still a customer, and means to stay


class Staff:
    """Works on the open cases of a shop.

    Args:
        facts: the hidden facts of its customers.
        seed: of the shop.
    """

    def __init__(self, vector: Iterable[Truth], seed: int) -> None:
        self._about = {one.customer_id: one for one in vector}
        self._seed = seed
        self._said: set[tuple[str, str]] = set()  # alert and action: the store tells of it a moment later

    def work(self, alerts: Iterable[OpenAlert], now: datetime) -> Iterator[Contact]:
        """What is to be said by a moment of the shop, of the cases that are open."""
        for one in alerts:
            note, about = one.note, self._about.get(one.note.customer_id)
            case = case_of(note, self._seed)
            if about is None or one.work.owner not in {"", case.owner}:
                continue  # somebody else works on it: a visitor who tries `stream-app alerts`
            if now >= case.acked_at and not one.work.owner and self._is_new(note, ACKED):
                yield contact_of(one, ACKED, case.owner, now, take_over=False, event_id=_event(note, ACKED))
                self._said.add((note.alert_id, ACKED))  # behind the yield: it has been sent
            told = verdict(case, about, now) if now >= case.resolved_at else None
            if told is not None and self._is_new(note, RESOLVED):
                contact = contact_of(one, RESOLVED, case.owner, now, take_over=False, event_id=_event(note, RESOLVED))
                yield msgspec.structs.replace(contact, outcome=told[0], cause=told[1])
                self._said.add((note.alert_id, RESOLVED))

    def _is_new(self, note: AlertNote, action: str) -> bool:
        return (note.alert_id, action) not in self._said


class StaffRoom(Thread):
    """Where the staff works, beside the shop. What goes wrong there is logged: the shop goes on without it.

    Args:
        config: of the services.
        shop: as the simulator draws it, and its seed.
        now: the shop's time, microseconds; 0: it is not open yet.
    """

    def __init__(self, config: LiveConfig, shop: ShopSettings, seed: int, now: Callable[[], int]) -> None:
        super().__init__(name="staff", daemon=True)
        self._config, self._now, self._stop_asked = config, now, Flag()
        self._shop, self._seed = shop, seed

    def stop(self) -> None:
        """Send the staff home, and wait until it has gone."""
        self._stop_asked.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Until stopped."""
        staff = Staff(truth(self._shop, self._seed), self._seed)
        contacts = Contacts(self._config)
        failed = False
        while not self._stop_asked.wait(_LOOK_SECONDS):
            if (now := self._now()) == 0:
                continue
            try:
                self._look(staff, contacts, EPOCH + now * MICROSECOND)
                failed = False
            except Exception as error:  # noqa: BLE001 - whatever it is, the shop must go on
                if not failed:
                    _log.warning("the simulated staff cannot work", extra={"problem": str(error)})
                failed = True

    def _look(self, staff: Staff, contacts: Contacts, now: datetime) -> None:
        for contact in staff.work(asyncio.run(self._open()), now):
            contacts.send(contact)
            if self._stop_asked.is_set():
                return

    async def _open(self) -> list[OpenAlert]:
        stores = open_stores(self._config)
        try:
            return await open_alerts(stores.states, range(self._config.kafka.partitions))
        finally:
            await stores.close()


def _event(note: AlertNote, action: str) -> str:
    """An id of its own for each word, the same in every run: said twice, it counts once."""
    return f"staff-{note.alert_id}-{action}"


def _draws(alert_id: str, seed: int) -> Iterator[float]:
    """Numbers in [0, 1), of a case."""
    place = 0
    while True:
        place += 1
        yield xxhash.xxh3_64_intdigest(f"{alert_id}|{place}".encode(), seed=seed % (1 << 64)) / (1 << 64)
