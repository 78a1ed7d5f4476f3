"""Fixtures of the chaos tests."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measured figure even if the test passes."""

    def write(figure: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{figure}")

    return write
