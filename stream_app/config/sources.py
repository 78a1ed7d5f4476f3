"""Reads settings from their sources: the command line, the environment and a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from stream_app.config.fields import Place
from stream_app.errors import BadConfig

PREFIX: Final = "STREAM_APP_"
CONFIG_VARIABLE: Final = "STREAM_APP_CONFIG"  # names the TOML file; not a setting itself
DELIMITER: Final = "__"
_ENVIRONMENT: Final = "environment"


def variable(place: Place) -> str:
    """Return the environment variable of a setting.

    >>> variable(("kafka", "topics", "orders"))
    'STREAM_APP_KAFKA__TOPICS__ORDERS'
    """
    return PREFIX + DELIMITER.join(place).upper()


@dataclass(frozen=True)
class Source:
    """Settings from one source, by path.

    Args:
        label: "command line", "environment", or the path of the file.
        given: the values as the user wrote them.
    """

    label: str
    given: Mapping[Place, object]

    @property
    def is_environment(self) -> bool:
        """Whether names are written as environment variables."""
        return self.label == _ENVIRONMENT

    def name(self, place: Place) -> str:
        """Return the name of a setting as it is written in this source."""
        return f"{variable(place) if self.is_environment else '.'.join(place)} ({self.label})"

    def given_at(self, place: Place) -> Place | None:
        """Return the path in this source that sets a value, which may be a list or table around it, or None."""
        return next((given for given in self.given if place[: len(given)] == given), None)

    def given_under(self, section: Place) -> Place | None:
        """Return the first path that is set inside a section, or None."""
        return next((given for given in self.given if given[: len(section)] == section), None)

    def nested(self) -> dict[str, Any]:
        """Return the values, nested by section. Raises BadConfig if a section and one of its settings are both set."""
        nested: dict[str, Any] = {}
        for place, value in sorted(self.given.items(), key=lambda item: len(item[0])):
            section = nested
            for depth, part in enumerate(place[:-1], 1):
                section = section.setdefault(part, {})
                if not isinstance(section, dict):
                    problem, remedy = "is a section, not a value", "Set its settings one by one."
                    raise BadConfig(name=self.name(place[:depth]), problem=problem, remedy=remedy)
            section[place[-1]] = value
        return nested

    def refuse_secrets(self) -> None:
        """Raise BadConfig if a password is set outside the environment: others can read command lines and files."""
        for place, value in self.given.items():
            in_url = place == ("redis", "url") and isinstance(value, str) and _holds_password(value)
            if not self.is_environment and (place[-1] == "password" or in_url):
                remedy = f"Set {variable((*place[:-1], 'password'))}, or name a file in password_file."
                raise BadConfig(name=self.name(place), problem="is a password that others can read", remedy=remedy)


def from_flags(flags: Mapping[str, object]) -> Source:
    """Return the settings given on the command line by dotted name. A value of None means that it is not set.

    >>> from_flags({"kafka.bootstrap": "kafka:9092", "kafka.group": None}).given
    {('kafka', 'bootstrap'): 'kafka:9092'}
    """
    return Source("command line", {tuple(name.split(".")): one for name, one in flags.items() if one is not None})


def from_environment(environ: Mapping[str, str]) -> Source:
    """Return the settings from environment variables that start with PREFIX. An empty variable counts as not set."""
    ours = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX) and value}
    ours.pop(CONFIG_VARIABLE.removeprefix(PREFIX), None)
    return Source(_ENVIRONMENT, {tuple(name.lower().split(DELIMITER)): value for name, value in ours.items()})


def from_file(path: Path | None) -> Source:
    """Return the settings of a TOML file. Raises BadConfig if it cannot be read."""
    name = f"file {path}"
    try:
        return Source(str(path), dict(_leaves(tomllib.loads(path.read_text(encoding="utf-8")) if path else {})))
    except OSError as error:
        raise BadConfig(name=name, problem=f"cannot be opened: {error.strerror}", remedy="Check the path.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = "Correct the line; docs/reference/settings.md has an example."
        raise BadConfig(name=name, problem=f"is not TOML: {error}", remedy=remedy) from error


def merged(sources: Sequence[Source]) -> dict[str, Any]:
    """Merge the values of all sources, nested by section. Earlier sources override later ones."""
    return reduce(_overlaid, [source.nested() for source in reversed(sources)])


def _overlaid(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    both = {name: (lower.get(name), value) for name, value in upper.items()}
    return lower | {
        name: _overlaid(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
        for name, (old, new) in both.items()
    }


def _leaves(table: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _holds_password(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return "@" in url
