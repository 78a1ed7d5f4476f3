"""Errors of alerts, their delivery, and the playbook."""

from __future__ import annotations

from stream_app.errors.base import ChurnMonitorError, InvalidInput


class NoSuchAlert(ChurnMonitorError):
    """No open alert has the id {alert_id}. {remedy}"""


class AlertTaken(ChurnMonitorError):
    """Alert {alert_id} belongs to {owner}. Ask {owner}, or add --take-over to take it over."""


class BadChannels(InvalidInput):
    """{file}, line {line}: {field} {problem}. {remedy}"""


class UnknownChannel(InvalidInput):
    """Unknown channel {channel}. The file named by delivery.config defines: {known}."""


class UnknownDelivery(ChurnMonitorError):
    """Delivery {delivery} is not dead, or does not exist. Run `stream-app deliveries list --state dead` to list dead
    deliveries.
    """


class PrivateAddress(InvalidInput):
    """{host} resolves to {address}, which is not a public address. Set allow_private: true if the receiver is yours."""


class BadPlaybook(InvalidInput):
    """{file}, line {line}: {field} {problem}. {remedy}"""


class BadTemplate(InvalidInput):
    """Invalid template {file}, line {line}: {problem}. {remedy}"""
