"""A run of the demo: starts all processes, updates the views, and stops everything."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from math import inf
from pathlib import Path
from threading import Event as Flag
from typing import Final

from rich.console import Console

from stream_app.config import INPUTS, OUTPUTS, Topics
from stream_app.core.messages.batches import ScoreRecords
from stream_app.demo.embedded_servers import EmbeddedBroker, start_redis
from stream_app.demo.page_model import PageModel
from stream_app.demo.processes import Processes
from stream_app.demo.secrets import new_secret
from stream_app.demo.settings import CURRENCY, SERVICES, WORKER, ZONE, Request, write_settings
from stream_app.demo.simulation import ShopSimulation
from stream_app.demo.state import DemoState, ListedAlert, ServiceStatus
from stream_app.demo.subscriber import Subscriber, service_status
from stream_app.demo.summary import print_summary
from stream_app.demo.views import LineView, ScreenView, View
from stream_app.demo.web_page import DELIVERED, WebPage
from stream_app.errors import DemoFailed
from stream_app.i18n import Translator
from stream_app.notifications.messages.alert_view import Views
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.notifications.webhook_signature import Verifier, webhook_key
from stream_app.services.runtime.signals import stopped_by_signals

_FRAME_SECONDS: Final = 0.12
_POLL_SECONDS: Final = 0.6  # between two polls of the services
_READY_SECONDS: Final = 120.0


def run_demo(request: Request, console: Console, extra_view: Callable[[str], View] | None = None) -> None:
    """Run a demo until its time is up or Ctrl-C is pressed. Stop all processes before returning.

    Args:
        request: options of the demo.
        console: console to print to.
        extra_view: factory of an additional view; called with the address of the page.

    Raises:
        CannotListen: the port of the page is already in use.
        NoEmbeddedServer: Kafka or Redis does not start.
        DemoFailed: a process has exited; the logs are kept.
    """
    translator = Translator(request.lang, "demo")
    secret = new_secret("webhook")
    model = PageModel(translator, Views(load_playbook(), ZONE, CURRENCY), request.plan)
    page = WebPage(translator, model, request.port, Verifier(webhook_key(secret)))
    console.print(translator.text("demo.begin"), style="dim", highlight=False)
    console.print(translator.text("page.at", address=page.address), highlight=False, soft_wrap=True)
    console_view = (ScreenView if console.is_terminal else LineView)(console, translator, request.plan)
    views = [console_view, *([extra_view(page.address)] if extra_view else []), page]
    folder = Path(tempfile.mkdtemp(prefix="stream-app-demo-"))
    processes, started = Processes(folder), time.monotonic()
    try:
        with stopped_by_signals(signal.SIGHUP) as stopped, ExitStack() as stack:
            stack.callback(processes.stop)
            demo = _Demo(request, folder, processes, stopped, f"{page.address}{DELIVERED}", secret)
            stack.callback(demo.close)
            demo.show(views)
    except DemoFailed:
        raise  # keep the folder, because the error refers to the logs
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    print_summary(demo.state, demo.shop, request.plan, time.monotonic() - started, translator, console)


class _Demo:
    """All processes and threads of a demo; constructing it starts them."""

    def __init__(
        self, request: Request, folder: Path, processes: Processes, stopped: Flag, address: str, secret: str
    ) -> None:
        self._processes, self._stopped = processes, stopped
        self._seconds, self._started = inf if request.stays else request.seconds, time.monotonic()
        self._broker = EmbeddedBroker(Topics().of(*INPUTS, *OUTPUTS).values())
        redis = start_redis(processes, folder)
        self._setup = write_settings(folder, self._broker.bootstrap, redis, request, address, secret)
        # The worker starts first, so that there is something to see as soon as possible. The others are needed later.
        self._start(WORKER)
        self._to_start = [service for service in SERVICES if service != WORKER]
        config = self._setup.config
        self.state = DemoState(config.shop.decide_every)
        self._opens, self._ready = Flag(), Flag()  # whether the worker is ready, and whether all services are
        self.shop = ShopSimulation(config, request.plan, self._opens)
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

    def _start(self, service: str) -> None:
        self._processes.start(service, self._setup.command(service), self._setup.environ(service))

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
            self._note_ready(now, statuses)
        return changed

    def _note_ready(self, now: float, statuses: Mapping[str, ServiceStatus]) -> None:
        """Start the other services when the worker answers, the shop when it is ready, the countdown when all are."""
        if statuses[WORKER].figures:
            while self._to_start:
                self._start(self._to_start.pop(0))
        if statuses[WORKER].ready:
            self._opens.set()
        if not self._ready.is_set() and all(status.ready for status in statuses.values()):
            self._started = now
            self._ready.set()
