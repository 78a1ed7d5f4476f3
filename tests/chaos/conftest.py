"""What the tests of crashes share."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Shows a figure that was measured, though the test passes."""

    def write(figure: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{figure}")

    return write
