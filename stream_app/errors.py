"""One tree of exceptions. The docstring of a class is its message: the names in braces are filled with the facts."""

from __future__ import annotations

import inspect
from typing import ClassVar


class ChurnMonitorError(Exception):
    """The churn monitor cannot go on."""

    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.__class__.__name__, facts)

    def __str__(self) -> str:
        """The docstring with the facts in it; under `python -OO`, where docstrings are gone, name and facts.

        >>> str(EmptyLog(file="log.jsonl"))
        'log.jsonl holds no events: nothing can be replayed. Check the path, and that the export is complete.'
        """
        template = inspect.getdoc(self.__class__)
        if template is None:
            return f"{self.__class__.__name__}: {self.facts}"
        return " ".join(template.format(**self.facts).split())


class UnusableLog(ChurnMonitorError):
    """{file}: {problem}. {remedy}"""

    exit_code = 2


class EmptyLog(UnusableLog):
    """{file} holds no events: nothing can be replayed. Check the path, and that the export is complete."""


class NoSuchLog(UnusableLog):
    """{file} cannot be opened: {problem}. Check the path and its permissions."""


class WrongFormat(UnusableLog):
    """{file} does not read as {expected}: {found}. {remedy}"""


class NoSuchColumn(UnusableLog):
    """{file} has no column `{column}` for the field `{field}`. The columns there: {columns}. {remedy}"""


class NothingReadable(UnusableLog):
    """{file}: none of the first {lines} lines could be read; line {line}, field `{field}`: {reason}. {remedy}"""


class NotSorted(ChurnMonitorError):
    """The log could not be sorted within {memory} of memory and the room in {folder}: {problem}. Give it more."""


class BadMapping(ChurnMonitorError):
    """The mapping {file} cannot be used: at `{key}`: {problem}. {remedy}"""

    exit_code = 2


class NoOrders(UnusableLog):
    """{file}: none of {events} events counts as an order ({action}). Check --kinds, --kind and --order-action."""


class ShortLog(UnusableLog):
    """{file} covers {days:.0f} days, the horizon is {horizon:.0f}: no label would come. Give a shorter --horizon."""


class TooManyRejected(ChurnMonitorError):
    """{rejected} of {lines} lines were rejected, more than {limit:.2%}. They are kept, with reasons, in {file}."""

    exit_code = 3


class ContradictorySettings(ChurnMonitorError):
    """The setting `{name}` cannot be used: it {problem}. {remedy}"""

    exit_code = 2


class UnusableSnapshot(ChurnMonitorError):
    """The model snapshot {source} cannot be used: {problem}. {remedy}"""

    exit_code = 4


class UnusableState(ChurnMonitorError):
    """The stored state of a customer cannot be read: {problem}. {remedy}"""

    exit_code = 4


class BadOption(ChurnMonitorError):
    """{option} cannot be {value!r}. {remedy}"""

    exit_code = 2


class MissingExtra(ChurnMonitorError):
    """`stream-app {command}` needs the package {package}. Install it with: pip install "stream-app[replay]"."""

    exit_code = 2
