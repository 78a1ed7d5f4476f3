"""Arms of the holdout experiment: who is held out of a day's alerts, by the share that applies on that day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.uplift.holdout import NO_ARM, Holdout


@dataclass
class Draws:
    """The draws of the latest experiment so far, which decide the share of the next ones.

    Args:
        experiment: its name; empty if nobody has been drawn yet.
        count: number of customers drawn.
    """

    experiment: str = ""
    count: int = 0

    def assign(self, candidates: Sequence[AlertCandidate], holdout: Holdout) -> list[AlertCandidate]:
        """Return the candidates with their arms. Those who were drawn before, or are exempt, keep theirs.

        The count starts again with another experiment.
        """
        if holdout.share and holdout.experiment != self.experiment:
            self.experiment, self.count = holdout.experiment, 0
        share = holdout.share_after(self.count)
        return [_drawn(one, holdout, share) if _is_new(one) else one for one in candidates]

    def add(self, candidates: Sequence[AlertCandidate], alerts: Sequence[Alert]) -> None:
        """Count the customers who are drawn for the first time.

        Args:
            candidates: as before `assign`.
            alerts: the alerts that open.
        """
        new = {one.customer for one in candidates if _is_new(one)}
        self.count += sum(alert.customer in new for alert in alerts)


def _drawn(candidate: AlertCandidate, holdout: Holdout, share: float) -> AlertCandidate:
    return replace(candidate, arm=holdout.drawn_arm(candidate.customer, share), share=share)


def _is_new(candidate: AlertCandidate) -> bool:
    return candidate.arm != NO_ARM and not candidate.share
