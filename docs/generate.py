"""Writes the pages of docs/ that are made from the code: `make docs`. A test keeps them current."""

from __future__ import annotations

import enum
import json
import math
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import BEAT_SECONDS
from stream_app.adapters.kafka.acls import kafka_acls
from stream_app.adapters.redis.acls import redis_acls
from stream_app.config import LiveConfig
from stream_app.config.listing import Row
from stream_app.config.listing import rows as all_settings
from stream_app.core.causes.catalogue import CAUSES, FAMILY, ONE_TIME, POOR_EXPERIENCE, REPEAT
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES, EvidenceRule
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.causes.inference import MISLED, TOLD
from stream_app.core.customers.codec.counters import MARK_BYTES
from stream_app.core.customers.codec.pending import DECISION_BYTES, EXPERTS, MAX_FEATURE_BYTES
from stream_app.core.customers.codec.states import max_bytes
from stream_app.core.customers.customer import ID_BYTES
from stream_app.core.events.schema import KINDS
from stream_app.core.events.spellings import SPELLINGS
from stream_app.core.messages.schema import AlertOpened
from stream_app.core.model.features import FEATURES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import MAX_SHOPS
from stream_app.core.state.counters import COMPLAINED, CONTACT_PERIOD_DAYS, COUNTERS, PERIOD_DAYS
from stream_app.core.state.vector import DECAYED, HALF_LIVES, ID_RING, SLOTS
from stream_app.core.units import DAY_US
from stream_app.errors import Stalled
from stream_app.i18n import LANGUAGES, Translator, catalogue
from stream_app.metrics import (
    VALUES,
    AllocatorMetrics,
    CommitMetrics,
    DeliveryMetrics,
    InputMetrics,
    KpiMetrics,
    Metrics,
    QualityMetrics,
    RelayMetrics,
    SkippedMetrics,
    StoreMetrics,
    TrainerMetrics,
    WorkerMetrics,
)
from stream_app.notifications.messages import template_loader
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.playbook.measures import CAUSES as MEASURED
from stream_app.notifications.playbook.measures import Playbook
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.schema import json_schema, render
from stream_app.schema.channels import TOPICS
from stream_app.schema.examples import examples
from stream_app.schema.words import COMMON, meaning_of_kind, meanings, units

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
        "playbook.md": filled("playbook.md.j2", **about_playbook()),
        "playbook.zh.md": filled("playbook.zh.md.j2", **about_playbook()),
        "causes.md": filled("causes.md.j2", **about_causes()),
        "../deploy/kafka-acls.sh": kafka_acls(LiveConfig().kafka),
        "../deploy/redis-users.acl": redis_acls(LiveConfig().redis),
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
                "meaning_zh": meaning_of_kind(kind, "zh").removesuffix("。"),
                "fields": field_rows(kind, payload),
                "words": enumerations(payload),
                "spellings": {
                    field.name: SPELLINGS[field.type.__name__]
                    for field in msgspec.structs.fields(struct)
                    if isinstance(field.type, enum.EnumType)
                },
                "example": json.dumps(examples(kind)[0], indent=2, ensure_ascii=False),
            }
        )
    return {"schema": schema, "every": field_rows(COMMON, schema["$defs"]["Browsing"]), "kinds": kinds}


def field_rows(kind: str, payload: dict[str, Any]) -> list[dict[str, object]]:
    """Return a row of the table for each field of a kind, or of COMMON."""
    chinese = meanings(kind, "zh")
    return [
        {
            "name": name,
            "required": name in payload["required"],
            "type": json_type(payload["properties"][name]),
            "words": {"en": english, "zh": chinese[name], "unit": units(kind).get(name, "")},
        }
        for name, english in meanings(kind).items()
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
        "marks": marks(),
        "mark_count": len(COUNTERS),
        "period": PERIOD_DAYS,
        "contact_period": CONTACT_PERIOD_DAYS,
        "decayed": DECAYED,
        "half_lives": [f"{half_life:g}" for half_life in HALF_LIVES],
        "size": Sizes(Settings()),
    }


