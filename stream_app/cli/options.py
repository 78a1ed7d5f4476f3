"""Options that several commands share, and parsers for their values."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from stream_app.config import LiveConfig, load_config
from stream_app.errors import BadOption

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings. Default: $STREAM_APP_CONFIG.")
]
BootstrapOption = Annotated[
    str | None, typer.Option("--bootstrap", metavar="HOST:PORT", help="Kafka broker. Default: setting kafka.bootstrap.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Override a setting (docs/reference/settings.md). Repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
LangOption = Annotated[str, typer.Option("--lang", help="Language: en or zh. Default: from the environment.")]
LogsArgument = Annotated[
    list[str], typer.Argument(metavar="LOG...", help="Log files or folders, or - for standard input.")
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format", help="jsonl, parquet, csv, or the name or path of a mapping (docs/reference/mappings.md)."
    ),
]
ColumnsOption = Annotated[
    list[str] | None, typer.Option(help="Columns for the fields, e.g. customer_id=cust,occurred_at=date.")
]
KindsOption = Annotated[
    list[str] | None, typer.Option(help="Map values in the log to event types, e.g. click=browsing,buy=order.")
]
KindOption = Annotated[str | None, typer.Option(help="Event type of every line, for logs of a single type.")]


def load_settings(config: Path | None, bootstrap: str | None = None, given: list[str] | None = None) -> LiveConfig:
    """Load the service settings, overridden by options. Raises BadOption or BadConfig."""
    return load_config(config, {"kafka.bootstrap": bootstrap, **overrides(given)})


def share(text: str) -> float:
    """Parse a fraction between 0 and 1, which may be written as a percentage.

    >>> share("1%"), share("0.05")
    (0.01, 0.05)
    """
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise BadOption(option="a fraction", value=text, remedy="Use a form like 1% or 0.01.")
    return value


def pairs(texts: list[str] | None) -> dict[str, str]:
    """Parse pairs of the form `name=value`, which may be separated by commas.

    >>> pairs(["customer_id=cust,occurred_at=date"])
    {'customer_id': 'cust', 'occurred_at': 'date'}
    """
    parts = [part for text in texts or [] for part in text.split(",")]
    return dict(_pair("--columns or --kinds", part, "name=value,name=value") for part in parts)


def overrides(texts: list[str] | None) -> dict[str, str]:
    """Parse the settings given with `--set`.

    >>> overrides(["worker.instance=w2", "kafka.bootstrap=a:1,b:2"])
    {'worker.instance': 'w2', 'kafka.bootstrap': 'a:1,b:2'}
    """
    return dict(_pair("--set", text, "NAME=VALUE, such as worker.instance=w2", empty=True) for text in texts or [])


def language(given: str = "") -> str:
    """Return the chosen language (en or zh), or the environment's language if none is given."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return one_of("--lang", given or ("zh" if locale.lower().startswith("zh") else "en"), ("en", "zh"))


def one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    """Return a value if it is allowed; otherwise raise BadOption, which suggests the closest allowed value.

    >>> one_of("--lang", "en", ("en", "zh"))
    'en'
    >>> one_of("CAUSE", "prices", ("price", "quality"))
    Traceback (most recent call last):
    stream_app.errors.BadOption: Invalid value 'prices' for CAUSE. Did you mean price? Use price or quality.
    """
    if value not in allowed:
        close = difflib.get_close_matches(value.lower(), allowed, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        *others, last = allowed
        remedy = f"{meant}Use {', '.join(others)} or {last}."
        raise BadOption(option=option, value=value, remedy=remedy)
    return value


def _pair(option: str, text: str, form: str, *, empty: bool = False) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not (value.strip() or empty):
        raise BadOption(option=option, value=text, remedy=f"Use {form}.")
    return name.strip(), value.strip()
