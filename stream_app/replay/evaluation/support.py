"""What a log can tell: which causes of churn its fields allow to be seen, and which kinds and fields never appear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stream_app.core.events.schema import KINDS
from stream_app.replay.results import LogFacts

GIVEN: Final = {"event_id", "customer_id", "occurred_at", "shop_id"}  # of every event; nothing is seen by them alone


@dataclass(frozen=True)
class Sign:
    """Something that can be seen when these fields of a kind appear; without fields: when the kind appears at all."""

    kind: str
    fields: tuple[str, ...] = ()

    def missing(self, log: LogFacts) -> list[str]:
        """The fields that never appear, like `order.amount`; the bare kind where no such event does."""
        if not log.kinds.get(self.kind):
            return [self.kind]
        seen = set(log.fields.get(self.kind, ()))
        return [f"{self.kind}.{field}" for field in self.fields if field not in seen]


# The causes of the domain, in its order, and the signs by which events tell them. Each sign is enough to see something;
# all of them together see the whole.
SIGNS: Final[dict[str, tuple[Sign, ...]]] = {
    "forgot_shop": (Sign("order"), Sign("browsing"), Sign("cart", ("action",))),
    "product_quality": (
        Sign("order", ("action",)),
        Sign("complaint", ("category",)),
        Sign("complaint", ("rating",)),
    ),
    "logistics": (Sign("order", ("promised_at", "delivered_at")), Sign("complaint", ("category",))),
    "service": (Sign("complaint", ("complaint_id", "action")), Sign("complaint", ("staff",))),
    "unresolved_complaint": (Sign("complaint", ("complaint_id", "action")),),
    "broken_promise": (Sign("order", ("promised_at", "delivered_at")), Sign("browsing", ("price",))),
    "too_many_choices": (Sign("browsing", ("category",)), Sign("cart", ("action",)), Sign("order", ("amount",))),
    "price": (Sign("order", ("discount",)), Sign("cart", ("action", "price")), Sign("browsing", ("price",))),
    "habit_change": (Sign("order"),),
    "poor_site": (
        Sign("browsing", ("load_seconds",)),
        Sign("browsing", ("search_results",)),
        Sign("cart", ("action",)),
    ),
    "out_of_stock": (Sign("browsing", ("available",)), Sign("cart", ("available",))),
    "no_personal_fit": (Sign("browsing", ("recommended", "category")), Sign("order", ("category",))),
    "ad_harassment": (Sign("complaint", ("form",)), Sign("complaint", ("category",))),
    "privacy": (Sign("complaint", ("category",)), Sign("cart", ("action",))),
    "small_customer_neglect": (Sign("order", ("amount",)), Sign("order", ("member_benefit",))),
    "natural": (Sign("order"),),
}


def support_figures(log: LogFacts) -> dict[str, object]:
    """For each cause whether its signs can be seen (full, part, none) and what is missing; absent fields by kind."""
    return {"causes": [cause_support(cause, log) for cause in SIGNS], "absent_fields": absent_fields(log)}


def cause_support(cause: str, log: LogFacts) -> dict[str, object]:
    """How much of a cause's signs a log can show."""
    missing = [sign.missing(log) for sign in SIGNS[cause]]
    seen = sum(not m for m in missing)
    level = "full" if seen == len(missing) else "part" if seen else "none"
    names = dict.fromkeys(name for m in missing for name in m)  # in order, once
    return {"cause": cause, "support": level, "signs": len(missing), "signs_seen": seen, "missing": list(names)}


def absent_fields(log: LogFacts) -> dict[str, list[str]]:
    """The optional fields of each kind that never appear; a kind without events has all of them."""
    return {
        kind: [f for f in type_.__struct_fields__ if f not in GIVEN and f not in log.fields.get(kind, ())]
        for kind, type_ in KINDS.items()
    }
