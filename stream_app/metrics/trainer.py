"""Trainer metrics: training progress and model quality."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from stream_app.metrics.base import DURATION_BUCKETS, Metrics


class TrainerMetrics(Metrics):
    """Training progress and checkpoints."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.examples = self._counter("trainer_examples", "Labelled examples used for training.")
        self.rounds = self._counter("trainer_rounds", "Training rounds, one per day of event time.")
        self.last_round = self._gauge(
            "trainer_last_round_timestamp_seconds", "Event time up to which all examples are used."
        )
        self.missing = self._gauge(
            "trainer_missing_partitions", "Partitions that have not yet reached the next training round."
        )
        self.version = self._gauge("trainer_model_version", "Version of the latest snapshot.")
        self.checkpoint_bytes = self._gauge("trainer_checkpoint_bytes", "Size of the latest checkpoint.")
        self.checkpoint_duration = self._histogram(
            "trainer_checkpoint_duration_seconds", "Time to create and store a checkpoint.", DURATION_BUCKETS
        )


class QualityMetrics(Metrics):
    """Model quality on decisions with a known label.

    `scorer` distinguishes the published probability, each expert, their ensemble and the baselines. `window` is the
    last 28 days of decisions, or all of them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        # Figures
        both = ("scorer", "window")
        self.auc = self._gauge_table(
            "quality_auc_ratio", "ROC-AUC: probability that a churned customer scores above a retained one.", *both
        )
        self.log_loss = self._gauge_table("quality_log_loss_nats", "Mean log-loss.", *both)
        self.brier = self._gauge_table(
            "quality_brier_ratio", "Brier score: mean squared error of the probability.", *both
        )
        self.calibration_error = self._gauge_table(
            "quality_calibration_error_ratio", "Expected calibration error over ten equally filled bins.", *both
        )
        self.lift = self._gauge_table(
            "quality_lift_ratio", "Churn rate of the highest-scored decile divided by the overall churn rate.", *both
        )
        self.precision = self._gauge_table(
            "quality_precision_ratio", "Churn rate among each day's `capacity` highest scores.", *both
        )
        self.base_rate = self._gauge_table("quality_base_rate_ratio", "Overall churn rate.", "window")
        self.examples = self._gauge_table("quality_examples", "Decisions with a known label.", "window")

        # Calibration
        self.predicted = self._gauge_table(
            "quality_predicted_ratio",
            "Mean predicted probability per decile of decisions; 1 is the lowest.",
            "tenth",
            "window",
        )
        self.observed = self._gauge_table(
            "quality_observed_ratio", "Observed churn rate per decile of decisions; 1 is the lowest.", "tenth", "window"
        )

        # Explanations
        self.confirmed = self._gauge("quality_confirmed_alerts", "Alerts whose cause staff have confirmed.")
        self.blind = self._gauge(
            "quality_blind_alerts", "Confirmed alerts that did not show their causes; these judge the explanations."
        )
        self.cause_first = self._gauge_table(
            "quality_cause_first_ratio",
            "Share of blind alerts whose confirmed cause was named first, with its 95 % interval.",
            "bound",
        )
        self.cause_three = self._gauge_table(
            "quality_cause_three_ratio",
            "Share of blind alerts whose confirmed cause was among the first three, with its 95 % interval.",
            "bound",
        )

        # Model
        self.shares = self._gauge_table("model_expert_share_ratio", "Weight of each expert in the ensemble.", "scorer")
        self.shift = self._gauge(
            "model_level_log_odds", "Correction of every customer's log-odds by the shop's current churn level."
        )
        self.drifts = self._gauge("model_drift_changes", "Significant changes of the daily log-loss detected.")
        self.drifted = self._gauge_table(
            "model_drift_timestamp_seconds", "Event time of the latest change of the daily log-loss."
        )
        self.drift_window = self._gauge(
            "model_drift_window_seconds", "Length of the current drift detection (ADWIN) window."
        )
        self.drift_loss = self._gauge_table(
            "model_drift_log_loss_nats",
            "Mean daily log-loss in that window (now), and before and after the latest change.",
            "side",
        )
