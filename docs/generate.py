"""Write the pages of docs/ that are generated from the code: `make docs`. A test keeps them current."""

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
from stream_app.config.listing import Row, rows as all_settings
from stream_app.core.causes.catalogue import CAUSES, FAMILY, ONE_TIME, POOR_EXPERIENCE, REPEAT
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.causes.inference import MISLEADING
from stream_app.core.causes.learning import SHOWING
from stream_app.core.causes.rule import EvidenceRule
from stream_app.core.customers.codec.counters import COUNTER_BYTES
from stream_app.core.customers.codec.decisions import DECISION_BYTES, MAX_FEATURE_BYTES
from stream_app.core.customers.codec.states import max_bytes
from stream_app.core.customers.customer import ID_BYTES
from stream_app.core.events.schema import KINDS
from stream_app.core.events.spellings import SPELLINGS
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.model.features import FEATURES
from stream_app.core.model.scores import EXPERTS
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import MAX_SHOPS
from stream_app.core.state.counters import COMPLAINED, CONTACT_PERIOD_DAYS, COUNTERS, PERIOD_DAYS
from stream_app.core.state.vector import DECAYED, HALF_LIVES, ID_RING, SLOTS
from stream_app.core.units import DAY_US
from stream_app.errors import Stalled
from stream_app.i18n import LANGUAGES, Translator, catalogue
from stream_app.metrics.allocator import AllocatorMetrics
from stream_app.metrics.base import Metrics
from stream_app.metrics.kpis import KpiMetrics
from stream_app.metrics.labels import VALUES
from stream_app.metrics.notifier import DeliveryMetrics
from stream_app.metrics.runtime import CommitMetrics, InputMetrics, RedisMetrics, RelayMetrics, SkippedMetrics
from stream_app.metrics.trainer import QualityMetrics, TrainerMetrics
from stream_app.metrics.worker import WorkerMetrics
from stream_app.notifications.messages import template_loader
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.playbook.measures import CAUSES as MEASURED, Playbook
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.schema import json_schema, render
from stream_app.schema.channels import TOPICS
from stream_app.schema.examples import examples
from stream_app.schema.words import COMMON, meaning_of_kind, meanings, units

DOCS: Final = Path(__file__).parent
TEMPLATES: Final = DOCS / "templates"


def pages() -> dict[str, str]:
    """Return the text of every generated file, by its path below docs/."""
    return {
        "schema/events.schema.json": render("json-schema"),
        "schema/alerts.schema.json": render("json-schema", "alerts"),
        "schema/webhook.schema.json": render("json-schema", "webhook"),
        "schema/asyncapi.json": render("asyncapi"),
        **reference("events", **about_events()),
        **reference("features", features=FEATURES),
        **reference("state", **about_state()),
        **reference("settings", sections=about_settings()),
        **reference("playbook", **about_playbook()),
        **reference("causes", **about_causes()),
        "reference/metrics.md": filled("metrics.md.j2", **about_metrics(TITLES)),
        "reference/metrics.zh.md": filled("metrics.zh.md.j2", zh=metrics_zh(), **about_metrics(TITLES_ZH)),
        "../deploy/kafka-acls.sh": kafka_acls(LiveConfig().kafka),
        "../deploy/redis-users.acl": redis_acls(LiveConfig().redis),
    }


def reference(page: str, **facts: object) -> dict[str, str]:
    """Return a page of docs/reference in both languages, by its paths below docs/."""
    return {
        f"reference/{page}.md": filled(f"{page}.md.j2", **facts),
        f"reference/{page}.zh.md": filled(f"{page}.zh.md.j2", **facts),
    }


def filled(template: str, **facts: object) -> str:
    """Render a template with the facts."""
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
    """Return the facts of the page of the event format."""
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
    return {
        "schema": schema,
        "every": field_rows(COMMON, schema["$defs"]["Browsing"]),
        "kinds": kinds,
        "types_zh": TYPES_ZH,
        "units_zh": UNITS_ZH,
    }


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
    """Return the fields that hold a word, with their words."""
    known = {name: field["anyOf"][0].get("enum") for name, field in payload["properties"].items() if "anyOf" in field}
    return {name: words for name, words in known.items() if words}


