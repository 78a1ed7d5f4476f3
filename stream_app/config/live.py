"""All settings of the running service."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream_app.config.delivery import Delivery
from stream_app.config.fields import ContradictionError, setting
from stream_app.config.kafka import Kafka
from stream_app.config.parts import Health, Log, Model, Redis, Ticks, Trainer, Worker
from stream_app.config.shop import Shop


class LiveConfig(BaseSettings):
    """All settings of the running service; `load_config` gathers them. Durations are microseconds.

    >>> config = LiveConfig(kafka={"bootstrap": "kafka:9092"}, shop={"horizon": "30d"})
    >>> config.kafka.topics.orders, config.shop.settings().horizon == 30 * 24 * 3600 * 10**6
    ('shop.orders', True)
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    kafka: Kafka = setting(Kafka(), "The brokers and the topics.", "Kafka")
    redis: Redis = setting(Redis(), "Where states are kept.", "Redis")
    shop: Shop = setting(Shop(), "What the shop decides.", "店铺")
    worker: Worker = setting(Worker(), "The processes that score.", "工作进程")
    ticks: Ticks = setting(Ticks(), "Who moves time on.", "时间刻度")
    trainer: Trainer = setting(Trainer(), "The process that learns.", "训练进程")
    model: Model = setting(Model(), "Who may write the model.", "模型签名")
    delivery: Delivery = setting(Delivery(), "How alerts reach the staff.", "通知")
    health: Health = setting(Health(), "What is told over HTTP.", "健康检查")
    log: Log = setting(Log(), "What is written to standard error.", "日志")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: `load_config` brings sources that know their names for a setting."""
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.worker.skew > self.shop.active_window:
            raise ContradictionError(("worker", "skew"), "is longer than shop.active_window", "Give some minutes, 5m.")
        return self
