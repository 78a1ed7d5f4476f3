"""What is told of the model's quality: computed when a day was learned, one scorer at a look, so that none is long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.training.quality import WINDOWS, Quality
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import NEVER
from stream_app.metrics import GaugeTable, QualityMetrics

_MICROS: Final = 1e6
_DAY: Final = 86_400.0  # seconds
_Told = dict[tuple[str, ...], float]


class QualityWatch:
    """Tells of the quality of what was learned.

    Use: `look` twice a second; a round over all scorers and windows takes some seconds, and begins when a day was
    learned.
    """

    def __init__(self, metrics: QualityMetrics) -> None:
        self.metrics = metrics
        self._through = NEVER  # what the round that is under way, or was the last, tells of
        self._round: Iterator[None] = iter(())

    def look(self, training: Trainer) -> None:
        """Do a part of what is to be done."""
        for _ in self._round:
            return
        if training.through != self._through:
            self._through = training.through
            self._round = self._tell(training)

    def finish(self, training: Trainer) -> None:
        """Tell all at once."""
        for _ in self._tell(training):
            pass

    def _tell(self, training: Trainer) -> Iterator[None]:
        self._tell_of_the_model(training.churn_model)
        yield from self._tell_figures(training.quality)
        self._tell_sums(training.quality)
        for told, column in ((self.metrics.promised, 0), (self.metrics.measured, 1)):
            told.replace(_tenths(training.quality, column))

    def _tell_figures(self, quality: Quality) -> Iterator[None]:
        metrics = self.metrics
        tables: dict[str, tuple[GaugeTable, _Told]] = {
            "auc": (metrics.auc, {}),
            "log_loss": (metrics.log_loss, {}),
            "brier": (metrics.brier, {}),
            "calibration_error": (metrics.calibration_error, {}),
            "lift": (metrics.lift, {}),
            "precision": (metrics.precision, {}),
        }
        for window in WINDOWS:
            for scorer in quality.scorers:
                figures = quality.figures(scorer, window)
                for name, (_, told) in tables.items():
                    if figures is not None and getattr(figures, name) is not None:
                        told[scorer, window] = getattr(figures, name)
                yield
        for table, told in tables.values():
            table.replace(told)

    def _tell_sums(self, quality: Quality) -> None:
        base: _Told = {}
        examples: _Told = {}
        for window in WINDOWS:
            sums = quality.sums(window)
            if sums is not None:
                base[window,], examples[window,] = sums.churned / sums.examples, sums.examples
        self.metrics.base_rate.replace(base)
        self.metrics.examples.replace(examples)

    def _tell_of_the_model(self, churn_model: ChurnModel) -> None:
        metrics = self.metrics
        metrics.shares.replace({(name,): share for name, share in churn_model.shares().items()})
        metrics.shift.set(churn_model.level)
        metrics.drifts.set(len(churn_model.drift))
        days, loss = churn_model.drift_window
        metrics.drift_window.set(days * _DAY)
        losses: _Told = {("now",): loss} if days else {}
        if churn_model.drift:
            latest = churn_model.drift[-1]
            metrics.drifted.replace({(): latest.at / _MICROS})
            losses |= {("before",): latest.before, ("after",): latest.after}
        metrics.drift_loss.replace(losses)


def _tenths(quality: Quality, column: int) -> _Told:
    told: _Told = {}
    for window in WINDOWS:
        for tenth, pair in enumerate(quality.tenths(window), start=1):
            told[str(tenth), window] = pair[column]
    return told
