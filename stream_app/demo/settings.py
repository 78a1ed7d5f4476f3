"""Settings of the demo's services, and the files they are written to."""

from __future__ import annotations

import os
import socket
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_app.config import PORT_OFFSETS, LiveConfig, load_config
from stream_app.config.sources import PREFIX
from stream_app.demo.broker import PARTITIONS
from stream_app.demo.secrets import write_missing

SERVICES: Final = ("worker", "trainer", "allocator", "notifier")
ZONE: Final = "Asia/Shanghai"
CURRENCY: Final = "CNY"
HORIZON_DAYS: Final = 60

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
rank_by = "worth"
alert_above = 0.75
alert_lifetime = "{lifetime}d"

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
class WebhookTarget:
    """The demo's page as a webhook receiver: its address, secret and language."""

    address: str
    secret: str
    lang: str


@dataclass(frozen=True)
class Pace:
    """How the shop's days relate to the wall clock, which the notifier uses to drop expired alerts.

    Args:
        ahead_days: number of days from now to the shop's last day.
        lifetime_days: lifetime of an alert, in days.
    """

    ahead_days: int
    lifetime_days: int


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
    folder: Path, bootstrap: str, redis: Path, capacity: int, target: WebhookTarget, pace: Pace
) -> ServiceSetup:
    """Write the settings to a folder used only by the demo, and return how to start the services."""
    file, channels, key = folder / "demo.toml", folder / "channels.yaml", folder / "webhook.key"
    key.write_text(f"{target.secret}\n", encoding="utf-8")
    model_key = folder / "model.key"
    write_missing(model_key, "password", shared=False)
    channels.write_text(_CHANNELS.format(address=target.address, key=key, lang=target.lang), encoding="utf-8")
    text = _FILE.format(
        bootstrap=bootstrap,
        partitions=PARTITIONS,
        redis=redis,
        zone=ZONE,
        horizon=HORIZON_DAYS,
        capacity=capacity,
        lifetime=pace.lifetime_days,
        ahead=pace.ahead_days + 1,
        model_key=model_key,
        channels=channels,
        currency=CURRENCY,
    )
    file.write_text(text, encoding="utf-8")
    return ServiceSetup(
        file, load_config(file, environ={}), dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True))
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
