"""The live system on real servers, for tests and benchmarks: processes of the real command, and what they left."""

from benchmarks.live.outcome import Outcome, outcome_of
from benchmarks.live.replayed import outcome_of_replay
from benchmarks.live.system import LiveSystem, Process

__all__ = ["LiveSystem", "Outcome", "Process", "outcome_of", "outcome_of_replay"]
