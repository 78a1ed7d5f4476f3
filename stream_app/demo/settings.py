"""Demo options, and the settings of the demo's services."""

from __future__ import annotations

import os
import socket
import sysconfig
from dataclasses import dataclass, field
from datetime import date, datetime, time as midnight, timedelta
from pathlib import Path
from typing import Final

from stream_app.config import PORT_OFFSETS, LiveConfig, load_config
from stream_app.config.sources import PREFIX
from stream_app.demo.embedded_servers import PARTITIONS
from stream_app.demo.secrets import write_missing
from stream_app.demo.simulation import Plan
from stream_app.simulate.calendar import SHOP_ZONE

WORKER: Final = "worker"
SERVICES: Final = (WORKER, "trainer", "allocator", "notifier")
ZONE: Final = "Asia/Shanghai"
CURRENCY: Final = "CNY"
HORIZON_DAYS: Final = 60
_SPARE_DAYS: Final = 3  # simulated beyond the end of the demo
_AHEAD_DAYS: Final = 170  # maximum days beyond today: worker.skew must not exceed shop.active_window
_LIFETIME_DAYS: Final = 14  # default lifetime of an alert

# Every day is a working day: a day takes about a second, and two days without alerts would look like a failure.
_FILE: Final = """\
[kafka]
bootstrap = "{bootstrap}"
partitions = {partitions}
check_topics = false

[redis]
url = "unix://{redis}"
prefix = "demo"

[shop]
horizon = "{horizon}d"
active_window = "180d"
decide_every = "7d"
zone = "{zone}"
working_days = [0, 1, 2, 3, 4, 5, 6]
capacity = {capacity}
alert_above = 0.75
alert_lifetime = "{lifetime}d"
policy = "{policy}"

[worker]
instance = "worker-1"
publish_scores = true
skew = "{ahead}d"

[ticks]
clock = "log"

[model]
key_file = "{model_key}"

[health]
watchdog_after = "0s"

[delivery]
config = "{channels}"
currency = "{currency}"
"""
# Most of a young shop's customers have bought once, so the plan would call hardly anybody else.
_POLICY: Final = """\
capacity:
  one_time: 40%
"""
_CHANNELS: Final = """\
mode: live
channels:
  page:
    kind: webhook
    url: {address}
    secret: file:{key}
    language: {lang}
    allow_private: true
"""


@dataclass(frozen=True)
class Request:
    """Demo options.

    Args:
        customers: number of customers of the shop.
        history_days: number of days replayed at full speed.
        day_seconds: duration of each day after the history.
        capacity: alerts per day.
        seconds: duration of the simulated days, counted from when all services are ready.
        stays: whether the demo stays until it is stopped, instead of ending with the simulated days.
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
    stays: bool = False
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
    def ahead_days(self) -> int:
        """Number of days from today to the shop's last day."""
        return self._live_days - self._days_before_today

    @property
    def lifetime_days(self) -> int:
        """Lifetime of an alert, in days. The notifier drops expired alerts, which it compares with the wall clock."""
        return _LIFETIME_DAYS + self._days_before_today

    @property
    def _live_days(self) -> int:
        return int(self.seconds / self.day_seconds) + _SPARE_DAYS

    @property
    def _days_before_today(self) -> int:
        """Number of live days that fall before today, which happens only in a long demo."""
        return max(0, self._live_days - _AHEAD_DAYS)


@dataclass(frozen=True)
class ServiceSetup:
    """Commands, environments and ports of the services."""

    file: Path
    config: LiveConfig
    ports: dict[str, int]  # port of /metrics and /readyz, by service

    def command(self, service: str) -> list[str]:
        """Return the command that starts a service."""
        return [str(Path(sysconfig.get_path("scripts")) / "stream-app"), service, "--config", str(self.file)]

    def environ(self, service: str) -> dict[str, str]:
        """Return the environment for a service: the user's environment without their own stream-app settings."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return environ | {f"{PREFIX}HEALTH__PORT": str(self.ports[service] - PORT_OFFSETS[service])}


def write_settings(
    folder: Path, bootstrap: str, redis: Path, request: Request, address: str, secret: str
) -> ServiceSetup:
    """Write the service settings to files.

    Args:
        folder: folder that only the demo uses.
        bootstrap: Kafka address.
        redis: Redis Unix socket.
        request: options of the demo.
        address: URL to which the notifier delivers alerts.
        secret: secret that signs these deliveries.

    Returns:
        How to start the services.
    """
    names = ("demo.toml", "channels.yaml", "policy.yaml", "webhook.key", "model.key")
    file, channels, policy, key, model_key = (folder / name for name in names)
    policy.write_text(_POLICY, encoding="utf-8")
    key.write_text(f"{secret}\n", encoding="utf-8")
    write_missing(model_key, "password", shared=False)
    channels.write_text(_CHANNELS.format(address=address, key=key, lang=request.lang), encoding="utf-8")
    text = _FILE.format(
        bootstrap=bootstrap,
        partitions=PARTITIONS,
        redis=redis,
        zone=ZONE,
        horizon=HORIZON_DAYS,
        capacity=request.capacity,
        lifetime=request.lifetime_days,
        policy=policy,
        ahead=request.ahead_days + 1,
        model_key=model_key,
        channels=channels,
        currency=CURRENCY,
    )
    file.write_text(text, encoding="utf-8")
    ports = dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True))
    return ServiceSetup(file, load_config(file, environ={}), ports)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
