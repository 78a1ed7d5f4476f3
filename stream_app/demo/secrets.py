"""New secrets, drawn by chance, for an installation that has none yet: so no password needs to be a known one."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

from stream_app.errors import BadSecret
from stream_app.notifications.channels.webhook import PREFIX

FORMS: Final = ("webhook", "password")
_BYTES: Final = 32
_OWNER_ONLY: Final = 0o400
_EVERYBODY: Final = 0o444


def new_secret(form: str) -> str:
    """A secret of one of FORMS.

    >>> new_secret("webhook")[:6], len(new_secret("password"))
    ('whsec_', 43)
    """
    drawn = secrets.token_bytes(_BYTES)
    if form == "webhook":
        return PREFIX + base64.b64encode(drawn).decode("ascii")
    return base64.urlsafe_b64encode(drawn).decode("ascii").rstrip("=")


def write_missing(path: Path, form: str, *, shared: bool) -> bool:
    """Write a new secret unless the file is there; returns whether it was written. Raises BadSecret.

    Args:
        path: of the file; its folder is made.
        form: one of FORMS.
        shared: whether all users may read the file, not its owner alone: in a volume that only its readers have.
    """
    mode = _EVERYBODY if shared else _OWNER_ONLY
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never there half written: a start that was killed leaves no file that counts as one.
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="ascii") as file:
            file.write(new_secret(form))
        fresh.chmod(mode)
        try:
            os.link(fresh, path)  # fails where there is one, also if it came a moment ago
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
    except OSError as error:
        raise BadSecret(source=str(path), problem=f"cannot be written: {error.strerror}", remedy="Check it.") from error
    return True
