"""Fixtures and options of all tests: recorded logs, servers, slow tests, profiles of hypothesis."""

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

# Before numpy is imported: with more threads, floating-point sums are added in another order.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import hypothesis  # noqa: E402 - after the variables above
import pytest  # noqa: E402
import redis  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

from tests.harness.servers import KafkaServer, Missing, RedisServer, Server  # noqa: E402

PROJECT = Path(__file__).resolve().parents[1]
ServerT = TypeVar("ServerT", bound=Server)
# Files whose tests share no costly fixture, or one per parameter: several workers may run them.
_APART = {
    "acceptance/test_live_identity.py",
    "chaos/test_crash_mid_batch.py",
    "chaos/test_crash_mid_delivery.py",
    "integration/test_alert_commands.py",
    "integration/test_foreign_records.py",
    "integration/test_model_signature.py",
    "integration/test_notifier.py",
    "integration/test_outgoing_records.py",
    "integration/test_recreated_topics.py",
    "integration/test_redis_data_loss.py",
    "integration/test_unreadable_batches.py",
    "integration/test_worker.py",
    "unit/adapters/kafka/test_batches.py",
    "unit/core/partition/test_task.py",
    "unit/ingest/test_recorded_logs.py",
}
_APART_BY_PARAMETER = {"acceptance/test_recorded_logs.py"}
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# CI uses the same examples in every run, so that a failure repeats; a developer's machine uses new ones.
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
    """Assigns all tests of a file to one worker, since they share fixtures, except for the files listed above."""

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
    """Print skipped tests, one line per reason, and measured figures."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section("skipped tests")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4} {'test' if count == 1 else 'tests'}: {reason}")
    for report in [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]:
        for name, figure in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"{report.nodeid}: {figure}")


@pytest.fixture(scope="session")
def project() -> Path:
    """Provide the project's root folder."""
    return PROJECT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Provide the folder of recorded logs: $CHURN_DATA, or ../shared/data."""
    folder = Path(os.environ.get("CHURN_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        missing(f"no recorded logs in {folder}: set CHURN_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def judge(data_dir: Path) -> ModuleType:
    """Provide the independent judge of predictions, a script beside the recorded logs."""
    return _tool(data_dir, "judge")


@pytest.fixture(scope="session")
def judge_calls(data_dir: Path) -> ModuleType:
    """Provide the independent judge of calls, a script beside the recorded logs."""
    return _tool(data_dir, "judge_calls")


def _tool(data_dir: Path, name: str) -> ModuleType:
    path = data_dir.parent / "tools" / f"{name}.py"
    if not path.exists():
        missing(f"no script at {path}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Provide the address of a Kafka broker for the whole run: "127.0.0.1:port". Tests use topics of their own."""
    with _running(KafkaServer()) as server:
        yield server.bootstrap
        gc.collect()  # a client in a reference cycle would report the end of the broker after pytest's result


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Provide the URL of a Redis for the whole run: "redis://127.0.0.1:port/0". Keys of other tests stay."""
    with _running(RedisServer()) as server:
        yield server.url


@pytest.fixture
def fresh_redis(redis_url: str) -> str:
    """Provide the URL of the Redis, emptied before the test."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@contextmanager
def _running(server: ServerT) -> Iterator[ServerT]:
    """Run a server during the block."""
    with closing(server):
        try:
            server.start()
        except Missing as absent:
            missing(str(absent))
        yield server


def missing(what: str) -> None:
    """Skip the test because something it needs is missing; fail in CI."""
    if IN_CI:
        pytest.fail(f"missing in CI: {what}", pytrace=False)
    pytest.skip(what)
