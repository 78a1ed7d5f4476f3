"""Typed and validated service settings; docs/reference/settings.md lists them."""

from stream_app.config.clients import client_options, confluent_options, reader_options, ssl_context
from stream_app.config.fields import FOREVER
from stream_app.config.kafka import INPUTS, OUTPUTS, SHOP_TOPICS, Kafka, Security, Topics
from stream_app.config.live import LiveConfig
from stream_app.config.loading import load_config
from stream_app.config.processes import PORT_OFFSETS, Delivery, Health, Log, Ticks, Trainer, Worker
from stream_app.config.redis import Redis
from stream_app.config.shop import Shop

__all__ = [
    "FOREVER",
    "INPUTS",
    "OUTPUTS",
    "PORT_OFFSETS",
    "SHOP_TOPICS",
    "Delivery",
    "Health",
    "Kafka",
    "LiveConfig",
    "Log",
    "Redis",
    "Security",
    "Shop",
    "Ticks",
    "Topics",
    "Trainer",
    "Worker",
    "client_options",
    "confluent_options",
    "load_config",
    "reader_options",
    "ssl_context",
]
