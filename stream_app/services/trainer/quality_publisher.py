"""Exports model quality as metrics, computed in small steps after each training round."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.training.quality import WINDOWS, Quality
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import NEVER, SECOND_US
from stream_app.metrics.labels import BOUNDS
from stream_app.metrics.trainer import QualityMetrics

_DAY: Final = 86_400.0  # seconds
_FIGURES: Final = ("auc", "log_loss", "brier", "calibration_error", "lift", "precision")
_Values = dict[tuple[str, ...], float]


class QualityPublisher:
    """Publishes the metrics of model quality.

    Call `update` twice per second; each call evaluates at most one scorer in one window. A full pass takes a few
    seconds and starts after a training round.

    Args:
        metrics: metrics to set.
    """

    def __init__(self, metrics: QualityMetrics) -> None:
        self.metrics = metrics
        self._through = NEVER  # training round of the current or the last pass
        self._pass: Iterator[None] = iter(())

    def update(self, training: Trainer) -> None:
        """Continue the current pass, or start one if a new training round has finished."""
        for _ in self._pass:
            return
        if training.through != self._through:
            self._through = training.through
            self._pass = self._publish(training)

    def _publish(self, training: Trainer) -> Iterator[None]:
        self._publish_model(training.churn_model)
        yield from self._publish_figures(training.quality)
        self._publish_sums(training.quality)
        self._publish_causes(training.churn_model)
        for table, column in ((self.metrics.predicted, 0), (self.metrics.observed, 1)):
            table.replace(_tenths(training.quality, column))

    def _publish_figures(self, quality: Quality) -> Iterator[None]:
        values: dict[str, _Values] = {name: {} for name in _FIGURES}
        for window, scorer in product(WINDOWS, quality.scorers):
            figures = quality.figures(scorer, window)
            for name in _FIGURES:
                if (figure := getattr(figures, name, None)) is not None:
                    values[name][scorer, window] = figure
            yield
        for name in _FIGURES:
            getattr(self.metrics, name).replace(values[name])

    def _publish_sums(self, quality: Quality) -> None:
        sums = {window: found for window in WINDOWS if (found := quality.sums(window)) is not None}
        self.metrics.base_rate.replace({(window,): one.churned / one.examples for window, one in sums.items()})
        self.metrics.examples.replace({(window,): one.examples for window, one in sums.items()})

    def _publish_causes(self, churn_model: ChurnModel) -> None:
        if churn_model.feedback is None:
            return
        feedback, metrics = churn_model.feedback, self.metrics
        metrics.confirmed.set(feedback.causes.total)
        metrics.blind.set(feedback.causes.judged)
        tables = {"first": metrics.cause_first, "among_three": metrics.cause_three}
        for name, figures in feedback.accuracy.items():
            tables[name].replace({(bound,): figure for bound, figure in zip(BOUNDS, figures, strict=True)})

    def _publish_model(self, churn_model: ChurnModel) -> None:
        metrics = self.metrics
        metrics.shares.replace({(name,): share for name, share in churn_model.shares().items()})
        metrics.shift.set(churn_model.level)
        metrics.drifts.set(len(churn_model.drift))
        days, loss = churn_model.drift_window
        metrics.drift_window.set(days * _DAY)
        losses: _Values = {("now",): loss} if days else {}
        if churn_model.drift:
            latest = churn_model.drift[-1]
            metrics.drifted.replace({(): latest.at / SECOND_US})
            losses |= {("before",): latest.before, ("after",): latest.after}
        metrics.drift_loss.replace(losses)


def _tenths(quality: Quality, column: int) -> _Values:
    return {
        (str(tenth), window): pair[column]
        for window in WINDOWS
        for tenth, pair in enumerate(quality.tenths(window), start=1)
    }
