"""Errors in command-line options, settings, secrets and the installation."""

from __future__ import annotations

from stream_app.errors.base import InvalidInput


class BadOption(InvalidInput):
    """Invalid value {value!r} for {option}. {remedy}"""


class BadConfig(InvalidInput):
    """Invalid setting {name}: it {problem}. {remedy}"""


class ContradictorySettings(InvalidInput):
    """Invalid setting `{name}`: it {problem}. {remedy}"""


class BadSecret(InvalidInput):
    """Invalid secret {source}: it {problem}. {remedy}"""


class MissingExtra(InvalidInput):
    """This command needs the package {package}, which is not installed. Run `make env` in the checkout of the project,
    or `pip install ".[replay,demo]"` there.
    """
