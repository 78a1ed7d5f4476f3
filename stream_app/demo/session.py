"""One demo, from the first process that it starts to the last that it ends."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as midnight
from pathlib import Path
from threading import Event as Flag
from types import FrameType
from typing import Final

from rich.console import Console

from stream_app import i18n
from stream_app.config import INPUTS, OUTPUTS, Topics
from stream_app.core.messages.batches import ScoreRecords
from stream_app.demo.broker import EmbeddedBroker
from stream_app.demo.page_model import PageModel
from stream_app.demo.processes import Processes
from stream_app.demo.redis_server import start_redis
from stream_app.demo.screen import Lines, Screen, Show
from stream_app.demo.secrets import new_secret
from stream_app.demo.settings import CURRENCY, SERVICES, ZONE, Hook, Pace, Wiring, wire
from stream_app.demo.simulation import Plan, ShopSimulation
from stream_app.demo.state import DemoState, Listed
from stream_app.demo.subscriber import Subscriber, ask
from stream_app.demo.summary import print_summary
from stream_app.demo.voice import DemoVoice
from stream_app.demo.web_page import DELIVERED, Several, WebPage
from stream_app.demo.webhook import Verifier, webhook_key
from stream_app.errors import DemoFailed
from stream_app.notifications.messages.alert_view import Views
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.simulate.calendar import SHOP_ZONE

_FRAME_SECONDS: Final = 0.12
_ASK_SECONDS: Final = 0.6
_READY_SECONDS: Final = 120.0
_SPARE_DAYS: Final = 3  # of the log, beyond what is played
_AHEAD_DAYS: Final = 170  # of today at most: worker.skew must not be longer than shop.active_window
_LIFETIME_DAYS: Final = 14  # of an alert, as by default


@dataclass(frozen=True)
class Request:
    """What to show.

    Args:
        customers: of the shop.
        history_days: played fast.
        day_seconds: of a living day.
        capacity: alerts a day.
        seconds: after which it ends by itself, counted from when the services are ready.
        lang: en or zh.
        seed: of the shop.
        port: of the page; 0: any that is free; None: the usual one, if it is.
        today: until which the history is played; from there the days go on, a second or two each.
    """

    customers: int = 3_000
    history_days: int = 110
    day_seconds: float = 1.25
    capacity: int = 5
    seconds: float = 75.0
    lang: str = "en"
    seed: int = 1
    port: int | None = None
    today: date = field(default_factory=lambda: datetime.now(SHOP_ZONE).date())

    @property
    def plan(self) -> Plan:
        """Of the living shop."""
        today = datetime.combine(self.today, midnight(), SHOP_ZONE)
        start = today - timedelta(days=self.history_days + self._days_before_today)
        return Plan(self.customers, self.history_days, self._living_days, self.day_seconds, self.seed, start)

    @property
    def pace(self) -> Pace:
        """How the shop's days lie beside those of the wall clock."""
        ahead = self._living_days - self._days_before_today
        return Pace(ahead, _LIFETIME_DAYS + self._days_before_today)

    @property
    def _living_days(self) -> int:
        return int(self.seconds / self.day_seconds) + _SPARE_DAYS

    @property
    def _days_before_today(self) -> int:
        """Living days of a long demo that lie in the past."""
        return max(0, self._living_days - _AHEAD_DAYS)


