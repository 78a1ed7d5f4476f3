"""The live system on real servers, for tests and benchmarks: processes of the real command, and what they left."""

from tests.harness.processes.outcome import Outcome, outcome_of
from tests.harness.processes.replay_outcome import outcome_of_replay
from tests.harness.processes.live_system import LiveSystem, Process

__all__ = ["LiveSystem", "Outcome", "Process", "outcome_of", "outcome_of_replay"]
