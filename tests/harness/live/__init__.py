"""The live system on real servers, for tests and benchmarks: processes of the real command, and what they left."""

from tests.harness.live.outcome import Outcome, outcome_of
from tests.harness.live.replayed import outcome_of_replay
from tests.harness.live.system import LiveSystem, Process

__all__ = ["LiveSystem", "Outcome", "Process", "outcome_of", "outcome_of_replay"]
