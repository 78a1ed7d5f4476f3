"""What all tests share: the recorded logs, the slow tests, and how hard hypothesis tries."""

from __future__ import annotations

import gc
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

# Before numpy is imported by anything: on more threads, sums of floating-point numbers come out in another order.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import hypothesis  # noqa: E402 - after the variables above
import pytest  # noqa: E402
import redis  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

from tests.harness.servers import KafkaServer, Missing, RedisServer, Server  # noqa: E402

PROJECT = Path(__file__).resolve().parents[1]
ServerT = TypeVar("ServerT", bound=Server)
# Several workers may run the tests of a file if they share no costly fixture, or one for each parameter.
_APART = {
    "acceptance/test_live_identity.py",
    "chaos/test_delivery_kills.py",
    "chaos/test_kills.py",
    "integration/test_deliver.py",
    "integration/test_episodes.py",
    "integration/test_foreign_records.py",
    "integration/test_outgoing.py",
    "integration/test_signed_model.py",
    "integration/test_store_loss.py",
    "integration/test_topic_identity.py",
    "integration/test_unreadable.py",
    "integration/test_worker.py",
    "unit/adapters/kafka/test_batches.py",
    "unit/core/partition/test_task.py",
    "unit/ingest/test_recorded_logs.py",
}
_APART_BY_PARAMETER = {"acceptance/test_recorded_logs.py"}
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


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist ships no types
    """Gives the tests of a file to one worker, since they share its fixtures, unless they are known to share none."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        file = path.removeprefix("tests/")
        if file in _APART:
            return nodeid
        return path + test[test.rfind("[") :] if file in _APART_BY_PARAMETER else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    if gone := [file for file in _APART | _APART_BY_PARAMETER if not (PROJECT / "tests" / file).exists()]:
        raise pytest.UsageError(f"tests/conftest.py names files that do not exist: {', '.join(sorted(gone))}")
    return Scheduler(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped, one line per reason, and what was measured."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section("what was skipped, and why")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4} {'test' if count == 1 else 'tests'}: {reason}")
    for report in [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]:
        for name, figure in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"{report.nodeid}: {figure}")


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


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """A real Kafka broker for the whole run: its address, "127.0.0.1:port". Tests make their own topics and groups."""
    with _running(KafkaServer()) as server:
        yield server.bootstrap
        gc.collect()  # a client that is left in a reference cycle reports the end of the broker behind pytest's result


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis for the whole run: its address, "redis://127.0.0.1:port/0". It keeps what earlier tests wrote."""
    with _running(RedisServer()) as server:
        yield server.url


@pytest.fixture
def fresh_redis(redis_url: str) -> str:
    """The real Redis, emptied before the test."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@contextmanager
def _running(server: ServerT) -> Iterator[ServerT]:
    """The server, started, for as long as the block lasts."""
    with closing(server):
        try:
            server.start()
        except Missing as absent:
            missing(str(absent))
        yield server


def missing(what: str) -> None:
    """A need of a test that is not there: a reason to skip on a developer's machine, a failure in CI."""
    if IN_CI:
        pytest.fail(f"in CI this must be there: {what}", pytrace=False)
    pytest.skip(what)
