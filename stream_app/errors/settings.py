"""Errors of command-line options, settings, secrets and installation."""

from __future__ import annotations

from stream_app.errors.base import BAD_INPUT, ChurnMonitorError


class BadOption(ChurnMonitorError):
    """Invalid value {value!r} for {option}. {remedy}"""

    exit_code = BAD_INPUT


class BadConfig(ChurnMonitorError):
    """Invalid setting {name}: it {problem}. {remedy}"""

    exit_code = BAD_INPUT


class ContradictorySettings(ChurnMonitorError):
    """Invalid setting `{name}`: it {problem}. {remedy}"""

    exit_code = BAD_INPUT


class BadSecret(ChurnMonitorError):
    """Invalid secret {source}: it {problem}. {remedy}"""

    exit_code = BAD_INPUT


class MissingExtra(ChurnMonitorError):
    """This command needs the package {package}, which is not installed. Run `make env` in the checkout of the project,
    or `pip install ".[replay,demo]"` there.
    """

    exit_code = BAD_INPUT


class NoHealthAddress(ChurnMonitorError):
    """Cannot serve health and metrics on {host}, port {port}: {problem}. Set health.port to a free port, or to 0 to
    disable the endpoint.
    """

    exit_code = BAD_INPUT
