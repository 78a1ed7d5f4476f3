"""What all tests share: the recorded logs, the slow tests, and how hard hypothesis tries."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

# Before numpy is imported by anything: on more threads, sums of floating-point numbers come out in another order.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import hypothesis  # noqa: E402 - after the variables above
import pytest  # noqa: E402

PROJECT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# The same examples in every run of CI, so that a red run is red again; fresh ones on a developer's machine.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True, max_examples=100)
hypothesis.settings.register_profile("local", deadline=None, max_examples=50)
hypothesis.settings.load_profile("ci" if IN_CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "data_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.data)
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return PROJECT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of recorded logs, read in place: $CHURN_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("CHURN_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        missing(f"no recorded logs in {folder}: set CHURN_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def judge(data_dir: Path) -> ModuleType:
    """The independent judge of predictions, which lies beside the recorded logs."""
    path = data_dir.parent / "tools" / "judge.py"
    if not path.exists():
        missing(f"the judge of predictions: {path}")
    spec = importlib.util.spec_from_file_location("judge", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def missing(what: str) -> None:
    """A need of a test that is not there: a reason to skip on a developer's machine, a failure in CI."""
    if IN_CI:
        pytest.fail(f"in CI this must be there: {what}", pytrace=False)
    pytest.skip(what)
