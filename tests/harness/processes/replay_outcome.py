"""Outcome of a replay, in the form of a live system's outcome."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.schema import PolicyRecord
from stream_app.core.model.snapshot import fingerprint
from stream_app.core.partition import alert_records
from stream_app.core.partition.score_batch import Effects
from stream_app.core.settings import Settings
from stream_app.ingest import LogFormat, open_log
from stream_app.replay.runner import Replay
from tests.harness.processes.outcome import Outcome, plain_state, scores_of


class RecordingReplay(Replay):
    """A replay that records every label with its features, and the fingerprint of every version."""

    def __init__(self, settings: Settings, partitions: int, policies: Sequence[PolicyRecord]) -> None:
        super().__init__(settings, partitions, policies=policies)
        self.recorded = Outcome()

    def _record(self, effects: Effects) -> None:
        super()._record(effects)
        for matured in effects.matured:
            pending = matured.pending
            label = (matured.label, pending.features, pending.log_odds, pending.probability, pending.version)
            self.recorded.labels[pending.customer, pending.decided_at] = label

    def _learn(self, moment: int) -> None:
        before = self.churn_model.version
        super()._learn(moment)
        if self.churn_model.version != before:
            self.recorded.versions[self.churn_model.version] = fingerprint(self.churn_model)


def outcome_of_replay(settings: Settings, partitions: int, log: Path, form: LogFormat) -> Outcome:
    """Replay a log in this process, over a number of partitions."""
    with tempfile.TemporaryDirectory() as folder, open_log([str(log)], form, Path(folder)) as opened:
        opened.scan()
        replay = RecordingReplay(settings, partitions, opened.policies)
        happened = replay.run(opened.batches())
    outcome = replay.recorded
    for number, partition in enumerate(replay.partitions):
        outcome.stream_times[number], outcome.counts[number] = partition.stream_time, vars(partition.counts)
        outcome.states |= {name: plain_state(customer) for name, customer in partition.customers.items()}
        outcome.scores |= scores_of(list(partition.customers.values()), partition.ranking)
    for alert in (one for one in happened.opened if not one.is_held_out):
        value = alert_records.opening(0, alert, 0)[0].payload
        outcome.opened[alert.alert_id] = msgspec.json.decode(value, type=AlertOpened)
    urgent = alert_records.urgent_alerts(0, happened.breaches, happened.ended)
    for record in (*urgent, *alert_records.closed_alerts(0, happened.closed)):
        message = msgspec.json.decode(record.payload, type=AlertOpened | AlertClosed)
        if isinstance(message, AlertOpened):
            outcome.opened[message.alert_id] = message
        else:
            outcome.closed[message.alert_id] = message
    outcome.model = fingerprint(replay.churn_model)
    return outcome
