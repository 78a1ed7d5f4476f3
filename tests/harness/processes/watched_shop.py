"""A simulated shop on real services under a real Prometheus, for tests of dashboards and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from typing import Final, Self

from stream_app.demo.simulation import Plan, ShopSimulation
from stream_app.simulate import ShopSettings
from stream_app.simulate.calendar import SHOP_ZONE
from tests.harness.processes.live_system import LiveSystem
from tests.harness.receivers import AlertReceiver
from tests.harness.servers import PrometheusServer
from tests.harness.servers.process import answers

SERVICES: Final = ("worker", "worker", "trainer", "allocator", "notifier")
_READY_SECONDS: Final = 90.0
# As in the demo: staff work on all days, since a day takes seconds.
SETTINGS: Final = {
    "shop.horizon": "60d",
    "shop.active_window": "180d",
    "shop.lost_after": "90d",
    "worker.skew": "180d",  # the shop's days pass faster than those of the wall clock
    "shop.decide_every": "7d",
    "shop.zone": "Asia/Shanghai",
    "shop.working_days": "0,1,2,3,4,5,6",
    "shop.capacity": "20",
    "shop.alert_above": "0.6",
    "shop.holdout.share": "0.3",
    "shop.holdout.window": "10d",
    "kafka.partitions": "4",
    "health.watchdog_after": "0s",
}


class PlanUntilToday(Plan):
    """A plan whose history ends today, since old alerts are not delivered."""

    @property
    def shop(self) -> ShopSettings:
        midnight = datetime.now(SHOP_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight - timedelta(days=self.history_days)
        return ShopSettings(customers=self.customers, days=self.history_days + self.live_days, start=start)


PLAN: Final = PlanUntilToday(customers=3_000, history_days=130, live_days=170, day_seconds=2.0)


class WatchedShop(LiveSystem):
    """Two workers, trainer, allocator and notifier on a simulated shop, and a Prometheus that evaluates the rules.

    Args:
        rules: files of rules.
        plan: size of the shop, and speed of its time.
        services: services to start, in this order.
        settings: additional to SETTINGS.
    """

    def __init__(
        self,
        rules: Sequence[Path] = (),
        plan: Plan = PLAN,
        services: Sequence[str] = SERVICES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__({**SETTINGS, **(settings or {})})
        self.plan, self.rules, self.services = plan, list(rules), services
        self.ports: dict[str, list[int]] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        receiver = self._closing.enter_context(AlertReceiver())
        self.write_channels(team={"url": receiver.url("team"), "language": "zh"}, spare={"url": receiver.url("spare")})
        self.redis.config_set("maxmemory", "512mb")
        self.run("topics", "create")
        for name in self.services:
            _, port = self.start_with_metrics(name)
            self.ports.setdefault(name, []).append(port)
        targets = {name: [f"127.0.0.1:{port}" for port in ports] for name, ports in self.ports.items()}
        self.prometheus = self._closing.enter_context(PrometheusServer(targets, self.rules))
        ready = Flag()
        self.shop = ShopSimulation(self.config, self.plan, ready)
        self._closing.callback(self.shop.stop)
        self.shop.start()
        ports = [port for of_service in self.ports.values() for port in of_service]
        self.wait("all services are ready", lambda: all(answers(port, "/readyz") for port in ports), _READY_SECONDS)
        ready.set()
        return self
