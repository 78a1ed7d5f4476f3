"""Random secrets for a new installation, which therefore needs no default passwords."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

from stream_app.errors import BadSecret
from stream_app.notifications.webhook_signature import PREFIX

FORMS: Final = ("webhook", "password")
_BYTES: Final = 32
_OWNER_ONLY: Final = 0o400
_ALL_USERS: Final = 0o444


def new_secret(form: str) -> str:
    """Return a new secret in one of FORMS.

    >>> new_secret("webhook")[:6], len(new_secret("password"))
    ('whsec_', 43)
    """
    random = secrets.token_bytes(_BYTES)
    if form == "webhook":
        return PREFIX + base64.b64encode(random).decode("ascii")
    return base64.urlsafe_b64encode(random).decode("ascii").rstrip("=")


def write_missing(path: Path, form: str, *, shared: bool) -> bool:
    """Write a new secret unless the file exists. Return whether it was written. Raise BadSecret.

    Args:
        path: path of the file; its folder is created.
        form: one of FORMS.
        shared: whether all users may read the file, for volumes that are mounted only into its readers.
    """
    mode = _ALL_USERS if shared else _OWNER_ONLY
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Write under another name first: a killed process must not leave an incomplete secret.
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="ascii") as file:
            file.write(new_secret(form))
        fresh.chmod(mode)
        try:
            os.link(fresh, path)  # fails if the file exists, even if another process has just created it
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise BadSecret(source=str(path), problem=problem, remedy="Check the path.") from error
    return True
