"""All service settings."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from pydantic import model_validator

from stream_app.config.fields import ContradictionError, Section, setting
from stream_app.config.kafka import Kafka
from stream_app.config.processes import Delivery, Health, Log, Model, Ticks, Trainer, Worker
from stream_app.config.redis import Redis
from stream_app.config.shop import Shop
from stream_app.core.settings import Settings


class LiveConfig(Section):
    """All service settings; `load_config` reads them. Durations are microseconds.

    >>> config = LiveConfig(kafka={"bootstrap": "kafka:9092"}, shop={"horizon": "30d"})
    >>> config.kafka.topics.orders, config.shop.settings().horizon == 30 * 24 * 3600 * 10**6
    ('shop.orders', True)
    """

    kafka: Kafka = setting(Kafka(), "Brokers and topics.", "Kafka")
    redis: Redis = setting(Redis(), "Store for states, models and deliveries.", "Redis")
    shop: Shop = setting(Shop(), "Business rules of the shop.", "店铺")
    worker: Worker = setting(Worker(), "Scoring processes.", "工作进程")
    ticks: Ticks = setting(Ticks(), "Progress of event time.", "时间刻度")
    trainer: Trainer = setting(Trainer(), "Training process.", "训练进程")
    model: Model = setting(Model(), "Experts and signature of the model.", "模型的专家与签名")
    delivery: Delivery = setting(Delivery(), "Delivery of alerts to the staff.", "通知")
    health: Health = setting(Health(), "Health and metrics over HTTP.", "健康检查")
    log: Log = setting(Log(), "Logging to standard error.", "日志")

    def settings(self) -> Settings:
        """Return the settings of the shop and its model as `core.settings.Settings`."""
        return self._settings

    @cached_property
    def _settings(self) -> Settings:
        return self.shop.settings().with_experts(self.model.expert_specs())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.worker.skew > self.shop.active_window:
            remedy = "Use a few minutes, such as 5m."
            raise ContradictionError(("worker", "skew"), "is longer than shop.active_window", remedy)
        return self
