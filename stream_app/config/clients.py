"""Converts the Kafka settings to options of each client library."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from stream_app.config.fields import tls_context
from stream_app.config.kafka import Kafka
from stream_app.core.units import MILLISECOND_US

# Without a logger, librdkafka writes to standard error. Commands do not configure logging and stay quiet: anything that
# matters is raised as an exception.
_librdkafka = logging.getLogger("librdkafka")
_librdkafka.addHandler(logging.NullHandler())


def confluent_options(kafka: Kafka) -> dict[str, Any]:
    """Return the connection options of confluent-kafka clients. They contain the password: never log them.

    >>> confluent_options(Kafka(bootstrap="kafka:9092"))["bootstrap.servers"]
    'kafka:9092'
    """
    security = kafka.security
    options = {
        "bootstrap.servers": kafka.bootstrap,
        "client.id": kafka.client_id,
        "logger": _librdkafka,
        "security.protocol": security.protocol,
        "sasl.mechanism": security.sasl_mechanism,
        "sasl.username": security.username,
        "sasl.password": security.secret(),
        "ssl.ca.location": security.ca_file and str(security.ca_file),
        "ssl.certificate.location": security.cert_file and str(security.cert_file),
        "ssl.key.location": security.key_file and str(security.key_file),
    }
    return {name: value for name, value in options.items() if value is not None}


def reader_options(kafka: Kafka, name: str) -> dict[str, Any]:
    """Return the options of a confluent-kafka consumer that assigns its partitions itself and commits no offsets.

    The library still looks up a group coordinator. The group's name starts with `kafka.group`, so the existing
    permissions cover it.

    >>> reader_options(Kafka(group="shop-1"), "last")["group.id"]
    'shop-1-last'
    """
    return confluent_options(kafka) | {"group.id": f"{kafka.group}-{name}", "enable.auto.commit": False}


def client_options(kafka: Kafka) -> dict[str, Any]:
    """Return the connection options of kafka-python and aiokafka clients. They contain the password: never log them."""
    security = kafka.security
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "client_id": kafka.client_id,
        "request_timeout_ms": kafka.request_timeout // MILLISECOND_US,
        "security_protocol": security.protocol,
        "sasl_mechanism": security.sasl_mechanism,
        "sasl_plain_username": security.username,
        "sasl_plain_password": security.secret(),
        "ssl_context": ssl_context(kafka),
    }
    return {name: value for name, value in options.items() if value is not None}


def ssl_context(kafka: Kafka) -> ssl.SSLContext | None:
    """Return the TLS context of the connections, or None if they are not encrypted."""
    security = kafka.security
    if not security.encrypted:
        return None
    return tls_context(security.ca_file, security.cert_file, security.key_file)