def about_causes() -> dict[str, object]:
    """What docs/causes.md tells of causes, signs and segments."""
    return {
        "causes": [
            {
                "key": cause,
                "family": cause in POOR_EXPERIENCE,
                "names": [Translator(lang).cause(cause) for lang in LANGUAGES],
                "one_time": ONE_TIME[cause],
                "repeat": REPEAT[cause],
                "signs": [sign_row(sign, cause) for sign in EVIDENCE_RULES if cause in sign.chances],
            }
            for cause in CAUSES
        ],
        "plain": [sign_row(sign) for sign in EVIDENCE_RULES if not sign.chances],
        "family": [FAMILY, *(Translator(lang).cause(FAMILY) for lang in LANGUAGES)],
        "segments": [(key, *(Translator(lang).segment(key) for lang in LANGUAGES)) for key in SEGMENTS],
        "told": TOLD,
        "misled": MISLED,
        "period": PERIOD_DAYS,
        "contact_period": CONTACT_PERIOD_DAYS,
        "kinds": COMPLAINED,
    }


def sign_row(sign: EvidenceRule, cause: str = "") -> dict[str, object]:
    """A row of the table of a cause: what the sign needs, when it is there, how often it is seen, and its words."""
    return {
        "key": sign.key,
        "needs": sign.needs,
        "given": [str(threshold) for threshold in sign.given],
        "thresholds": [str(threshold) for threshold in sign.thresholds],
        "chance": sign.chances.get(cause, 0.0),
        "otherwise": sign.otherwise,
        "words": [example_words(sign.key, lang) for lang in LANGUAGES],
    }


def example_words(key: str, lang: str) -> str:
    """The words of a sign with the names of its numbers in their places.

    >>> example_words("reopened", "en")
    '‹complaints› complaint(s) reopened'
    """
    text = re.sub(r"\{(\w+):n (\w[^|}]*)\|[^}]*\}", r"‹\1› \2(s)", catalogue(lang, "explanations")["evidence"][key])
    return re.sub(r"\{(\w+)[^}]*\}", r"‹\1›", text)


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


def marks() -> dict[str, dict[str, str]]:
    """The rows of marks.toml, one for each of marks.COUNTED; all kinds of complaints have one."""
    return tomllib.loads((TEMPLATES / "marks.toml").read_text(encoding="utf-8"))


def mark_row_of(name: str) -> str:
    """The row of marks.toml that tells of a count.

    >>> mark_row_of("about_price"), mark_row_of("late")
    ('about_KIND', 'late')
    """
    return "about_KIND" if name.startswith("about_") else name


def facts() -> dict[str, dict[str, str]]:
    """The rows of facts.toml."""
    return tomllib.loads((TEMPLATES / "facts.toml").read_text(encoding="utf-8"))