def json_type(schema: dict[str, Any]) -> str:
    """Return the type of a field in the JSON, as one word.

    >>> json_type({"anyOf": [{"type": "number"}, {"type": "null"}]})
    'number'
    """
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    if any("enum" in one for one in options):
        return "word"
    return "time" if options[0].get("format") == "date-time" else str(options[0]["type"])


def about_state() -> dict[str, object]:
    """Return the facts of the page of the customer state."""
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
    """Return the facts of the page of causes: causes, evidence rules and segments."""
    return {
        "causes": [
            {
                "key": cause,
                "family": cause in POOR_EXPERIENCE,
                "names": [Translator(lang).cause(cause) for lang in LANGUAGES],
                "one_time": ONE_TIME[cause],
                "repeat": REPEAT[cause],
                "signs": [sign_row(sign, cause) for sign in EVIDENCE_RULES if cause in sign.likelihoods],
            }
            for cause in CAUSES
        ],
        "plain": [sign_row(sign) for sign in EVIDENCE_RULES if not sign.likelihoods],
        "family": [FAMILY, *(Translator(lang).cause(FAMILY) for lang in LANGUAGES)],
        "segments": [(key, *(Translator(lang).segment(key) for lang in LANGUAGES)) for key in SEGMENTS],
        "showing": SHOWING,
        "misled": MISLEADING,
        "period": PERIOD_DAYS,
        "contact_period": CONTACT_PERIOD_DAYS,
        "kinds": COMPLAINED,
    }


def sign_row(sign: EvidenceRule, cause: str = "") -> dict[str, object]:
    """Return a row of a cause's table: fields, thresholds, probabilities and texts of an evidence rule."""
    return {
        "key": sign.key,
        "needs": sign.fields,
        "given": [str(threshold) for threshold in sign.applies_if],
        "thresholds": [str(threshold) for threshold in sign.thresholds],
        "chance": sign.likelihoods.get(cause, 0.0),
        "otherwise": sign.base_rate,
        "words": [example_words(sign.key, lang) for lang in LANGUAGES],
    }


def example_words(key: str, lang: str) -> str:
    """Return the text of an evidence rule with the names of its numbers.

    >>> example_words("reopened", "en")
    '‹complaints› complaint(s) reopened'
    """
    text = re.sub(r"\{(\w+):n (\w[^|}]*)\|[^}]*\}", r"‹\1› \2(s)", catalogue(lang, "explanations")["evidence"][key])
    return re.sub(r"\{(\w+)[^}]*\}", r"‹\1›", text)


def about_settings() -> dict[str, list[Row]]:
    """Return the settings by section; `kafka.topics` is a section beside `kafka`."""
    sections: dict[str, list[Row]] = {}
    for row in all_settings():
        sections.setdefault(".".join(row.place[:-1]), []).append(row)
    return sections


def row_of(slot: str) -> str:
    """Return the key in facts.toml of a slot of the state vector.

    >>> row_of("complaint_3_opened"), row_of("decayed_money_7d"), row_of("orders")
    ('complaint_N_opened', 'decayed_KIND_Nd', 'orders')
    """
    return re.sub(r"\d+", "N", re.sub(rf"^decayed_({'|'.join(DECAYED)})_", "decayed_KIND_", slot))


def marks() -> dict[str, dict[str, str]]:
    """Return the rows of marks.toml, one per counter; all kinds of complaints share one."""
    return tomllib.loads((TEMPLATES / "marks.toml").read_text(encoding="utf-8"))


def mark_row_of(name: str) -> str:
    """Return the key in marks.toml of a counter.

    >>> mark_row_of("about_price"), mark_row_of("late")
    ('about_KIND', 'late')
    """
    return "about_KIND" if name.startswith("about_") else name


def facts() -> dict[str, dict[str, str]]:
    """Return the rows of facts.toml."""
    return tomllib.loads((TEMPLATES / "facts.toml").read_text(encoding="utf-8"))


