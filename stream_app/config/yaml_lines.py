"""YAML with the line of every value, so that an error can say where it is."""

from __future__ import annotations

from typing import Any

import yaml

from stream_app.config.fields import Place

Lines = dict[Place, int]


class YamlProblemError(ValueError):
    """What is wrong with a text that should be YAML, and in which line (from 1)."""

    def __init__(self, line: int, problem: str, remedy: str) -> None:
        self.line, self.problem, self.remedy = line, problem, remedy
        super().__init__(problem)


def read_yaml(text: str) -> tuple[Any, Lines]:
    r"""The values of a YAML text, and the line of each of them.

    Raises YamlProblemError for what is not YAML, for a name that is given twice, and for tags and anchors that make
    more of a value than it seems.

    >>> read_yaml("channels:\n  team:\n    kind: dingtalk")[1][("channels", "team", "kind")]
    3
    """
    lines: Lines = {}
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            value = _value(loader, node, (), lines) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        remedy = "Mend the line; values with : or # in them need quotes."
        raise YamlProblemError(mark.line + 1 if mark else 1, f"is not YAML: {error.problem}", remedy) from error
    except yaml.YAMLError as error:
        raise YamlProblemError(1, "is not YAML", "Write it in UTF-8, without control characters.") from error
    return value, lines


def _value(loader: yaml.SafeLoader, node: yaml.Node, place: Place, lines: Lines) -> Any:
    """The value of a node; every node inside of it is noted with its line."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, inner in node.value:
            name = str(getattr(key, "value", ""))
            if name in found:
                raise YamlProblemError(key.start_mark.line + 1, f"gives `{name}` twice", "Keep one of them.")
            lines[*place, name] = key.start_mark.line + 1
            found[name] = _value(loader, inner, (*place, name), lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, inner, (*place, str(number)), lines) for number, inner in enumerate(node.value)]
    return loader.construct_object(node)


def line_of(place: Place, lines: Lines) -> int:
    """The line of a value, or of what it should be in."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)