TITLES: Final[dict[type[Metrics], str]] = {
    KpiMetrics: "Customers and shop: worker",
    WorkerMetrics: "Worker",
    QualityMetrics: "Quality of the model: trainer",
    TrainerMetrics: "Trainer",
    AllocatorMetrics: "Desk",
    CommitMetrics: "Commits: worker, trainer, desk, deliverer",
    InputMetrics: "Input: all services",
    RelayMetrics: "Relay: worker, desk",
    SkippedMetrics: "Skipped records: trainer, desk, deliverer",
    StoreMetrics: "Redis: desk",
    DeliveryMetrics: "Deliverer",
}
TITLES_ZH: Final[dict[type[Metrics], str]] = {
    KpiMetrics: "客户与店铺：worker",
    WorkerMetrics: "worker（评分进程）",
    QualityMetrics: "模型质量：trainer",
    TrainerMetrics: "trainer（训练进程）",
    AllocatorMetrics: "desk（派单台）",
    CommitMetrics: "提交：worker、trainer、desk、deliver",
    InputMetrics: "输入：所有服务",
    RelayMetrics: "转发：worker、desk",
    SkippedMetrics: "跳过的记录：trainer、desk、deliver",
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


def about_playbook() -> dict[str, object]:
    """What docs/playbook.md tells of measures and messages."""
    playbook = load_playbook()
    causes = [
        {
            "key": key,
            "name": {lang: Translator(lang).cause(key) for lang in LANGUAGES},
            "measure": playbook.measure(key),
            "channels": ", ".join(channel.value for channel in playbook.measure(key).channels),
            "segments": ", ".join(Translator("en").segment(one) for one in playbook.overridden(key)),
            "segments_zh": "、".join(Translator("zh").segment(one) for one in playbook.overridden(key)),
        }
        for key in MEASURED
    ]
    example = (TEMPLATES / "playbook.example.yaml").read_text(encoding="utf-8")
    return {
        "causes": causes,
        "never": playbook.never,
        "limits": playbook.limits,
        "example": example,
        "samples": message_samples(playbook),
        "template_filters": _code(template_loader.FILTERS),
        "template_tests": _code(template_loader.TESTS),
        "template_lists": _code(template_loader.LISTS),
        "template_loops": template_loader.MAX_LOOPS,
        "template_bytes": f"{template_loader.MAX_SOURCE_BYTES:,}",
    }


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def message_samples(playbook: Playbook) -> dict[str, str]:
    """Real messages, composed from fixed alerts."""
    composer = PlaybookComposer(playbook, zone="Asia/Shanghai", currency="CNY")
    (urgent, plain), size = sample_alerts(), 2_048
    texts = {f"alert_{lang}": composer.alert(plain, lang, size).markdown for lang in LANGUAGES}
    for lang in LANGUAGES:
        ((digest, _),) = composer.digest([plain, urgent], lang, size)
        texts[f"digest_{lang}"] = digest.markdown
    return {name: "\n".join(line.rstrip() for line in text.split("\n")) for name, text in texts.items()}


def sample_alerts() -> tuple[AlertOpened, AlertOpened]:
    """An urgent alert and one of the day's; their customers do not exist."""
    opened_at = datetime(2026, 11, 12, 1, tzinfo=UTC)
    facts: dict[str, Any] = {
        "opened_at": opened_at,
        "expires_at": opened_at + timedelta(days=14),
        "source": "model",
        "version": 58,
    }
    forgot = Explanation(
        "one_time",
        (Cause("forgot_shop", 0.74), Cause("price", 0.11), Cause("habit_change", 0.05)),
        (Evidence("silence_once", {"days": 46.0}), Evidence("no_visit", {"days": 46.0}), Evidence("no_favourite")),
    )
    waits = Explanation(
        "complaining",
        (Cause("unresolved_complaint", 0.91), Cause("logistics", 0.06)),
        (Evidence("open_complaint", {"complaints": 2.0, "open": 1.0, "days": 6.0}),),
    )
    urgent = AlertOpened(
        "al_81c0d2", "王小明13812345678", rank=0, probability=0.62, monthly_worth=410.0, silent_days=12.0,
        usual_gap_days=15.0, urgent=True, explanation=waits, **facts,
    )  # fmt: skip
    plain = AlertOpened(
        "al_3f2a91", "ann.lee@example.com", rank=1, probability=0.87, monthly_worth=78.0, silent_days=46.0,
        usual_gap_days=None, explanation=forgot, **facts,
    )  # fmt: skip
    return urgent, plain


@dataclass(frozen=True)
class Sizes:
    """How many bytes are stored of a customer at most."""

    settings: Settings
    decision: int = DECISION_BYTES
    seen: int = MAX_FEATURE_BYTES
    features: int = len(FEATURES)
    experts: int = len(EXPERTS)
    fact: int = 8 * len(SLOTS)
    mark: int = MARK_BYTES
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
