"""The settings of delivery: one section of the service's settings, which names a YAML file with the channels."""

from __future__ import annotations

from pathlib import Path

from stream_app.config.fields import Section, setting


class Delivery(Section):
    """How alerts reach the staff."""

    config: Path | None = setting(
        None, "YAML file with the channels, see docs/delivery.md. Without one nothing is delivered.", "通知渠道配置文件"
    )
    playbook: Path | None = setting(
        None, "YAML file with measures of the shop's own, laid over those that ship: docs/playbook.md.", "自有对策手册"
    )
    templates: Path | None = setting(None, "Folder with message templates of the shop's own.", "自有消息模板的文件夹")
    currency: str = setting("", "Shown beside money in messages, such as CNY.", "消息中金额的货币")
