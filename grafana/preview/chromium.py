"""Headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium(*arguments: str) -> str:
    """Run Chromium, and return its output. Raise FileNotFoundError if it is not installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise FileNotFoundError(f"Chromium is not installed: none of {', '.join(NAMES)} is on the PATH")
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        command = [found, *options, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603
    return done.stdout
