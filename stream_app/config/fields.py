"""Building blocks for settings: sections, value types, secrets and TLS files."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from stream_app.core.durations import duration, short_duration
from stream_app.core.units import DAY_US
from stream_app.errors import BadOption

FOREVER: Final = -1  # as in Kafka's retention.ms
Place = tuple[str, ...]  # path of a setting: ("kafka", "bootstrap")
_PEM: Final = "Use a file with PEM certificates (`-----BEGIN CERTIFICATE-----`)."


class Section(BaseModel):
    """A group of settings. It rejects unknown names, and its values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class ContradictionError(ValueError):
    """A setting is invalid. Holds its path relative to the section that raises, the problem and the remedy."""

    def __init__(self, place: Place, problem: str, remedy: str) -> None:
        self.place, self.problem, self.remedy = place, problem, remedy
        super().__init__(problem)


def _shop_span(value: object) -> object:
    if isinstance(value, str):
        return _read(duration, value)
    # A number in a file means days, as in the settings file of a replay.
    return round(value * DAY_US) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _machine_span(value: object) -> object:
    # A bare number is ambiguous: seconds or milliseconds? Defaults are in microseconds and are not validated.
    if not isinstance(value, str):
        raise ContradictionError((), f"is {value!r}, which has no unit", "Use 250ms, 10s, 5m or 7d.")
    return _read(short_duration, value)


def _read(parse: Any, text: str) -> int:
    try:
        return int(parse(text))
    except BadOption as error:
        raise ContradictionError((), f"is {text!r}", str(error.facts["remedy"])) from error


def _retention(value: object) -> object:
    return FOREVER if value == "forever" else _machine_span(value)


def _listed(value: object) -> object:
    """Split a comma-separated list from the environment. A list from a file is returned unchanged."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _tables(value: object) -> object:
    """Parse JSON tables from the environment. Tables from a file are returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ContradictionError((), "is not JSON", 'Use [{"name": "…", …}], or the settings file.') from error


def _listed_or_tables(value: object) -> object:
    return _tables(value) if isinstance(value, str) and value.lstrip().startswith("[") else _listed(value)


ShopSpan = Annotated[int, BeforeValidator(_shop_span)]  # microseconds; 60d, 36h, 2w
Span = Annotated[int, BeforeValidator(_machine_span)]  # microseconds; 250ms, 10s, 5m, 7d
Retention = Annotated[int, BeforeValidator(_retention)]  # microseconds, or FOREVER
Listed = BeforeValidator(_listed)
Tables = BeforeValidator(_tables)
ListedOrTables = BeforeValidator(_listed_or_tables)
Positive = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, Field(ge=1)]


def setting(default: object, meaning: str, zh: str, **limits: Any) -> Any:
    """Return a field with a default and a description in English and Chinese."""
    return Field(default, description=meaning, json_schema_extra={"zh": zh}, **limits)


def secret(password: SecretStr | None, file: Path | None) -> str | None:
    """Return a password or the first line of its file, or None if neither is set.

    Raises ContradictionError if both are set, the file cannot be read, or its first line is empty.
    """
    if password is not None and file is not None:
        raise ContradictionError(("password_file",), "is set together with a password", "Set only one of them.")
    if password is not None:
        return password.get_secret_value()
    if file is None:
        return None
    try:
        line = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ContradictionError(("password_file",), f"cannot be read: {error}", "Check the path.") from error
    if not line:
        raise ContradictionError(("password_file",), "has an empty first line", "Write the password there.")
    return line


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Return a client TLS context that trusts the certificates in `ca_file`, or the system's.

    Raises ContradictionError, which names the setting, if a file is missing, unreadable or invalid.
    """
    for name, path in {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}.items():
        if path is not None:
            _require_readable(name, path)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ContradictionError(("ca_file",), f"is {str(ca_file)!r}, which contains no certificate", _PEM) from error
    if cert_file is not None:
        try:
            context.load_cert_chain(
                cert_file, key_file, password=""
            )  # without a password, OpenSSL would prompt on the terminal
        except ssl.SSLError as error:
            problem = f"is {str(cert_file)!r}, which does not work with its key ({error.reason or 'no PEM'})"
            remedy = "Use a PEM certificate and its matching PEM key in key_file, without a password."
            raise ContradictionError(("cert_file",), problem, remedy) from error
    return context


def require_tls_files(
    files: tuple[Path | None, Path | None, Path | None], *, encrypted: bool, scheme: str, remedy: str
) -> None:
    """Check the settings `ca_file`, `cert_file` and `key_file` of a connection.

    Args:
        files: values of the three settings, in this order.
        encrypted: whether the connection is encrypted.
        scheme: the configured protocol, for the error message.
        remedy: the remedy to show if the connection is not encrypted.

    Raises ContradictionError.
    """
    for name, path in zip(("ca_file", "cert_file", "key_file"), files, strict=True):
        if path is not None and not encrypted:
            raise ContradictionError((name,), f"has no effect with {scheme}", remedy)
    _, cert_file, key_file = files
    if key_file is not None and cert_file is None:
        raise ContradictionError(("key_file",), "is set without cert_file", "Set both.")
    if any(files):
        tls_context(*files)


def _require_readable(name: str, path: Path) -> None:
    if not path.is_file():
        raise ContradictionError((name,), f"is {str(path)!r}, which does not exist", "Check the path.")
    try:
        path.open("rb").close()
    except OSError as error:
        problem = f"is {str(path)!r}, which cannot be read: {(error.strerror or str(error)).lower()}"
        raise ContradictionError((name,), problem, "Give the user of the process permission to read it.") from error


def is_section(info: FieldInfo) -> bool:
    """Return whether a field is a section of settings."""
    return isinstance(info.annotation, type) and issubclass(info.annotation, Section)
