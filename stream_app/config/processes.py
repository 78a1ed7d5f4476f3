"""Process settings: workers, event time, trainer, model, delivery, health and logs."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self

from pydantic import Field, StringConstraints, model_validator

from stream_app.config.fields import Bytes, ContradictionError, ListedOrTables, Positive, Section, Span, setting
from stream_app.core.expert_spec import BUILT_IN, ExpertSpec, experts_of
from stream_app.core.model.signature import Keys
from stream_app.core.units import MINUTE_US, SECOND_US
from stream_app.errors import BadConfig, ContradictorySettings

# Added to health.port, which allows all services to run on one machine. `shop` is the simulated shop.
PORT_OFFSETS: Final = {"worker": 0, "trainer": 1, "allocator": 2, "notifier": 3, "shop": 4}
Chunk = Annotated[int, Field(gt=0, le=20_000)]  # a larger commit takes seconds
_KEYS: Final = 2  # two only while a key is being replaced
_KEY_LENGTH: Final = 32  # characters
_KEY_SETTING: Final = "model.key_file (STREAM_APP_MODEL__KEY_FILE)"
_NOT_IN_INSTANCE: Final = re.compile(r"[^a-zA-Z0-9._-]+")


def this_host() -> str:
    """Return the name of this machine, reduced to the characters allowed in an instance id."""
    return _NOT_IN_INSTANCE.sub("-", socket.gethostname()) or "worker"


class Worker(Section):
    """Workers: the services that process events and score customers."""

    instance: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = Field(
        default_factory=this_host,
        description="Instance id of a worker: unique among running workers, and unchanged after a restart.",
        json_schema_extra={"zh": "工作进程的实例标识：各不相同，重启后不变", "default": "the host's name"},
    )
    batch_events: Chunk = setting(1_000, "Maximum number of events per commit.", "每次提交的事件数上限")
    buffer_bytes: Bytes = setting(16_777_216, "Bytes to read ahead per partition number.", "每个分区号预读的字节数")
    decisions_chunk: Chunk = setting(2_000, "Maximum number of decisions per commit.", "每次提交的判断数上限")
    publish_scores: bool = setting(
        False, "Whether to write scores to kafka.topics.scores.", "是否把评分写入 kafka.topics.scores"
    )
    skew: Span = setting(
        5 * MINUTE_US,
        "How far an event's time may be ahead of the broker's clock. Later events are rejected.",
        "事件时间最多可比 Kafka 时钟超前多久，超出即拒收",
    )
    fall_behind: Span = setting(
        MINUTE_US,
        "The worker is not ready while the oldest waiting event is older than this.",
        "最早的待处理事件超过该时长时，工作进程视为未就绪",
    )


class Ticks(Section):
    """Ticks: they advance event time in partitions without events."""

    clock: Literal["wall", "log"] = setting(
        "wall",
        "Source of ticks. wall: the workers' clock. log: a published log carries its own ticks, and workers wait for "
        "them.",
        "时间来源：wall 为工作进程的时钟；log 为所发布日志自带的时间刻度，工作进程等待刻度推进",
    )
    every: Span = setting(10 * SECOND_US, "Interval between ticks.", "时间刻度的间隔")
    lease_ttl: Span = setting(
        30 * SECOND_US,
        "Time after which an unresponsive worker loses the right to write ticks.",
        "负责写刻度的进程失联多久后由其他进程接替",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.every <= 0:
            raise ContradictionError(("every",), "is zero", "Use 10s.")
        if self.lease_ttl < 2 * self.every:
            raise ContradictionError(("lease_ttl",), "is shorter than two ticks", "Use at least twice ticks.every.")
        return self


class Trainer(Section):
    """Trainer: it updates the model from labelled decisions."""

    keep: Positive = setting(30, "Number of model versions to keep for rollback.", "为回滚保留的模型版本数")


class Model(Section):
    """Experts and signature of the model."""

    experts: Annotated[tuple[str | dict[str, Any], ...], ListedOrTables] = setting(
        tuple(BUILT_IN),
        "Experts of the model: names of built-in experts, or tables for River models"
        " (docs/how-to/bring-your-own-model.md). The same for the trainer and all workers.",
        "模型所含的专家：内置专家的名称，或以表格指定任意 River 模型（docs/how-to/bring-your-own-model.md）；"
        "训练进程与所有工作进程须一致",
    )
    key_file: Path | None = setting(
        None,
        "File with the key that signs the model, shared by the trainer and all workers. Line 2 may hold an old key.",
        "模型签名密钥文件，训练进程与所有工作进程共用；更换密钥时第二行可写旧密钥",
    )

    def expert_specs(self) -> tuple[ExpertSpec, ...]:
        """Return the experts.

        >>> [one.name for one in Model(experts=["linear", "prior"]).expert_specs()]
        ['linear', 'prior']
        """
        return experts_of(self.experts)

    @model_validator(mode="after")
    def _valid_in_the_core(self) -> Self:
        try:
            self.expert_specs()
        except ContradictorySettings as error:
            raise ContradictionError(("experts",), str(error.facts["problem"]), str(error.facts["remedy"])) from error
        return self

    def keys(self) -> Keys:
        """Return the keys in the key file. The first one signs, all of them verify. Raises BadConfig if invalid."""
        if self.key_file is None:
            self._refuse("is not set, but models must be signed", "Set it for the trainer and all workers.")
        try:
            keys = self.key_file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not text"
            self._refuse(f"names {self.key_file}, which cannot be read ({problem})", "Check path and permissions.")
        if not 1 <= len(keys) <= _KEYS:
            self._refuse(f"names {self.key_file}, which contains {len(keys)} keys", "Use one key, or new and old.")
        if min(map(len, keys)) < _KEY_LENGTH:
            self._refuse(f"names {self.key_file}, with a key shorter than {_KEY_LENGTH} characters", "Use a new key.")
        return tuple(key.encode() for key in keys)

    def _refuse(self, problem: str, remedy: str) -> NoReturn:
        create = "`stream-app secret model.key --form password` creates a key (docs/how-to/model-key.md)."
        raise BadConfig(name=_KEY_SETTING, problem=problem, remedy=f"{remedy} {create}")


class Delivery(Section):
    """Delivery of alerts to the staff."""

    config: Path | None = setting(
        None,
        "YAML file of channels (docs/reference/delivery.md). Without it, nothing is delivered.",
        "通知渠道文件；不设置则不投递",
    )
    playbook: Path | None = setting(
        None,
        "YAML file with your own measures, which override the built-in playbook (docs/reference/playbook.md).",
        "自定义应对措施的文件，覆盖内置手册",
    )
    templates: Path | None = setting(None, "Folder with your own message templates.", "自定义消息模板的文件夹")
    currency: str = setting("", "Currency shown next to amounts in messages, such as CNY.", "消息中金额的币种，如 CNY")


class Health(Section):
    """Health and metrics over HTTP."""

    host: str = setting("127.0.0.1", "Address that serves /livez, /readyz and /metrics.", "健康检查与指标的监听地址")
    port: Annotated[int, Field(ge=0, le=65_532)] = setting(
        9464,
        "Port of a worker. The trainer uses port + 1, the allocator + 2, the notifier + 3. 0 disables the endpoint.",
        "工作进程的端口；训练进程 +1，派单进程 +2，通知进程 +3；0 表示关闭",
    )
    watchdog_after: Span = setting(
        2 * MINUTE_US,
        "A process that makes no progress for this long despite lag ends itself. 0 disables it.",
        "有积压却持续无进展超过该时长时进程自行退出；0 表示关闭",
    )


class Log(Section):
    """Logging to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "Lowest level to write.", "最低日志级别")
    format: Literal["json", "console"] = setting(
        "json", "json for log collectors, console for terminals.", "json 供日志采集，console 供终端查看"
    )
