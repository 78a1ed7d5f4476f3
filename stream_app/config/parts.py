"""The settings of Redis and of our own processes."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn, Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, StringConstraints, model_validator

from stream_app.config.fields import (
    SECOND_US,
    Bytes,
    ContradictionError,
    Positive,
    Section,
    Span,
    require_tls_files,
    secret,
    setting,
)
from stream_app.core.model.signature import Keys
from stream_app.errors import BadConfig

MINUTE_US: Final = 60 * SECOND_US
PORT_OFFSETS: Final = {
    "worker": 0,
    "trainer": 1,
    "allocator": 2,
    "notifier": 3,
}  # above health.port: all may run on one machine
Chunk = Annotated[int, Field(gt=0, le=20_000)]  # more would be a commit of seconds
_KEYS: Final = 2  # while one replaces the other
_KEY_LENGTH: Final = 32  # characters of a key of signatures
_KEY_SETTING: Final = "model.key_file (STREAM_APP_MODEL__KEY_FILE)"
_INSTANCE: Final = re.compile(r"[^a-zA-Z0-9._-]+")


def this_host() -> str:
    """The name of this machine as an instance id may be written."""
    return _INSTANCE.sub("-", socket.gethostname()) or "worker"


class Redis(Section):
    """Where states and positions are kept. A password in the URL is taken out of it, and never shown."""

    url: str = setting("redis://127.0.0.1:6379/0", "redis://host:port/db, rediss:// with encryption.", "Redis 地址")
    password: SecretStr | None = setting(None, "The password; from the environment only.", "密码，只能来自环境变量")
    password_file: Path | None = setting(None, "A file with the password in its first line.", "存放密码的文件")
    ca_file: Path | None = setting(
        None, "Certificates to trust besides the system's, PEM, for rediss://.", "除系统证书外额外信任的 CA 证书（PEM）"
    )
    cert_file: Path | None = setting(None, "The client's certificate, PEM.", "客户端证书（PEM）")
    key_file: Path | None = setting(None, "The key of the client's certificate, PEM.", "客户端私钥（PEM）")
    prefix: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$")] = setting(
        "churn", "All our keys begin with it; one a shop.", "键的前缀"
    )
    cluster: bool = setting(False, "Whether the address is one of a Redis Cluster.", "是否为 Redis 集群")
    connect_timeout: Span = setting(5 * SECOND_US, "How long a connection is waited for.", "连接超时")
    answer_timeout: Span = setting(10 * SECOND_US, "How long an answer is waited for.", "应答超时")

    @model_validator(mode="before")
    @classmethod
    def _take_out_password(cls, values: object) -> object:
        if not isinstance(values, dict) or not isinstance(values.get("url"), str):
            return values
        parts = split_url(values["url"])
        if parts.password is None:
            return values
        if values.get("password") or values.get("password_file"):
            raise ContradictionError(("url",), "holds a password, and another is given", "Give one of them.")
        user = f"{parts.username}@" if parts.username else ""
        bare = urlunsplit(parts._replace(netloc=user + parts.netloc.rpartition("@")[2]))
        return {**values, "url": bare, "password": unquote(parts.password)}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        parts = split_url(self.url)
        if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path):
            raise ContradictionError(("url",), "is no address of a Redis", "Write redis://host:6379/0.")
        if self.password is not None and self.password_file is not None:
            raise ContradictionError(("password_file",), "is given beside a password", "Give one of the two.")
        self.secret()
        files = (self.ca_file, self.cert_file, self.key_file)
        remedy = "Write rediss:// in redis.url, or leave it out."
        encrypted = parts.scheme == "rediss"
        require_tls_files(files, encrypted=encrypted, scheme=f"{parts.scheme}://", remedy=remedy)
        return self

    def secret(self) -> str | None:
        """The password, wherever it stands."""
        return secret(self.password, self.password_file)


def split_url(url: str) -> SplitResult:
    """The parts of an address; raises ContradictionError, which does not show it, since it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ContradictionError(("url",), "is no address", "Write redis://host:6379/0.") from error
    return parts


