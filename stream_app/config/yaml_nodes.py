"""Reads YAML files and keeps the line number of every value, for use in error messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor

from stream_app.config.fields import Place

MAX_BYTES: Final = 1_000_000
Lines = dict[Place, int]


class YamlProblemError(ValueError):
    """A file cannot be read as YAML. Holds the line (from 1), the field if known, the problem and the remedy."""

    def __init__(self, line: int, problem: str, remedy: str, field: str = "") -> None:
        self.line, self.problem, self.remedy, self.field = line, problem, remedy, field
        super().__init__(problem)


def read_yaml(path: Path) -> yaml.Node | None:
    """Return the root node of a YAML file, or None if the file is empty. Tags are never executed.

    Raises YamlProblemError if the file cannot be opened, is not UTF-8 or not YAML, is too large, repeats a key, or uses
    an alias for a list or mapping: a few nested aliases can expand to billions of values.
    """
    try:
        text = path.read_bytes()[: MAX_BYTES + 1].decode("utf-8")
    except OSError as error:
        raise YamlProblemError(1, f"cannot be opened: {error.strerror}", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise YamlProblemError(1, "is not UTF-8", "Save it as UTF-8.") from error
    if len(text) > MAX_BYTES:
        raise YamlProblemError(1, "is too large", "Keep it below 1 MB.")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _check_keys(root, (), set())
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(error) from error
    return root


def values_of(root: yaml.Node | None) -> tuple[Any, Lines]:
    r"""Return the values of a YAML file and the line of each value. Raises YamlProblemError for an unknown tag.

    >>> root = yaml.compose("channels:\n  team:\n    kind: dingtalk")
    >>> values, lines = values_of(root)
    >>> values["channels"]["team"], lines["channels", "team", "kind"]
    ({'kind': 'dingtalk'}, 3)
    """
    lines: Lines = {}
    try:
        return (None if root is None else _value(root, (), lines)), lines
    except (yaml.YAMLError, ValueError) as error:
        raise _not_yaml(error) from error


def line_of(place: Place, lines: Lines) -> int:
    """Return the line of a value or, if unknown, of the innermost section around it."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def path_of(place: Place) -> str:
    """Return the path of a value as text.

    >>> path_of(("causes", "price", "vip", "steps", "0", "zh"))
    'causes.price.vip.steps[0].zh'
    """
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in place).removeprefix(".")


def _not_yaml(error: Exception) -> YamlProblemError:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    remedy = "Check the indentation, and quote values that contain `: ` or `#`."
    return YamlProblemError(mark.line + 1 if mark else 1, f"is not YAML: {problem or type(error).__name__}", remedy)


def _check_keys(node: yaml.Node | None, place: Place, seen: set[int]) -> None:
    if not isinstance(node, yaml.CollectionNode):
        return
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise YamlProblemError(line, "is used again by an alias", "Write the values out.", path_of(place))
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _check_keys(item, (*place, str(number)), seen)
        return
    names = set()
    for key, value in node.value:
        here = (*place, str(key.value))
        if here in names:
            raise YamlProblemError(key.start_mark.line + 1, "is given twice", "Keep one of them.", path_of(here))
        names.add(here)
        _check_keys(value, here, seen)


def _value(node: yaml.Node, place: Place, lines: Lines) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            lines[*place, str(key.value)] = key.start_mark.line + 1
        return {str(key.value): _value(value, (*place, str(key.value)), lines) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, str(number)), lines) for number, item in enumerate(node.value)]
    return SafeConstructor().construct_object(node)
