"""Real servers and processes of the real command, for tests and benchmarks, and the outcome that they leave behind."""

from tests.harness.processes.live_system import LiveSystem
from tests.harness.processes.outcome import Outcome, outcome_of
from tests.harness.processes.replay_outcome import outcome_of_replay
from tests.harness.servers.process import Process

__all__ = ["LiveSystem", "Outcome", "Process", "outcome_of", "outcome_of_replay"]