class Worker(Section):
    """The processes that score."""

    instance: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = Field(
        default_factory=this_host,
        description="Which worker this is: the same after a restart, and another for each that runs.",
        json_schema_extra={"zh": "实例标识，重启后不变", "default": "the host's name"},
    )
    batch_events: Chunk = setting(1_000, "Events of one commit at most.", "单次提交的最大事件数")
    buffer_bytes: Bytes = setting(16_777_216, "Read ahead for one partition number, bytes.", "每个分区号的缓冲字节数")
    decisions_chunk: Chunk = setting(2_000, "Decisions of one commit at most.", "单次提交的最大决策数")
    publish_scores: bool = setting(False, "Whether scores are sent to kafka.topics.scores.", "是否发布评分")
    skew: Span = setting(
        5 * MINUTE_US, "An event so much later than the broker's clock is refused.", "允许事件时间超前的幅度"
    )
    fall_behind: Span = setting(
        MINUTE_US, "Not ready while the oldest waiting event is older than this.", "积压超过该时长即视为未就绪"
    )


class Ticks(Section):
    """Who moves time on where nothing happens."""

    clock: Literal["wall", "log"] = setting(
        "wall",
        "wall: the workers' clock; log: a published log brings its own ticks, and lanes wait for them.",
        "时间来源：真实时钟或日志",
    )
    every: Span = setting(10 * SECOND_US, "How often a tick is written.", "刻度间隔")
    lease_ttl: Span = setting(30 * SECOND_US, "A silent owner of the clock loses it after so long.", "时钟租约时长")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.every <= 0:
            raise ContradictionError(("every",), "is nought", "Give 10s.")
        if self.lease_ttl < 2 * self.every:
            raise ContradictionError(("lease_ttl",), "is less than two ticks", "Give at least twice ticks.every.")
        return self


class Trainer(Section):
    """The one process that learns."""

    keep: Positive = setting(30, "Versions of the model that are kept to roll back to.", "保留的模型版本数")


class Model(Section):
    """Who may write the model."""

    key_file: Path | None = setting(
        None,
        "File with the key that signs the model, the same for the trainer and all workers; second line: the old key.",
        "模型签名密钥文件，训练进程与所有工作进程相同；第二行可为旧密钥",
    )

    def keys(self) -> Keys:
        """Return the keys of the file: the first signs, all verify. Raise BadConfig if there is none of use."""
        if self.key_file is None:
            self._refuse("is not given, and a model must be signed", "Set it for the trainer and all workers.")
        try:
            keys = self.key_file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not text"
            self._refuse(f"names {self.key_file}, which cannot be read ({problem})", "Check path and permissions.")
        if not 1 <= len(keys) <= _KEYS:
            self._refuse(f"names {self.key_file}, which holds {len(keys)} keys", "Write one, or the new and the old.")
        if min(map(len, keys)) < _KEY_LENGTH:
            self._refuse(f"names {self.key_file}, with a key of fewer than {_KEY_LENGTH} characters", "Make a new one.")
        return tuple(key.encode() for key in keys)

    def _refuse(self, problem: str, remedy: str) -> NoReturn:
        make = "`stream-app secret model.key --form password` makes a key (docs/deploy.md, Signed models)."
        raise BadConfig(name=_KEY_SETTING, problem=problem, remedy=f"{remedy} {make}")


class Health(Section):
    """What the process tells of itself over HTTP."""

    host: str = setting("127.0.0.1", "Where /livez, /readyz and /metrics are served.", "健康检查监听地址")
    port: Annotated[int, Field(ge=0, le=65_532)] = setting(
        9464,
        "Of a worker; the trainer's is one higher, the desk's two, the deliverer's three. 0: not served.",
        "健康检查端口：训练进程 +1，派单台 +2，通知进程 +3",
    )
    watchdog_after: Span = setting(
        2 * MINUTE_US,
        "A process that stands still for so long while there is lag ends itself; 0: never.",
        "停滞多久后自行退出",
    )


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "From which level on.", "日志级别")
    format: Literal["json", "console"] = setting("json", "For machines or for people.", "日志格式")