TYPES_ZH: Final = {
    "boolean": "真假",
    "integer": "整数",
    "number": "数值",
    "string": "字符串",
    "time": "时间",
    "word": "用词",
}
UNITS_ZH: Final = {
    "": "",
    "1 to 256 characters": "1 至 256 个字符",
    "1 to 5": "1 至 5",
    "ISO 4217": "ISO 4217",
    "count": "个数",
    "money in the shop's currency": "店铺货币",
    "pieces": "件",
    "seconds": "秒",
}
TITLES: Final[dict[type[Metrics], str]] = {
    KpiMetrics: "Customers and shop: worker",
    WorkerMetrics: "Worker",
    QualityMetrics: "Quality of the model: trainer",
    TrainerMetrics: "Trainer",
    AllocatorMetrics: "Allocator",
    CommitMetrics: "Commits: worker, trainer, allocator, notifier",
    InputMetrics: "Input: all services",
    RelayMetrics: "Outbox relay: worker, allocator",
    SkippedMetrics: "Skipped records: trainer, allocator, notifier",
    RedisMetrics: "Redis: allocator",
    DeliveryMetrics: "Notifier",
}
TITLES_ZH: Final[dict[type[Metrics], str]] = {
    KpiMetrics: "客户与店铺：工作进程",
    WorkerMetrics: "工作进程",
    QualityMetrics: "模型质量：训练进程",
    TrainerMetrics: "训练进程",
    AllocatorMetrics: "派单进程",
    CommitMetrics: "提交：工作、训练、派单、通知进程",
    InputMetrics: "输入：所有服务",
    RelayMetrics: "发件箱转发：工作、派单进程",
    SkippedMetrics: "跳过的记录：训练、派单、通知进程",
    RedisMetrics: "Redis：派单进程",
    DeliveryMetrics: "通知进程",
}


def about_metrics(titles: dict[type[Metrics], str]) -> dict[str, object]:
    """Return the facts of the page of metrics, with these titles of the groups."""
    return {
        "groups": {title: group(CollectorRegistry()).described for group, title in titles.items()},
        "labels": VALUES,
        "shops": MAX_SHOPS,
        "beat_seconds": f"{BEAT_SECONDS:g}",
        "stalled_exit": Stalled.exit_code,
    }


def metrics_zh() -> dict[str, str]:
    """Return the meaning of every metric in Chinese."""
    return tomllib.loads((TEMPLATES / "metrics.toml").read_text(encoding="utf-8"))


def about_playbook() -> dict[str, object]:
    """Return the facts of the page of the playbook: measures and messages."""
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
    """Compose messages from fixed alerts."""
    composer = PlaybookComposer(playbook, zone="Asia/Shanghai", currency="CNY")
    (urgent, plain), size = sample_alerts(), 2_048
    texts = {f"alert_{lang}": composer.alert(plain, lang, size).markdown for lang in LANGUAGES}
    for lang in LANGUAGES:
        ((digest, _),) = composer.digest([plain, urgent], lang, size)
        texts[f"digest_{lang}"] = digest.markdown
    return {name: "\n".join(line.rstrip() for line in text.split("\n")) for name, text in texts.items()}


def sample_alerts() -> tuple[AlertOpened, AlertOpened]:
    """Return an urgent alert and a daily one, of invented customers."""
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
    """The largest sizes of what is stored of a customer, in bytes."""

    settings: Settings
    decision: int = DECISION_BYTES
    seen: int = MAX_FEATURE_BYTES
    features: int = len(FEATURES)
    experts: int = len(EXPERTS)
    fact: int = 8 * len(SLOTS)
    mark: int = COUNTER_BYTES
    recent: int = ID_BYTES
    state: int = max_bytes(0)

    @property
    def waiting(self) -> int:
        """Return the largest number of waiting decisions."""
        return math.ceil((self.settings.horizon + self.settings.lateness) / self.settings.decide_every) + 1

    @property
    def total(self) -> int:
        """Return the largest size of a customer."""
        return max_bytes(self.waiting)

    @property
    def days(self) -> list[int]:
        """Return horizon, lateness and period, in days."""
        return [span // DAY_US for span in (self.settings.horizon, self.settings.lateness, self.settings.decide_every)]


def write() -> None:
    """Write every generated file."""
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
