"""The settings that the demo's services run with, and the file that they stand in."""

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

# The staff works on all days: a day takes a second, and two quiet ones in a row would look like a fault.
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
class Hook:
    """The demo's page as a receiver of webhooks: its address, its secret, and the language of its reader."""

    address: str
    secret: str
    lang: str


@dataclass(frozen=True)
class Pace:
    """How the shop's days lie beside the wall clock's; the deliverer goes by these, and calls nobody about last year.

    Args:
        ahead_days: how far the shop's last day lies in the future.
        lifetime_days: how long an alert may be acted on.
    """

    ahead_days: int
    lifetime_days: int


@dataclass(frozen=True)
class Wiring:
    """How the services are started, and where they tell how they are."""

    file: Path
    config: LiveConfig
    ports: dict[str, int]  # of /metrics and /readyz, by service

    def command(self, service: str) -> list[str]:
        """The real command."""
        return [str(Path(sysconfig.get_path("scripts")) / "stream-app"), service, "--config", str(self.file)]

    def environ(self, service: str) -> dict[str, str]:
        """The environment of a service: the user's, without settings that he has for services of his own."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return environ | {f"{PREFIX}HEALTH__PORT": str(self.ports[service] - PORT_OFFSETS[service])}


def wire(folder: Path, bootstrap: str, redis: Path, capacity: int, hook: Hook, pace: Pace) -> Wiring:
    """Write the settings into a folder, which is ours alone."""
    file, channels, key = folder / "demo.toml", folder / "channels.yaml", folder / "webhook.key"
    key.write_text(f"{hook.secret}\n", encoding="utf-8")
    model_key = folder / "model.key"
    write_missing(model_key, "password", shared=False)
    channels.write_text(_CHANNELS.format(address=hook.address, key=key, lang=hook.lang), encoding="utf-8")
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
    return Wiring(file, load_config(file, environ={}), dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True)))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
