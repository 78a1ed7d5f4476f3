"""A run of the demo: starts all processes, updates the views, and stops everything."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as midnight
from pathlib import Path
from threading import Event as Flag
from types import FrameType
from typing import Final

from rich.console import Console

from stream_app.config import INPUTS, OUTPUTS, Topics
from stream_app.core.messages.batches import ScoreRecords
from stream_app.demo.broker import EmbeddedBroker
from stream_app.demo.page_model import PageModel
from stream_app.demo.processes import Processes
from stream_app.demo.redis_server import start_redis
from stream_app.demo.secrets import new_secret
from stream_app.demo.settings import CURRENCY, SERVICES, ZONE, Pace, ServiceSetup, WebhookTarget, write_settings
from stream_app.demo.simulation import Plan, ShopSimulation
from stream_app.demo.state import DemoState, ListedAlert
from stream_app.demo.subscriber import Subscriber, service_status
from stream_app.demo.summary import print_summary
from stream_app.demo.views import LineView, ScreenView, View
from stream_app.demo.web_page import DELIVERED, WebPage
from stream_app.errors import DemoFailed
from stream_app.i18n import Translator
from stream_app.notifications.messages.alert_view import Views
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.notifications.webhook_signature import Verifier, webhook_key
from stream_app.simulate.calendar import SHOP_ZONE

_FRAME_SECONDS: Final = 0.12
_POLL_SECONDS: Final = 0.6  # between two polls of the services
_READY_SECONDS: Final = 120.0
_SPARE_DAYS: Final = 3  # simulated beyond the end of the demo
_AHEAD_DAYS: Final = 170  # maximum days beyond today: worker.skew must not exceed shop.active_window
_LIFETIME_DAYS: Final = 14  # default lifetime of an alert


@dataclass(frozen=True)
class Request:
    """Options of a demo.

    Args:
        customers: number of customers of the shop.
        history_days: number of days replayed at full speed.
        day_seconds: duration of each day after the history.
        capacity: alerts per day.
        seconds: duration of the demo, counted from when all services are ready.
        lang: en or zh.
        seed: seed of the simulation.
        port: port of the page; 0 for any free port, None for the default port or, if that is taken, any free one.
        today: end of the history; from then on, each day takes `day_seconds`.
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
        """Plan of the simulated shop."""
        today = datetime.combine(self.today, midnight(), SHOP_ZONE)
        start = today - timedelta(days=self.history_days + self._days_before_today)
        return Plan(self.customers, self.history_days, self._live_days, self.day_seconds, self.seed, start)

    @property
    def pace(self) -> Pace:
        """How the shop's days relate to the wall clock."""
        ahead = self._live_days - self._days_before_today
        return Pace(ahead, _LIFETIME_DAYS + self._days_before_today)

    @property
    def _live_days(self) -> int:
        return int(self.seconds / self.day_seconds) + _SPARE_DAYS

    @property
    def _days_before_today(self) -> int:
        """Number of live days that fall before today, which happens only in a long demo."""
        return max(0, self._live_days - _AHEAD_DAYS)


def run_demo(request: Request, console: Console, extra_view: Callable[[str], View] | None = None) -> None:
    """Run a demo until its time is up or Ctrl-C is pressed. Stop all processes before returning.

    Args:
        request: options of the demo.
        console: console to print to.
        extra_view: factory of an additional view; called with the address of the page.

    Raises:
        NoPageAddress: the port of the page is already in use.
        NoEmbeddedServer: Kafka or Redis does not start.
        DemoFailed: a process has exited; the logs are kept.
    """
    translator = Translator(request.lang, "demo")
    secret = new_secret("webhook")
    model = PageModel(translator, Views(load_playbook(), ZONE, CURRENCY), request.plan)
    page = WebPage(translator, model, request.port, Verifier(webhook_key(secret)))
    target = WebhookTarget(f"{page.address}{DELIVERED}", secret, request.lang)
    console.print(translator.text("demo.begin"), style="dim", highlight=False)
    console.print(translator.text("page.at", address=page.address), highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="stream-app-demo-"))
    processes, started = Processes(folder), time.monotonic()
    try:
        with _stop_on_signals() as stopped:
            demo = _Demo(request, folder, processes, stopped, started, target)
            try:
                extra = (extra_view(page.address),) if extra_view else ()
                demo.show([_console_view(translator, request.plan, console), *extra, page])
            finally:
                demo.close()
    except BaseException as error:
        processes.stop()
        if not isinstance(error, DemoFailed):  # this keeps the logs
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    print_summary(demo.state, demo.shop, request.plan, time.monotonic() - started, translator, console)


