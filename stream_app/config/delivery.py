"""Settings for the delivery of alerts. The channels themselves are defined in a YAML file."""

from __future__ import annotations

from pathlib import Path

from stream_app.config.fields import Section, setting


class Delivery(Section):
    """Delivery of alerts to the staff."""

    config: Path | None = setting(
        None,
        "YAML file of channels (docs/reference/delivery.md). Without it, nothing is delivered.",
        "通知渠道文件；不设置则不投递",
    )
    playbook: Path | None = setting(
        None,
        "YAML file with your own measures, which override the built-in playbook (docs/reference/playbook.md).",
        "自定义应对措施的文件，覆盖内置手册",
    )
    templates: Path | None = setting(None, "Folder with your own message templates.", "自定义消息模板的文件夹")
    currency: str = setting("", "Currency shown next to amounts in messages, such as CNY.", "消息中金额的币种，如 CNY")