def run_demo(request: Request, console: Console, onlooker: Callable[[str], Show] | None = None) -> None:
    """Show it, until its time is over or Ctrl-C; whatever ends it, nothing is left running.

    Args:
        request: what to show.
        console: where to.
        onlooker: makes one more that it is shown to, of the page's address.

    Raises:
        NoPageAddress: the port of its page is taken.
        NoEmbeddedServer: its Kafka or Redis does not start.
        DemoFailed: a part has ended; the logs are kept.
    """
    voice = DemoVoice(request.lang)
    secret = new_secret("webhook")
    sight = PageModel(voice, Views(load_playbook(), i18n, ZONE, CURRENCY), request.plan)
    page = WebPage(voice, sight, request.port, Verifier(webhook_key(secret)))
    hook = Hook(f"{page.address}{DELIVERED}", secret, request.lang)
    console.print(voice.say("demo.begin"), style="dim", highlight=False)
    console.print(voice.say("page.at", address=page.address), highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="stream-app-demo-"))
    processes, started = Processes(folder), time.monotonic()
    try:
        with _ended_by_signals() as ended:
            demo = _Demo(request, folder, processes, ended, started, hook)
            try:
                also = (onlooker(page.address),) if onlooker else ()
                demo.show(Several(_show(request, console), *also, page))
            finally:
                demo.close()
    except BaseException as error:
        processes.stop()
        if not isinstance(error, DemoFailed):  # its logs are kept
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    print_summary(demo.board, demo.shop, request.plan, time.monotonic() - started, voice, console)


def _show(request: Request, console: Console) -> Show:
    voice = DemoVoice(request.lang)
    return Screen(console, voice, request.plan) if console.is_terminal else Lines(console, voice, request.plan)


class _Demo:
    """All parts, from their start on."""

    def __init__(
        self, request: Request, folder: Path, processes: Processes, ended: Flag, started: float, hook: Hook
    ) -> None:
        self._processes, self._ended = processes, ended
        self._seconds, self._began = request.seconds, started
        topics = Topics()
        self._broker = EmbeddedBroker(topics.of(*INPUTS, *OUTPUTS).values())
        redis = start_redis(processes, folder)
        self._wiring: Wiring = wire(folder, self._broker.bootstrap, redis, request.capacity, hook, request.pace)
        for service in SERVICES:
            processes.start(service, self._wiring.command(service), self._wiring.environ(service))
        config = self._wiring.config
        self.board = DemoState(config.shop.decide_every)
        self._ready = Flag()
        self.shop = ShopSimulation(config, request.plan, self._ready)
        self._listener = Subscriber(config)
        self._asked = 0.0

    def show(self, show: Show) -> None:
        """Look, and show what is seen, until the end."""
        self.shop.start()
        with show:
            while not self._ended.is_set() and (left := self._left()) > 0:
                changed = self._look()
                show.update(self.board, self.shop, changed, left)

    def close(self) -> None:
        """End everything."""
        with suppress(KeyboardInterrupt):
            self.shop.stop()
        self._processes.stop()  # first: without their broker they would wait
        self._listener.close()
        self._broker.close()

    def _left(self) -> float:
        """Seconds until the end; they count from when the services are ready, since machines start them as they can."""
        waited = time.monotonic() - self._began
        if self._ready.is_set():
            return self._seconds - waited
        if waited > _READY_SECONDS:
            slow = ", ".join(name for name, part in self.board.parts.items() if not part.ready)
            raise self._processes.failed(slow, f"was not ready within {_READY_SECONDS:.0f} s")
        return self._seconds

    def _look(self) -> list[Listed]:
        """Take in what has come since the last time; returns the alerts that are new or have changed."""
        self._processes.check()
        if self.shop.error is not None:
            raise self.shop.error
        changed = []
        for told in self._listener.heard(_FRAME_SECONDS):
            if isinstance(told, ScoreRecords):
                self.board.hear_scores(told)
            elif (listed := self.board.hear_alert(told)) is not None:
                changed.append(listed)
        now = time.monotonic()
        self.board.note_sent(now, self.shop.sent)
        if now - self._asked > _ASK_SECONDS:
            self._asked = now
            self.board.note_parts(now, {name: ask(port) for name, port in self._wiring.ports.items()})
            if not self._ready.is_set() and all(part.ready for part in self.board.parts.values()):
                self._began = now
                self._ready.set()
        return changed


@contextmanager
def _ended_by_signals() -> Iterator[Flag]:
    """A flag that Ctrl-C and its like set."""
    ended = Flag()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {one: signal.signal(one, on_signal) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
