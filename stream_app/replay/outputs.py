"""Output files of a replay: predictions, alerts, metrics. The same log and seed give the same bytes."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from stream_app.core.alerts.lifecycle import RETURNED, Alert, AlertCandidate, AlertClosing
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.arrays import Ints
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.units import DAY_US, SECOND_US, from_micros
from stream_app.replay.results import OPEN, SOURCES, AlertRecord, Decisions, DrawRecord

PLANNED_COLUMNS: Final = ("lost_probability", "expected_value")  # the last ones, only if calls are planned
PREDICTION_COLUMNS: Final = (
    "customer_id",
    "decided_at",
    "probability",
    "label",
    "matured_at",
    "source",
    "model_version",
)
_ROWS: Final = 50_000  # number of rows formatted at once


def instant(at: int) -> str:
    """Format microseconds since 1970-01-01 UTC as RFC 3339, with fractional seconds only if needed.

    >>> instant(0), instant(1_500_000)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500000Z')
    """
    return from_micros(at).isoformat().replace("+00:00", "Z")


def prediction_rows(decisions: Decisions) -> Iterator[list[tuple[str, ...]]]:
    """Yield blocks of rows of predictions.csv as text. Rows without a label have empty `label` and `matured_at`."""
    order = decisions.in_order(np.arange(len(decisions.label)))
    lost, value = decisions.lost_probability, decisions.expected_value
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        planned = [] if lost is None else [[f"{one:.6f}" for one in lost[rows].tolist()]]
        planned += [] if value is None else [[f"{one:.2f}" for one in value[rows].tolist()]]
        yield list(
            zip(
                [decisions.customers[index] for index in decisions.customer[rows].tolist()],
                _instants(decisions.decided_at[rows]),
                [f"{probability:.6f}" for probability in decisions.probability[rows].tolist()],
                ["" if label == OPEN else str(label) for label in decisions.label[rows].tolist()],
                _instants(np.where(decisions.label[rows] == OPEN, -1, decisions.matured_at[rows])),
                [SOURCES[source] for source in decisions.source[rows].tolist()],
                [str(version) for version in decisions.version[rows].tolist()],
                *planned,
                strict=True,
            )
        )


def _instants(at: Ints) -> list[str]:
    """Format instants as text, with -1 as an empty string. numpy formats whole seconds for speed."""
    texts = np.datetime_as_string(at.astype("datetime64[us]"), unit="s")
    whole = at % SECOND_US == 0
    return [
        "" if value == -1 else (f"{text}Z" if plain else instant(value))
        for value, text, plain in zip(at.tolist(), texts.tolist(), whole.tolist(), strict=True)
    ]


def write_predictions(decisions: Decisions, path: Path) -> None:
    """Write predictions as CSV, or as Parquet if the path ends in .parquet."""
    if path.suffix == ".parquet":
        _write_parquet(decisions, path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*PREDICTION_COLUMNS, *(() if decisions.lost_probability is None else PLANNED_COLUMNS)])
        for rows in prediction_rows(decisions):
            writer.writerows(rows)


def _write_parquet(decisions: Decisions, path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - needed only for Parquet
    import pyarrow.parquet as pq  # noqa: PLC0415

    order = decisions.in_order(np.arange(len(decisions.label)))
    still_open = decisions.label[order] == OPEN
    columns = {
        "customer_id": pa.array([decisions.customers[index] for index in decisions.customer[order].tolist()]),
        "decided_at": pa.array(decisions.decided_at[order], pa.timestamp("us", tz="UTC")),
        "probability": decisions.probability[order],
        "label": pa.array(decisions.label[order], mask=still_open),
        "matured_at": pa.array(decisions.matured_at[order], pa.timestamp("us", tz="UTC"), mask=still_open),
        "source": pa.array([SOURCES[source] for source in decisions.source[order].tolist()]),
        "model_version": pa.array(decisions.version[order]),
    }
    if decisions.lost_probability is not None:
        columns["lost_probability"] = decisions.lost_probability[order]
    if decisions.expected_value is not None:
        columns["expected_value"] = decisions.expected_value[order]
    pq.write_table(pa.table(columns), path, compression="zstd")


def alert_lines(
    opened: Iterable[Alert],
    closed: Iterable[AlertClosing],
    breaches: Iterable[SlaBreach] = (),
    ended: Iterable[SlaBreachEnded] = (),
) -> list[dict[str, Any]]:
    """Return the lines of alerts.jsonl in order of time. Closings precede openings at the same time.

    Customers who were drawn in the holdout experiment have its name, and the kind `held_out` if they are left alone.
    """
    lines = [(one.at, 0, one.alert.rank, one.alert.alert_id, _closing(one)) for one in closed]
    lines += [(one.at, 0, 0, one.alert_id, _ended(one)) for one in ended]
    lines += [(one.opened_at, 1, one.rank, one.alert_id, _opening(one)) for one in opened]
    lines += [(one.candidate.at, 1, 0, one.alert_id, _urgent(one)) for one in breaches]
    return [line for *_, line in sorted(lines, key=lambda entry: entry[:4])]


def _opening(alert: Alert) -> dict[str, Any]:
    candidate = alert.candidate
    return {
        "kind": "held_out" if alert.is_held_out else "opened",
        "alert_id": alert.alert_id,
        "customer_id": alert.customer,
        "at": instant(alert.opened_at),
        "expires_at": instant(alert.expires_at),
        "rank": alert.rank,
        **_details(candidate),
        **(_drawn(candidate, alert.experiment) if candidate.arm else {}),
        **({"policy": alert.policy} if alert.policy else {}),
        **_contact_rules(alert.contact_rules),
    }


def _drawn(candidate: AlertCandidate, experiment: str) -> dict[str, Any]:
    also = {"also": candidate.explanation.also} if candidate.explanation.also else {}
    return {"experiment": experiment, "holdout_share": candidate.share, **also}


def _urgent(breach: SlaBreach) -> dict[str, Any]:
    candidate = breach.candidate
    return {
        "kind": "urgent" if breach.is_case else "opened",  # lines of shops that rank by risk stay as they were
        "alert_id": breach.alert_id,
        "customer_id": candidate.customer,
        "at": instant(candidate.at),
        "expires_at": instant(breach.expires_at),
        "rank": 0,
        "urgent": True,
        **_details(candidate),
        **_contact_rules(breach.contact_rules),
    }


def _contact_rules(rules: ContactRules | None) -> dict[str, Any]:
    return {"contact_rules": msgspec.to_builtins(rules)} if rules else {}


def _details(candidate: AlertCandidate) -> dict[str, Any]:
    explanation = candidate.explanation
    planned = {
        "lost_probability": round(candidate.lost_probability, 6),
        "act_by": instant(candidate.act_by),
        "expected_value": round(candidate.expected_value, 2),
        "next_order_from": instant(candidate.next_order_from),
        "next_order_to": instant(candidate.next_order_to) if candidate.next_order_to else None,
    }
    return {
        "probability": round(candidate.probability, 6),
        "monthly_worth": round(candidate.monthly_worth, 2),
        "silent_days": round(candidate.silent_days, 2),
        "usual_gap_days": None if math.isnan(candidate.usual_gap_days) else round(candidate.usual_gap_days, 2),
        "source": SOURCES[candidate.source],
        "model_version": candidate.version,
        "segment": explanation.segment,
        "causes": {cause.key: cause.probability for cause in explanation.causes},
        "evidence": {evidence.rule: evidence.numbers for evidence in explanation.evidence},
        **(planned if candidate.act_by else {}),
    }


def _ended(ended: SlaBreachEnded) -> dict[str, Any]:
    return {
        "kind": "closed",
        "alert_id": ended.alert_id,
        "customer_id": ended.customer,
        "at": instant(ended.at),
        "reason": ended.reason,
    }


def _closing(closing: AlertClosing) -> dict[str, Any]:
    line: dict[str, Any] = {
        "kind": "closed",
        "alert_id": closing.alert.alert_id,
        "customer_id": closing.alert.customer,
        "at": instant(closing.at),
        "reason": closing.reason,
        "days_open": round((closing.at - closing.alert.opened_at) / DAY_US, 2),
    }
    if closing.alert.is_held_out:
        line["held_out"] = True
    if closing.reason != RETURNED and not math.isnan(closing.probability):
        line["probability"] = round(closing.probability, 6)
    return line


def alert_records(opened: Iterable[Alert], closed: Iterable[AlertClosing]) -> list[AlertRecord]:
    """Convert alerts to records for the evaluation, without those of held-out customers."""
    records = [
        AlertRecord(
            alert_id=e.alert_id,
            kind="opened",
            customer_id=e.customer,
            at=e.opened_at,
            rank=e.rank,
            probability=e.candidate.probability,
            reason="",
            expires_at=e.expires_at,
            candidate=e.candidate,
        )
        for e in opened
        if not e.is_held_out
    ]
    records += [
        AlertRecord(c.alert.alert_id, "closed", c.alert.customer, c.at, c.alert.rank, c.probability, c.reason)
        for c in closed
        if not c.alert.is_held_out
    ]
    return sorted(records, key=lambda record: (record.at, record.kind, record.rank, record.alert_id))


def draw_records(opened: Iterable[Alert], experiment: str) -> list[DrawRecord]:
    """Return the first draw of each customer in a holdout experiment, from the alerts in order of time."""
    first: dict[str, Alert] = {}
    for alert in opened:
        if alert.candidate.arm and alert.experiment == experiment:
            first.setdefault(alert.customer, alert)
    return [
        DrawRecord(name, alert.opened_at, alert.candidate.share, alert.is_held_out) for name, alert in first.items()
    ]


def write_json_lines(lines: Iterable[dict[str, Any]], path: Path) -> None:
    """Write one JSON object per line."""
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
