"""docker-compose.yml as values."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

PROJECT: Final = Path(__file__).resolve().parents[2]
OUR_IMAGE: Final = "stream-app:local"
HEALTH_PORT: Final = "STREAM_APP_HEALTH__PORT"
HEALTHY_SECONDS: Final = 240.0  # minimum; the machine may be busy


class Service(msgspec.Struct, frozen=True):
    """A service of the file; `spec` is its complete entry."""

    name: str
    image: str
    spec: dict[str, Any]
    command: list[str] = []
    environment: dict[str, str] = {}

    @property
    def ours(self) -> bool:
        return self.image == OUR_IMAGE

    @property
    def once(self) -> bool:
        """Whether it runs to its end before others start."""
        return bool(self.spec.get("restart") == "no")

    @property
    def check(self) -> list[str]:
        kind, *command = self.spec["healthcheck"]["test"]
        assert kind == "CMD", "the image need not have a shell"
        return command

    @property
    def healthy_within(self) -> float:
        """Seconds within which the health check must succeed."""
        period = str(self.spec["healthcheck"]["start_period"])
        return max(float(period.removesuffix("s")), HEALTHY_SECONDS)

    @property
    def needs(self) -> dict[str, str]:
        """Services that start first, and the condition that each must meet."""
        return {name: one["condition"] for name, one in self.spec.get("depends_on", {}).items()}

    @property
    def ports(self) -> list[int]:
        """Ports on which it listens in its container."""
        published = [int(str(one).rpartition(":")[2]) for one in self.spec.get("ports", [])]
        return sorted({*map(int, self.spec.get("expose", [])), *published})

    @property
    def mounts(self) -> list[tuple[str, str, str]]:
        """Source, path in the container and mode of each volume."""
        parts = [str(one).split(":") for one in self.spec.get("volumes", [])]
        return [(part[0], part[1], part[2] if len(part) > 2 else "rw") for part in parts]

    @property
    def temporary(self) -> list[str]:
        return [str(one).partition(":")[0] for one in self.spec.get("tmpfs", [])]


class ComposeFile:
    """The file with its anchors and merges resolved."""

    def __init__(self, path: Path = PROJECT / "docker-compose.yml") -> None:
        self.folder = path.parent
        self.raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.services = {
            name: msgspec.convert({**spec, "name": name, "spec": spec}, Service)
            for name, spec in self.raw["services"].items()
        }

    def order(self) -> list[Service]:
        """Return the services in the order in which `docker compose up` starts them."""
        needs = {name: service.needs for name, service in self.services.items()}
        return [self.services[name] for name in TopologicalSorter(needs).static_order()]
