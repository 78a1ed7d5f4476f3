"""Writes the pages of docs/ that are made from the code: `make docs`. A test keeps them current."""

from __future__ import annotations

import json
import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
from prometheus_client import CollectorRegistry

from stream_app.adapters.health import BEAT_SECONDS
from stream_app.config.listing import Row
from stream_app.config.listing import rows as all_settings
from stream_app.core.codec import max_bytes
from stream_app.core.codec_waiting import DECISION_BYTES, EXPERTS, MAX_FEATURE_BYTES
from stream_app.core.customer import ID_BYTES
from stream_app.core.events import KINDS
from stream_app.core.features import FEATURES
from stream_app.core.settings import Settings
from stream_app.core.shop_names import MAX_SHOPS
from stream_app.core.state import DAY_US, DECAYED, HALF_LIVES, ID_RING, SLOTS
from stream_app.errors import Stalled
from stream_app.metrics import (
    VALUES,
    BusinessMetrics,
    CommitMetrics,
    DeliveryMetrics,
    DeskMetrics,
    Metrics,
    QualityMetrics,
    RelayMetrics,
    StoreMetrics,
    TrainerMetrics,
    WorkerMetrics,
)
from stream_app.schema import json_schema, render
from stream_app.schema.channels import TOPICS
from stream_app.schema.examples import examples
from stream_app.schema.words import Words, catalogue, meaning_of_kind

DOCS: Final = Path(__file__).parent
TEMPLATES: Final = DOCS / "templates"


def pages() -> dict[str, str]:
    """The text of every generated file, by its path below docs/."""
    return {
        "schema/events.schema.json": render("json-schema"),
        "schema/asyncapi.json": render("asyncapi"),
        "events.md": filled("events.md.j2", **about_events()),
        "features.md": filled("features.md.j2", features=FEATURES),
        "state.md": filled("state.md.j2", **about_state()),
        "settings.md": filled("settings.md.j2", sections=about_settings()),
        "metrics.md": filled("metrics.md.j2", **about_metrics(TITLES)),
        "metrics.zh.md": filled("metrics.zh.md.j2", zh=metrics_zh(), **about_metrics(TITLES_ZH)),
    }


def filled(template: str, **facts: object) -> str:
    """A template with the facts in their places."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(  # noqa: S701 - Markdown of our own, no HTML from outside
        loader=loader,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(facts)


def about_events() -> dict[str, object]:
    """What docs/events.md tells of the wire format."""
    schema = json_schema()
    kinds = []
    for kind, struct in KINDS.items():
        payload = schema["$defs"][struct.__name__]
        kinds.append(
            {
                "name": kind,
                "topic": TOPICS[kind],
                "meaning": meaning_of_kind(kind),
                "meaning_zh": catalogue().kinds_zh[kind],
                "fields": field_rows(getattr(catalogue(), kind), payload),
                "words": enumerations(payload),
                "example": json.dumps(examples(kind)[0], indent=2, ensure_ascii=False),
            }
        )
    return {"schema": schema, "every": field_rows(catalogue().every, schema["$defs"]["Browsing"]), "kinds": kinds}


def field_rows(fields: dict[str, Words], payload: dict[str, Any]) -> list[dict[str, object]]:
    """A row of the table for each field."""
    return [
        {
            "name": name,
            "required": name in payload["required"],
            "type": json_type(payload["properties"][name]),
            "words": words,
        }
        for name, words in fields.items()
    ]


def enumerations(payload: dict[str, Any]) -> dict[str, list[str]]:
    """The fields that hold a word, and their words."""
    known = {name: field["anyOf"][0].get("enum") for name, field in payload["properties"].items() if "anyOf" in field}
    return {name: words for name, words in known.items() if words}


def json_type(schema: dict[str, Any]) -> str:
    """What stands in the JSON, in a word.

    >>> json_type({"anyOf": [{"type": "number"}, {"type": "null"}]})
    'number'
    """
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    if any("enum" in one for one in options):
        return "word"
    return "time" if options[0].get("format") == "date-time" else str(options[0]["type"])


def about_state() -> dict[str, object]:
    """What docs/state.md tells of a customer's state."""
    rows = [row_of(slot) for slot in SLOTS]
    return {
        "slots": len(SLOTS),
        "ids": ID_RING,
        "facts": {name: {"places": rows.count(name), **words} for name, words in facts().items()},
        "decayed": DECAYED,
        "half_lives": [f"{half_life:g}" for half_life in HALF_LIVES],
        "size": Sizes(Settings()),
    }


