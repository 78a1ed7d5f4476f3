"""Base class of all errors: a subclass's docstring is its message, and its exit status is one of `EXIT_CODES`."""

from __future__ import annotations

import inspect
from typing import ClassVar, Final

# Meaning of each exit status of `stream-app`; docs/reference/commands.md lists them.
EXIT_CODES: Final = {
    0: "Success, or an orderly stop on SIGINT or SIGTERM.",
    1: "The command ran but did not succeed, for example because a check failed or a customer is unknown.",
    2: "An argument, option, setting or input file is invalid. Nothing was started.",
    3: "`replay` finished, but rejected more lines than `--max-rejected` allows.",
    4: "Stored states, models, positions or topics cannot be used. Restarting does not help.",
    5: "Kafka or Redis is unreachable or refused a request.",
    6: "Another process has taken over the work of this one. Do not restart it.",
    75: "The process made no progress and ended itself. Restart it.",
}


class ChurnMonitorError(Exception):
    """The churn monitor cannot continue."""

    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.__class__.__name__, facts)

    def __str__(self) -> str:
        """Return the docstring with its placeholders filled; under `python -OO`, the class name and the values.

        >>> class NoSuchLog(ChurnMonitorError):
        ...     '''{file} cannot be opened: {problem}.'''
        >>> str(NoSuchLog(file="log.jsonl", problem="permission denied"))
        'log.jsonl cannot be opened: permission denied.'
        """
        template = inspect.getdoc(self.__class__)
        if template is None:
            return f"{self.__class__.__name__}: {self.facts}"
        return " ".join(template.format(**self.facts).split())


class InvalidInput(ChurnMonitorError):
    """An argument, option, setting or input file is invalid."""

    exit_code = 2


class UnusableData(ChurnMonitorError):
    """Stored data cannot be used."""

    exit_code = 4


class Unreachable(ChurnMonitorError):
    """Kafka or Redis is unreachable or refused a request."""

    exit_code = 5


class Replaced(ChurnMonitorError):
    """Another process has taken over."""

    exit_code = 6