def _console_view(translator: Translator, plan: Plan, console: Console) -> View:
    return (ScreenView if console.is_terminal else LineView)(console, translator, plan)


class _Demo:
    """All processes and threads of a demo; constructing it starts them."""

    def __init__(
        self, request: Request, folder: Path, processes: Processes, stopped: Flag, started: float, target: WebhookTarget
    ) -> None:
        self._processes, self._stopped = processes, stopped
        self._seconds, self._started = request.seconds, started
        topics = Topics()
        self._broker = EmbeddedBroker(topics.of(*INPUTS, *OUTPUTS).values())
        redis = start_redis(processes, folder)
        self._setup: ServiceSetup = write_settings(
            folder, self._broker.bootstrap, redis, request.capacity, target, request.pace
        )
        for service in SERVICES:
            processes.start(service, self._setup.command(service), self._setup.environ(service))
        config = self._setup.config
        self.state = DemoState(config.shop.decide_every)
        self._ready = Flag()
        self.shop = ShopSimulation(config, request.plan, self._ready)
        self._subscriber = Subscriber(config)
        self._polled = 0.0

    def show(self, views: Sequence[View]) -> None:
        """Update the views until the demo ends. The first view is entered last and exited first."""
        self.shop.start()
        with ExitStack() as stack:
            for view in reversed(views):
                stack.enter_context(view)
            while not self._stopped.is_set() and (left := self._left()) > 0:
                changed = self._poll()
                for view in views:
                    view.update(self.state, self.shop, changed, left)

    def close(self) -> None:
        """Stop everything."""
        with suppress(KeyboardInterrupt):
            self.shop.stop()
        self._processes.stop()  # before the broker, since they would wait for it
        self._subscriber.close()
        self._broker.close()

    def _left(self) -> float:
        """Return the number of seconds left; the countdown starts when all services are ready."""
        waited = time.monotonic() - self._started
        if self._ready.is_set():
            return self._seconds - waited
        if waited > _READY_SECONDS:
            slow = ", ".join(name for name, status in self.state.services.items() if not status.ready)
            raise self._processes.failed(slow, f"was not ready within {_READY_SECONDS:.0f} s")
        return self._seconds

    def _poll(self) -> list[ListedAlert]:
        """Apply the records published by the services. Return the alerts that are new or have changed."""
        self._processes.check()
        if self.shop.error is not None:
            raise self.shop.error
        changed = []
        for record in self._subscriber.poll(_FRAME_SECONDS):
            if isinstance(record, ScoreRecords):
                self.state.apply_scores(record)
            elif (listed := self.state.apply_alert(record)) is not None:
                changed.append(listed)
        now = time.monotonic()
        self.state.record_sent(now, self.shop.sent)
        if now - self._polled > _POLL_SECONDS:
            self._polled = now
            statuses = {name: service_status(port) for name, port in self._setup.ports.items()}
            self.state.record_services(now, statuses)
            if not self._ready.is_set() and all(status.ready for status in statuses.values()):
                self._started = now
                self._ready.set()
        return changed


@contextmanager
def _stop_on_signals() -> Iterator[Flag]:
    """Yield a flag that is set on SIGINT, SIGTERM or SIGHUP."""
    stopped = Flag()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {one: signal.signal(one, on_signal) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
