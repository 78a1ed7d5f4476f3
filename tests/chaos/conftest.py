"""Fixtures of the chaos tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Show a measured figure at the end of the run, even if the test passes."""
    return lambda figure: record_property("figure", figure)
