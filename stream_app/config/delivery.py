"""The settings of delivery: one section of the service's settings, which names a YAML file with the channels."""

from __future__ import annotations

from pathlib import Path

from stream_app.config.fields import Section, setting


class Delivery(Section):
    """How alerts reach the staff."""

    config: Path | None = setting(
        None, "YAML file with the channels, see docs/delivery.md. Without one nothing is delivered.", "通知渠道配置文件"
    )
