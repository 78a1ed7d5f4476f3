"""Where settings come from: the command line, the environment, a file. Each knows how the user wrote a setting."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from stream_app.config.fields import Place
from stream_app.errors import BadConfig

PREFIX: Final = "STREAM_APP_"
CONFIG_VARIABLE: Final = "STREAM_APP_CONFIG"  # names the file, and is no setting itself
DELIMITER: Final = "__"


def variable(place: Place) -> str:
    """The environment variable of a setting.

    >>> variable(("kafka", "topics", "orders"))
    'STREAM_APP_KAFKA__TOPICS__ORDERS'
    """
    return PREFIX + DELIMITER.join(place).upper()


class Layer(PydanticBaseSettingsSource):
    """Settings that were given in one way, by their places."""

    secrets_allowed = False

    def __init__(self, settings_cls: type[BaseSettings], given: Mapping[Place, object]) -> None:
        super().__init__(settings_cls)
        self._given = dict(given)
        self._refuse_secrets()

    def name(self, place: Place) -> str:
        """A setting as the user wrote it here."""
        raise NotImplementedError

    def given(self, place: Place) -> Place | None:
        """The setting of a place as it was given here: a part of a list belongs to the list; None: it was not."""
        return next((given for given in self._given if place[: len(given)] == given), None)

    def under(self, place: Place) -> Place | None:
        """The first setting that was given here in a section; None: none was."""
        return next((given for given in self._given if given[: len(place)] == place), None)

    def __call__(self) -> dict[str, Any]:
        """All that was given, nested by sections."""
        nested: dict[str, Any] = {}
        for place, value in sorted(self._given.items(), key=lambda item: len(item[0])):
            section = nested
            for depth, part in enumerate(place[:-1], 1):
                section = section.setdefault(part, {})
                if not isinstance(section, dict):
                    remedy = "Give its settings one by one."
                    raise BadConfig(name=self.name(place[:depth]), problem="is a section and no value", remedy=remedy)
            section[place[-1]] = value
        return nested

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic's
        """One section; part of the interface of pydantic-settings."""
        return self().get(field_name), field_name, True

    def _refuse_secrets(self) -> None:
        """A password on the command line is seen by every user of the machine, one in the file by its every reader."""
        for place, value in self._given.items():
            inside = place == ("redis", "url") and isinstance(value, str) and _holds_password(value)
            if not self.secrets_allowed and (place[-1] == "password" or inside):
                remedy = f"Set {variable((*place[:-1], 'password'))}, or name a file of its own in password_file."
                raise BadConfig(name=self.name(place), problem="is a password where others can read it", remedy=remedy)


class Flags(Layer):
    """The command line."""

    @classmethod
    def of(cls, settings_cls: type[BaseSettings], flags: Mapping[str, object]) -> Flags:
        """Flags by dotted names, `{"kafka.bootstrap": "kafka:9092"}`; None: not given."""
        return cls(settings_cls, {tuple(name.split(".")): value for name, value in flags.items() if value is not None})

    def name(self, place: Place) -> str:
        """A setting as the user wrote it here."""
        return f"{'.'.join(place)} (command line)"


class Environment(Layer):
    """The environment: STREAM_APP_SECTION__NAME. An empty variable is as good as none."""

    secrets_allowed = True

    @classmethod
    def of(cls, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> Environment:
        """The variables that are ours."""
        ours = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
        ours.pop(CONFIG_VARIABLE, None)
        split = {tuple(name.removeprefix(PREFIX).lower().split(DELIMITER)): value for name, value in ours.items()}
        return cls(settings_cls, split)

    def name(self, place: Place) -> str:
        """A setting as the user wrote it here."""
        return f"{variable(place)} (environment)"


class File(Layer):
    """A TOML file."""

    def __init__(self, settings_cls: type[BaseSettings], given: Mapping[Place, object], path: Path | None) -> None:
        self._path = path
        super().__init__(settings_cls, given)

    @classmethod
    def of(cls, settings_cls: type[BaseSettings], path: Path | None) -> File:
        """The file's settings; none without a file. Raises BadConfig if it cannot be read."""
        return cls(settings_cls, dict(_leaves(_read(path))) if path else {}, path)

    def name(self, place: Place) -> str:
        """A setting as the user wrote it here."""
        return f"{'.'.join(place)} ({self._path})"


def _read(path: Path) -> dict[str, Any]:
    name = f"file {path}"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(name=name, problem=f"cannot be opened: {error.strerror}", remedy="Check the path.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(
            name=name, problem=f"is not TOML: {error}", remedy="Mend the line, or see docs/settings.md."
        ) from error


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
