"""What the tests of crashes share."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Shows a figure that was measured at the end of the run, though the test passes."""
    return lambda figure: record_property("figure", figure)
