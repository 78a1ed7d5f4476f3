"""Errors in what the user provides: options, settings, secrets, packages, log files and their mappings."""

from __future__ import annotations

from stream_app.errors.base import ChurnMonitorError, InvalidInput


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


class UnusableLog(InvalidInput):
    """{file}: {problem}. {remedy}"""


class EmptyLog(UnusableLog):
    """{file} contains no events. Check the path, and that the export is complete."""


class NoSuchLog(UnusableLog):
    """{file} cannot be opened: {problem}. Check the path and its permissions."""


class WrongFormat(UnusableLog):
    """{file} is not valid {expected}: {found}. {remedy}"""


class NoSuchColumn(UnusableLog):
    """{file} has no column `{column}` for the field `{field}`. Columns found: {columns}. {remedy}"""


class NothingReadable(UnusableLog):
    """{file}: none of the first {lines} lines is valid; line {line}, field `{field}`: {reason}. {remedy}"""


class NotSorted(ChurnMonitorError):
    """The log cannot be sorted with {memory} of memory and the free space in {folder}: {problem}. Provide more of
    either.
    """


class BadMapping(InvalidInput):
    """Invalid mapping {file}, key `{key}`: {problem}. {remedy}"""


class NoOrders(UnusableLog):
    """{file}: none of {events} events counts as an order ({action}).{unknown} Check --kinds, --kind and
    --order-action.
    """


class ShortLog(UnusableLog):
    """{file} covers {days:.0f} days, less than the horizon of {horizon:.0f} days, so no decision would get a label. Use
    a shorter --horizon.
    """


class TooManyRejected(ChurnMonitorError):
    """{rejected} of {lines} lines were rejected, more than the limit of {limit:.2%}. {file} lists them with reasons."""

    exit_code = 3


class BadPolicy(InvalidInput):
    """{file}, line {line}: {field} {problem}. {remedy}"""
