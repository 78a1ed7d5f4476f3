"""YAML nodes with typed access, whose errors state the file, line, field and remedy."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final, NoReturn

import yaml

from stream_app.config.yaml_nodes import YamlProblemError, read_yaml
from stream_app.errors import BadPlaybook

_SCALARS: Final = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}


class Node:
    """A node of a YAML file.

    Args:
        file: name of the file, for errors.
        field: path to the node, such as causes.price.default.
        node: the PyYAML node.
    """

    def __init__(self, file: str, field: str, node: yaml.Node) -> None:
        self.file, self.field, self._node = file, field, node

    def refuse(self, problem: str, remedy: str) -> NoReturn:
        """Raise BadPlaybook for this node."""
        raise BadPlaybook(
            file=self.file,
            line=self._node.start_mark.line + 1,
            field=self.field or "the file",
            problem=problem,
            remedy=remedy,
        )

    def entries(self, allowed: Collection[str], what: str) -> dict[str, Node]:
        """Return the entries of a mapping. Raise BadPlaybook if a name is not allowed; `what` describes names."""
        if not isinstance(self._node, yaml.MappingNode):
            self.refuse(f"it is {self._kind()}", f"Write names with values, like `{next(iter(allowed))}: ...`.")
        found: dict[str, Node] = {}
        for key, value in self._node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            here = Node(self.file, f"{self.field}.{name}".lstrip("."), value)
            at_key = Node(self.file, here.field, key)
            if name not in allowed:
                at_key.refuse(f"no such {what}", f"Use one of: {', '.join(allowed)}.")
            found[name] = here
        return found

    def items(self) -> list[Node]:
        """Return the items of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.refuse(f"it is {self._kind()}", "Write a list with one item per line, each starting with `- `.")
        return [Node(self.file, f"{self.field}[{place}]", node) for place, node in enumerate(self._node.value)]

    def text(self, max_length: int) -> str:
        """Return a non-empty text as one line."""
        value = self._scalar("str")
        if not value.strip():
            self.refuse("it is empty", "Write a text, or remove the entry.")
        if len(value) > max_length:
            self.refuse(f"it has {len(value)} characters", f"Use at most {max_length}.")
        return " ".join(value.split())

    def word(self, allowed: Collection[str]) -> str:
        """Return a text that must be one of the allowed words."""
        value = self._scalar("str")
        if value not in allowed:
            self.refuse(f"`{value}` is not a valid value", f"Use one of: {', '.join(allowed)}.")
        return value

    def number(self, least: float, most: float) -> float:
        """Return a number within bounds."""
        try:
            value = float(self._scalar("int", "float"))
        except ValueError:  # YAML also accepts other notations: 0x10, 1_000, .nan
            self.refuse("it is not a plain number", f"Use a number from {least:g} to {most:g}, in decimal digits.")
        if not least <= value <= most:
            self.refuse(f"{value:g} is out of range", f"Use a number from {least:g} to {most:g}.")
        return value

    def _scalar(self, *kinds: str) -> str:
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag.rpartition(":")[2] not in kinds:
            quotes = " Put it in quotes." if isinstance(self._node, yaml.ScalarNode) and "str" in kinds else ""
            self.refuse(f"it is {self._kind()}", f"Write {_SCALARS[kinds[0]]}.{quotes}")
        return str(self._node.value)

    def _kind(self) -> str:
        if isinstance(self._node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self._node, yaml.SequenceNode):
            return "a list"
        return _SCALARS.get(self._node.tag.rpartition(":")[2], "something else")


def read_playbook(path: Path, name: str | None = None) -> Node:
    """Return the root node of a playbook file. Raises BadPlaybook.

    Args:
        path: path of the file.
        name: name of the file in errors; by default its path.
    """
    file = name or str(path)
    try:
        root = read_yaml(path)
    except YamlProblemError as error:
        raise BadPlaybook(
            file=file,
            line=error.line,
            field=error.field or "the file",
            problem=f"it {error.problem}",
            remedy=error.remedy,
        ) from error
    if root is None:
        raise BadPlaybook(file=file, line=1, field="the file", problem="it is empty", remedy="Start with `causes:`.")
    return Node(file, "", root)
