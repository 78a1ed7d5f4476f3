"""Debian's Prometheus on loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.harness.servers.process import Server, answers, program


class PrometheusServer(Server):
    """A Prometheus on a free loopback port.

    Args:
        targets: addresses by job: {"worker": ["127.0.0.1:9464"]}.
        rules: files of rules to evaluate.
        every: interval of scrapes and evaluations, seconds.
    """

    def __init__(self, targets: Mapping[str, Sequence[str]], rules: Sequence[Path] = (), every: int = 5) -> None:
        super().__init__()
        self._config = {
            "global": {
                "scrape_interval": f"{every}s",
                "scrape_timeout": f"{every}s",
                "evaluation_interval": f"{every}s",
            },
            "rule_files": [str(path.resolve()) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in targets.items()
            ],
        }

    @property
    def url(self) -> str:
        """Address of its API: "http://127.0.0.1:port"."""
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> Sequence[str]:
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config), encoding="utf-8")
        return [
            program("prometheus", "prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def _ready(self) -> bool:
        return answers(self.port, "/-/ready")
