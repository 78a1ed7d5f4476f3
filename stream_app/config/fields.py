"""What settings are made of: sections, durations, lists, secrets, and contradictions that name the setting."""

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

SECOND_US: Final = 1_000_000
FOREVER: Final = -1  # as Kafka writes it
Place = tuple[str, ...]  # of a setting: ("kafka", "bootstrap")
_PEM: Final = "Give a file of PEM certificates: it has lines `-----BEGIN CERTIFICATE-----`."


class Section(BaseModel):
    """Settings that belong together. Unknown names are refused, and nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class ContradictionError(ValueError):
    """A setting that cannot be as it is: where (below the section that says so), what, and the remedy."""

    def __init__(self, place: Place, problem: str, remedy: str) -> None:
        self.place, self.problem, self.remedy = place, problem, remedy
        super().__init__(problem)


def _shop_span(value: object) -> object:
    if isinstance(value, str):
        return _read(duration, value)
    # A number in a file is days, as it is in the settings of a replay.
    return round(value * DAY_US) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _machine_span(value: object) -> object:
    # A number would leave open whether it is seconds or milliseconds; one in microseconds comes from our own defaults.
    if not isinstance(value, str):
        raise ContradictionError((), f"is {value!r}, without a unit", "Write 250ms, 10s, 5m or 7d.")
    return _read(short_duration, value)


def _read(parse: Any, text: str) -> int:
    try:
        return int(parse(text))
    except BadOption as error:
        raise ContradictionError((), f"is {text!r}", str(error.facts["remedy"])) from error


def _retention(value: object) -> object:
    return FOREVER if value == "forever" else _machine_span(value)


def _listed(value: object) -> object:
    """A list: as such in a file, with commas between its parts in the environment."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _tables(value: object) -> object:
    """A list of tables: as such in a file, as JSON in the environment."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ContradictionError((), "is not JSON", 'Write [{"name": "…", …}], or use the settings file.') from error


ShopSpan = Annotated[int, BeforeValidator(_shop_span)]  # microseconds; 60d, 36h, 2w
Span = Annotated[int, BeforeValidator(_machine_span)]  # microseconds; 250ms, 10s, 5m, 7d
Retention = Annotated[int, BeforeValidator(_retention)]  # microseconds, or FOREVER
Listed = BeforeValidator(_listed)
Tables = BeforeValidator(_tables)
Positive = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Bytes = Annotated[int, Field(ge=1)]


def setting(default: object, meaning: str, zh: str, **limits: Any) -> Any:
    """A setting with its default and its meaning in both languages."""
    return Field(default, description=meaning, json_schema_extra={"zh": zh}, **limits)


def secret(password: SecretStr | None, file: Path | None) -> str | None:
    """The password itself, or the first line of the file that holds it; None if there is none.

    Raises ContradictionError for a file that cannot be read or is empty.
    """
    if password is not None:
        return password.get_secret_value()
    if file is None:
        return None
    try:
        line = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ContradictionError(("password_file",), f"cannot be read: {error}", "Check the path.") from error
    if not line:
        raise ContradictionError(("password_file",), "has nothing in its first line", "Write the password there.")
    return line


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Return a context for clients: it trusts the certificates in `ca_file`, or else the system's.

    Raises ContradictionError that names the setting of a file that is missing, unreadable or of no use.
    """
    for name, path in {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}.items():
        if path is not None:
            _require_readable(name, path)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ContradictionError(("ca_file",), f"is {str(ca_file)!r}, which holds no certificate", _PEM) from error
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password="")  # without one it would ask on the terminal
        except ssl.SSLError as error:
            problem = f"is {str(cert_file)!r}, which cannot be used with its key ({error.reason or 'no PEM'})"
            remedy = "Give the certificate and its own key, PEM, without a password; key_file names the key."
            raise ContradictionError(("cert_file",), problem, remedy) from error
    return context


def require_tls_files(
    files: tuple[Path | None, Path | None, Path | None], *, encrypted: bool, scheme: str, remedy: str
) -> None:
    """Check the settings `ca_file`, `cert_file` and `key_file` of one server.

    Args:
        files: the three, in this order.
        encrypted: whether the connection is.
        scheme: the protocol that the settings name, for the error.
        remedy: what to write instead of it.

    Raises ContradictionError.
    """
    for name, path in zip(("ca_file", "cert_file", "key_file"), files, strict=True):
        if path is not None and not encrypted:
            raise ContradictionError((name,), f"has no use with {scheme}", remedy)
    _, cert_file, key_file = files
    if key_file is not None and cert_file is None:
        raise ContradictionError(("key_file",), "is given without cert_file", "Give both.")
    if any(files):
        tls_context(*files)


def _require_readable(name: str, path: Path) -> None:
    if not path.is_file():
        raise ContradictionError((name,), f"is {str(path)!r}, and no file is there", "Check the path.")
    try:
        path.open("rb").close()
    except OSError as error:
        problem = f"is {str(path)!r}, which cannot be read: {(error.strerror or str(error)).lower()}"
        raise ContradictionError((name,), problem, "Give the user of the process the right to read it.") from error


def is_section(info: FieldInfo) -> bool:
    """Whether a field holds settings of its own."""
    return isinstance(info.annotation, type) and issubclass(info.annotation, Section)
