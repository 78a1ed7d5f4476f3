"""Base class of all errors: the docstring of a subclass is its message, and the exit status is one of `EXIT_CODES`."""

from __future__ import annotations

import inspect
from typing import ClassVar, Final

FAILED: Final = 1
BAD_INPUT: Final = 2
TOO_MANY_REJECTED: Final = 3
UNUSABLE_DATA: Final = 4
UNREACHABLE: Final = 5
REPLACED: Final = 6
TEMPORARY: Final = 75  # EX_TEMPFAIL of sysexits.h

# What each exit status of `stream-app` means; docs/exit-codes.md is made from it.
EXIT_CODES: Final = {
    0: "Success, or an orderly stop on SIGINT or SIGTERM.",
    FAILED: "The command ran but did not succeed, for example because a check failed or a customer is unknown.",
    BAD_INPUT: "An argument, option, setting or input file is invalid. Nothing was started.",
    TOO_MANY_REJECTED: "`replay` finished, but rejected more lines than `--max-rejected` allows.",
    UNUSABLE_DATA: "Stored states, models, positions or topics cannot be used. Restarting does not help.",
    UNREACHABLE: "Kafka or Redis cannot be reached or refused a request.",
    REPLACED: "Another process has taken over the work of this one. Do not restart it.",
    TEMPORARY: "The process made no progress and ended itself. Restart it.",
}


class ChurnMonitorError(Exception):
    """The churn monitor cannot continue."""

    exit_code: ClassVar[int] = FAILED

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
