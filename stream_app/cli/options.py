"""What is written on the command line: durations, shares, lists of pairs, and the settings file."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from stream_app.core.durations import duration
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.errors import BadOption

_FEW: Final = 4  # choices that are told with `or` between them
_DURATIONS: Final = (
    "horizon",
    "active_window",
    "decide_every",
    "lateness",
    "lost_after",
    "alert_lifetime",
    "agreement",
)


def share(text: str) -> float:
    """A share between 0 and 1, also in per cent.

    >>> share("1%"), share("0.05")
    (0.01, 0.05)
    """
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise BadOption(option="a share", value=text, remedy="Write 1% or 0.01.")
    return value


def pairs(texts: list[str] | None) -> dict[str, str]:
    """Pairs `name=value`, several with commas between them.

    >>> pairs(["customer_id=cust,occurred_at=date"])
    {'customer_id': 'cust', 'occurred_at': 'date'}
    """
    found: dict[str, str] = {}
    for part in (part for text in texts or [] for part in text.split(",")):
        name, separator, value = part.partition("=")
        if not separator or not name.strip() or not value.strip():
            raise BadOption(option="--columns or --kinds", value=part, remedy="Write name=value,name=value.")
        found[name.strip()] = value.strip()
    return found


def settings_given(texts: list[str] | None) -> dict[str, str]:
    """Settings given one by one on the command line.

    >>> settings_given(["worker.instance=w2", "kafka.bootstrap=a:1,b:2"])
    {'worker.instance': 'w2', 'kafka.bootstrap': 'a:1,b:2'}
    """
    found = {}
    for text in texts or []:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise BadOption(option="--set", value=text, remedy="Write NAME=VALUE, like worker.instance=w2.")
        found[name.strip()] = value.strip()
    return found


def read_settings(path: Path | None, given: dict[str, Any]) -> Settings:
    """The settings of a file, with those that were given on the command line over them.

    The file is TOML with the names of Settings; durations as on the command line. Raises BadOption.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            remedy = f"It cannot be opened: {error.strerror}. Check the path."
            raise BadOption(option="--settings", value=str(path), remedy=remedy) from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadOption(option="--settings", value=str(path), remedy=f"It is not TOML: {error}.") from error
    for name in _DURATIONS:
        if isinstance(values.get(name), str):
            values[name] = duration(values[name])
        elif isinstance(values.get(name), int | float):
            values[name] = round(values[name] * DAY_US)
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise BadOption(option="--settings", value=str(path), remedy=f"{error}.") from error


def language() -> str:
    """The language of the user's environment, en or zh."""
    said = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if said.lower().startswith("zh") else "en"


def one_of(option: str, value: str, *allowed: str) -> str:
    """A value that must be one of a few; raises BadOption, which names the one that may have been meant.

    >>> one_of("--lang", "en", "en", "zh")
    'en'
    >>> one_of("CAUSE", "prices", "price", "quality")
    Traceback (most recent call last):
    stream_app.errors.BadOption: CAUSE cannot be 'prices'. Did you mean price? Give price or quality.
    """
    if value not in allowed:
        close = difflib.get_close_matches(value.lower(), allowed, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        *others, last = allowed
        few = " or ".join(allowed) if len(allowed) <= _FEW else f"{', '.join(others)} or {last}"
        raise BadOption(option=option, value=value, remedy=f"{meant}Give {few}.")
    return value