def about_settings() -> dict[str, list[Row]]:
    """The settings of the running service, by section: `kafka.topics` is one beside `kafka`."""
    sections: dict[str, list[Row]] = {}
    for row in all_settings():
        sections.setdefault(".".join(row.place[:-1]), []).append(row)
    return sections


def row_of(slot: str) -> str:
    """The row of facts.toml that tells of a slot.

    >>> row_of("complaint_3_opened"), row_of("decayed_money_7d"), row_of("orders")
    ('complaint_N_opened', 'decayed_KIND_Nd', 'orders')
    """
    return re.sub(r"\d+", "N", re.sub(rf"^decayed_({'|'.join(DECAYED)})_", "decayed_KIND_", slot))


def facts() -> dict[str, dict[str, str]]:
    """The rows of facts.toml."""
    return tomllib.loads((TEMPLATES / "facts.toml").read_text(encoding="utf-8"))


TITLES: Final[dict[type[Metrics], str]] = {
    BusinessMetrics: "Customers and shop: worker",
    WorkerMetrics: "Worker",
    QualityMetrics: "Quality of the model: trainer",
    TrainerMetrics: "Trainer",
    DeskMetrics: "Desk",
    CommitMetrics: "Commits: worker, trainer, desk, deliverer",
    RelayMetrics: "Relay: worker, desk",
    StoreMetrics: "Redis: desk",
    DeliveryMetrics: "Deliverer",
}
TITLES_ZH: Final[dict[type[Metrics], str]] = {
    BusinessMetrics: "客户与店铺：worker",
    WorkerMetrics: "worker（评分进程）",
    QualityMetrics: "模型质量：trainer",
    TrainerMetrics: "trainer（训练进程）",
    DeskMetrics: "desk（预警台）",
    CommitMetrics: "提交：worker、trainer、desk、deliver",
    RelayMetrics: "转发：worker、desk",
    StoreMetrics: "Redis：desk",
    DeliveryMetrics: "deliver（投递进程）",
}


def about_metrics(titles: dict[type[Metrics], str]) -> dict[str, object]:
    """What docs/metrics.md tells of health and metrics."""
    return {
        "groups": {title: group(CollectorRegistry()).described for group, title in titles.items()},
        "labels": VALUES,
        "shops": MAX_SHOPS,
        "beat_seconds": f"{BEAT_SECONDS:g}",
        "stalled_exit": Stalled.exit_code,
    }


def metrics_zh() -> dict[str, str]:
    """What every metric means in Chinese."""
    return tomllib.loads((TEMPLATES / "metrics.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Sizes:
    """How many bytes are stored of a customer at most."""

    settings: Settings
    decision: int = DECISION_BYTES
    seen: int = MAX_FEATURE_BYTES
    features: int = len(FEATURES)
    experts: int = len(EXPERTS)
    fact: int = 8 * len(SLOTS)
    recent: int = ID_BYTES
    state: int = max_bytes(0)

    @property
    def waiting(self) -> int:
        """How many decisions wait at most."""
        return math.ceil((self.settings.horizon + self.settings.lateness) / self.settings.decide_every) + 1

    @property
    def total(self) -> int:
        """Bytes of a customer."""
        return max_bytes(self.waiting)

    @property
    def days(self) -> list[int]:
        """Horizon, lateness and period."""
        return [span // DAY_US for span in (self.settings.horizon, self.settings.lateness, self.settings.decide_every)]


def write() -> None:
    """Write every page."""
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
