"""Reports which causes of churn a log's fields can reveal, and which kinds and fields are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stream_app.core.events.schema import CUSTOMER_KINDS
from stream_app.replay.results import LogFacts

GIVEN: Final = {"event_id", "customer_id", "occurred_at", "shop_id"}  # fields present in every event


@dataclass(frozen=True)
class FieldGroup:
    """Fields of one kind of event that together are evidence for a cause. Without fields, any event of the kind is."""

    kind: str
    fields: tuple[str, ...] = ()

    def missing(self, log: LogFacts) -> list[str]:
        """Return the missing fields, such as `order.amount`, or the kind if it has no events."""
        if not log.kinds.get(self.kind):
            return [self.kind]
        seen = set(log.fields.get(self.kind, ()))
        return [f"{self.kind}.{field}" for field in self.fields if field not in seen]


# cause -> groups of fields that are evidence for it; support is full if all groups are present, else partial
FIELD_GROUPS: Final[dict[str, tuple[FieldGroup, ...]]] = {
    "forgot_shop": (FieldGroup("order"), FieldGroup("browsing"), FieldGroup("cart", ("action",))),
    "product_quality": (
        FieldGroup("order", ("action",)),
        FieldGroup("complaint", ("category",)),
        FieldGroup("complaint", ("rating",)),
    ),
    "logistics": (FieldGroup("order", ("promised_at", "delivered_at")), FieldGroup("complaint", ("category",))),
    "service": (FieldGroup("complaint", ("complaint_id", "action")), FieldGroup("complaint", ("staff",))),
    "unresolved_complaint": (FieldGroup("complaint", ("complaint_id", "action")),),
    "broken_promise": (FieldGroup("order", ("promised_at", "delivered_at")), FieldGroup("browsing", ("price",))),
    "too_many_choices": (
        FieldGroup("browsing", ("category",)),
        FieldGroup("cart", ("action",)),
        FieldGroup("order", ("amount",)),
    ),
    "price": (
        FieldGroup("order", ("discount",)),
        FieldGroup("cart", ("action", "price")),
        FieldGroup("browsing", ("price",)),
    ),
    "habit_change": (FieldGroup("order"),),
    "poor_site": (
        FieldGroup("browsing", ("load_seconds",)),
        FieldGroup("browsing", ("search_results",)),
        FieldGroup("cart", ("action",)),
    ),
    "out_of_stock": (FieldGroup("browsing", ("available",)), FieldGroup("cart", ("available",))),
    "no_personal_fit": (FieldGroup("browsing", ("recommended", "category")), FieldGroup("order", ("category",))),
    "ad_harassment": (FieldGroup("complaint", ("form",)), FieldGroup("complaint", ("category",))),
    "privacy": (FieldGroup("complaint", ("category",)), FieldGroup("cart", ("action",))),
    "small_customer_neglect": (FieldGroup("order", ("amount",)), FieldGroup("order", ("member_benefit",))),
    "natural": (FieldGroup("order"),),
}


def support_figures(log: LogFacts) -> dict[str, object]:
    """Return how well the log supports each cause (full, part, none), and which fields are missing."""
    return {"causes": [cause_support(cause, log) for cause in FIELD_GROUPS], "absent_fields": absent_fields(log)}


def cause_support(cause: str, log: LogFacts) -> dict[str, object]:
    """Return how well the log supports one cause."""
    missing = [group.missing(log) for group in FIELD_GROUPS[cause]]
    seen = sum(not m for m in missing)
    level = "full" if seen == len(missing) else "part" if seen else "none"
    names = dict.fromkeys(name for m in missing for name in m)  # in order, without duplicates
    return {"cause": cause, "support": level, "signs": len(missing), "signs_seen": seen, "missing": list(names)}


def absent_fields(log: LogFacts) -> dict[str, list[str]]:
    """Return the optional fields of each kind that never appear: all of them if there are no events of the kind."""
    return {
        kind: [f for f in type_.__struct_fields__ if f not in GIVEN and f not in log.fields.get(kind, ())]
        for kind, type_ in CUSTOMER_KINDS.items()
    }
