"""References to secrets: `env:NAME` or `file:PATH`. Settings files never contain the secrets themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from stream_app.config.fields import ContradictionError

_REFERENCE: Final = re.compile(r"env:[A-Za-z_]\w*|file:.+")
_REMEDY: Final = "Put the secret into the environment or a separate file, and write env:NAME or file:PATH here."


def _reference(text: str) -> str:
    if not is_reference(text):
        raise ContradictionError((), "contains a secret that others can read", _REMEDY)
    return text


Reference = Annotated[str, AfterValidator(_reference)]


def is_reference(text: str) -> bool:
    """Return whether a text has the form of a reference to a secret.

    >>> is_reference("env:DINGTALK_URL"), is_reference("https://oapi.dingtalk.com/robot/send?access_token=1")
    (True, False)
    """
    return _REFERENCE.fullmatch(text) is not None


def resolved(reference: str, environ: Mapping[str, str]) -> str:
    """Return the secret to which a reference points. Raises ContradictionError, whose text never contains the secret.

    >>> resolved("env:TOKEN", {"TOKEN": "t"})
    't'
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = environ.get(name, "").strip()
        if not value:
            problem = f"names the environment variable {name}, which is not set"
            raise ContradictionError((), problem, "Set it in the environment of this process.")
        return value
    try:
        line = Path(name).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"names the file {name}, which cannot be read"
        raise ContradictionError((), problem, "Check the path and its permissions.") from error
    if not line:
        raise ContradictionError((), f"names the file {name}, which is empty", "Write the secret in its first line.")
    return line
