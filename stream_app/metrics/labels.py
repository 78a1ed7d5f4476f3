"""Values that each label may take. All label sets are bounded."""

from __future__ import annotations

from typing import Final

from stream_app.core.alerts.lifecycle import CLOSE_REASONS, QUOTA
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.delivery.records import REASONS, STATES
from stream_app.core.events.enumerations import ContactAction
from stream_app.core.events.schema import KINDS
from stream_app.core.kpis.event_counts import AMOUNTS, CATEGORIES, CHECKOUT_LOSSES, FUNNEL, ORDER_KINDS
from stream_app.core.kpis.risk_bands import BANDS
from stream_app.core.model.scores import EXPERTS, MIXTURE
from stream_app.core.partition.call_rules import RULES
from stream_app.core.segments.lifecycle_stage import STAGES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.training.quality import PRODUCT, WINDOWS
from stream_app.core.uplift.holdout import ARMS, HELD_OUT, NOT_ORDERED, ORDERED

OUTCOMES: Final = ("done", "already_done", "fenced", "wrong_base")  # outcomes of a commit
ALERT_OUTCOMES: Final = ("retained", "lost", "unreachable", "no_action", "other")  # outcomes reported by staff
HOLDS: Final = ("trainer", "allocator")  # services for which a partition may wait at a tick
ATTEMPTS: Final = ("delivered", "retry", "refused", "gone")  # results of a request to a receiver
MONTHS: Final = ("current", "previous")  # calendar months on the shop's clock
BOUNDS: Final = ("value", "low", "high")  # a figure, and the limits of its interval
CAPACITY: Final = "capacity"
# Reasons why no alert was opened for a customer at risk.
SUPPRESSIONS: Final = (*RULES, QUOTA, CAPACITY, HELD_OUT)
NO_FIELD: Final = "none"  # label if no single field is at fault: the record is not JSON
OTHER_FIELD: Final = "other"
# Fields for which a record may be rejected. A field name made up by a producer must not become a label value.
FIELDS: Final = frozenset(
    {"type", "sequence", "opening", *(name for kind in KINDS.values() for name in kind.__struct_fields__)}
)
# Combinations of shop, cause and segment per worker; beyond them the segment is `unknown`. One shop has 152 of them,
# fifty shops could have 7,752, and each one adds microseconds to every scrape.
MAX_ALERT_SERIES: Final = 1_000
# The values of all labels with a fixed vocabulary. `shop` has at most MAX_SHOPS values and `other`, `partition` is a
# number, the channel file holds at most 20 names for `channel`, a worker knows one `experiment`, from its settings, and
# `scorer` also has the names of imported models, of which the settings list at most MAX_EXPERTS.
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "action": tuple(ContactAction),
    "arm": ARMS,
    "band": BANDS,
    "bound": BOUNDS,
    "category": CATEGORIES,
    "cause": (*CAUSES, FAMILY, "unknown"),
    "kind": ORDER_KINDS,
    "month": MONTHS,
    "outcome": (*OUTCOMES, *ALERT_OUTCOMES, *STATES[1:], *ATTEMPTS, ORDERED, NOT_ORDERED),
    "reason": (*HOLDS, *CHECKOUT_LOSSES, *CLOSE_REASONS, *SUPPRESSIONS, *REASONS),
    "scorer": (PRODUCT, MIXTURE, *EXPERTS[:-1]),
    "segment": (*SEGMENTS, "unknown"),
    "side": ("before", "after", "now"),
    "stage": STAGES,
    "step": tuple(dict.fromkeys((*FUNNEL, *AMOUNTS))),
    "tenth": tuple(str(tenth) for tenth in range(1, 11)),
    "window": WINDOWS,
}


def field_label(field: str) -> str:
    """Return the label value of the field for which a record was rejected.

    Args:
        field: `Rejected.field`.

    >>> field_label("occurred_at"), field_label(""), field_label("made_up[3].by_a_sender")
    ('occurred_at', 'none', 'other')
    """
    if not field:
        return NO_FIELD
    return field if field in FIELDS else OTHER_FIELD
