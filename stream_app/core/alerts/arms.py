"""Arms of the holdout experiment: who is held out of a day's alerts, by the share that applies on that day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.uplift.holdout import NO_ARM, Holdout


@dataclass
class Draws:
    """The draws of an experiment so far, which decide the share of the next ones.

    Args:
        holdout: the experiment.
        count: number of customers drawn.
    """

    holdout: Holdout
    count: int = 0

    def assign(self, candidates: Sequence[AlertCandidate]) -> list[AlertCandidate]:
        """Return the candidates with their arms. Those who were drawn before, or are exempt, keep theirs."""
        share = self.holdout.share_after(self.count)
        return [self._drawn(one, share) if _is_new(one) else one for one in candidates]

    def _drawn(self, candidate: AlertCandidate, share: float) -> AlertCandidate:
        return replace(candidate, arm=self.holdout.drawn_arm(candidate.customer, share), share=share)

    def add(self, candidates: Sequence[AlertCandidate], alerts: Sequence[Alert]) -> None:
        """Count the customers who are drawn for the first time.

        Args:
            candidates: as before `assign`.
            alerts: the alerts that open.
        """
        new = {one.customer for one in candidates if _is_new(one)}
        self.count += sum(alert.customer in new for alert in alerts)


def _is_new(candidate: AlertCandidate) -> bool:
    return candidate.arm != NO_ARM and not candidate.share
