"""Errors of alerts, their delivery, and the playbook."""

from __future__ import annotations

from stream_app.errors.base import BAD_INPUT, FAILED, ChurnMonitorError


class NoSuchAlert(ChurnMonitorError):
    """No open alert has the id {alert_id}. {remedy}"""

    exit_code = FAILED


class AlertTaken(ChurnMonitorError):
    """Alert {alert_id} belongs to {owner}. Ask {owner}, or add --take-over to take it over."""

    exit_code = FAILED


class BadChannels(ChurnMonitorError):
    """{file}, line {line}: {field} {problem}. {remedy}"""

    exit_code = BAD_INPUT


class UnknownChannel(ChurnMonitorError):
    """Unknown channel {channel}. The file named by delivery.config defines: {known}."""

    exit_code = BAD_INPUT


class UnknownDelivery(ChurnMonitorError):
    """Delivery {delivery} is not dead, or does not exist. Run `stream-app deliveries list --state dead` to list dead
    deliveries.
    """

    exit_code = FAILED


class PrivateAddress(ChurnMonitorError):
    """{host} resolves to {address}, which is not a public address. Set allow_private: true if the receiver is yours."""

    exit_code = BAD_INPUT


class BadPlaybook(ChurnMonitorError):
    """{file}, line {line}, {field}: {problem}. {remedy}"""

    exit_code = BAD_INPUT


class BadTemplate(ChurnMonitorError):
    """Invalid template {file}, line {line}: {problem}. {remedy}"""

    exit_code = BAD_INPUT
