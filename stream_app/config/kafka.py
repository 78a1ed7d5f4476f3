"""The settings of Kafka: where it is, how we prove who we are, the topics and how they are kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from stream_app.config.fields import (
    FOREVER,
    SECOND_US,
    Bytes,
    ContradictionError,
    Retention,
    Section,
    Span,
    require_tls_files,
    secret,
    setting,
)
from stream_app.core.units import DAY_US

TopicName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
SHOP_TOPICS: Final = ("browsing", "cart", "complaints", "orders")
SYSTEM_INPUTS: Final = ("contacts", "ticks")
INPUTS: Final = SHOP_TOPICS + SYSTEM_INPUTS
OUTPUTS: Final = ("labelled", "nominations", "scores", "alerts", "dead_letters")


class Topics(Section):
    """The names of the topics. All have the same number of partitions."""

    browsing: TopicName = setting("shop.browsing", "Page views.", "浏览事件")
    cart: TopicName = setting("shop.cart", "Changes of carts and favourites.", "购物车与收藏事件")
    complaints: TopicName = setting("shop.complaints", "Complaints and their handling.", "投诉事件")
    orders: TopicName = setting("shop.orders", "Orders and what becomes of them.", "订单事件")
    contacts: TopicName = setting("shop.contacts", "What was sent to customers.", "对客户的触达")
    ticks: TopicName = setting("shop.ticks", "How far time has come, for quiet partitions.", "时间刻度")
    labelled: TopicName = setting("shop.labelled", "Examples with their labels, for the trainer.", "带标签的样本")
    nominations: TopicName = setting("shop.nominations", "Each partition's best, for the desk.", "各分区的提名")
    scores: TopicName = setting("shop.scores", "The latest probability of each customer.", "客户的最新流失概率")
    alerts: TopicName = setting("shop.alerts", "Alerts for the staff.", "给员工的预警")
    dead_letters: TopicName = setting(
        "shop.dead-letters", "Events that could not be read, and why.", "无法读取的事件及原因"
    )

    def of(self, *roles: str) -> dict[str, str]:
        """The names of some topics, by their roles.

        >>> Topics().of("orders", "ticks")
        {'orders': 'shop.orders', 'ticks': 'shop.ticks'}
        """
        return {role: getattr(self, role) for role in roles}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = Counter(getattr(self, role) for role in (*INPUTS, *OUTPUTS))
        for role in (*INPUTS, *OUTPUTS):
            name = getattr(self, role)
            if names[name] > 1:
                raise ContradictionError((role,), f"is {name!r}, as another topic is", "Give each a name of its own.")
        return self


class Security(Section):
    """How we prove to Kafka who we are. A password stands in the environment or in a file of its own, nowhere else."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "How the connection is protected.", "连接的安全协议"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = setting(
        None, "How the password is proven; needed with SASL.", "SASL 机制"
    )
    username: str | None = setting(None, "The user; needed with SASL.", "用户名")
    password: SecretStr | None = setting(None, "The password; from the environment only.", "密码，只能来自环境变量")
    password_file: Path | None = setting(None, "A file with the password in its first line.", "存放密码的文件")
    ca_file: Path | None = setting(None, "Certificates that we trust, PEM; the system's by default.", "受信任的证书")
    cert_file: Path | None = setting(None, "Our own certificate, PEM.", "客户端证书")
    key_file: Path | None = setting(None, "The key of our certificate, PEM.", "客户端私钥")

    @property
    def sasl(self) -> bool:
        """Whether we log in with a password."""
        return self.protocol.startswith("SASL")

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    def secret(self) -> str | None:
        """The password, wherever it stands."""
        return secret(self.password, self.password_file)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ContradictionError(("password_file",), "is given beside a password", "Give one of the two.")
        known = {"sasl_mechanism": self.sasl_mechanism, "username": self.username, "password": self.secret()}
        for name, value in known.items():
            if self.sasl and value is None:
                raise ContradictionError((name,), f"is missing, and {self.protocol} needs it", "Give it.")
            if not self.sasl and value is not None:
                remedy = "Give protocol SASL_SSL or SASL_PLAINTEXT, or leave it out."
                raise ContradictionError((name,), f"has no use with {self.protocol}", remedy)
        self._check_files()
        return self

    def _check_files(self) -> None:
        files = (self.ca_file, self.cert_file, self.key_file)
        remedy = "Give protocol SSL or SASL_SSL, or leave it out."
        require_tls_files(files, encrypted=self.encrypted, scheme=self.protocol, remedy=remedy)


class Kafka(Section):
    """The brokers, the topics, and how we read from them."""

    bootstrap: Annotated[str, StringConstraints(pattern=r"^[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*$")] = setting(
        "127.0.0.1:9092", "The first brokers to ask: host:port, several with commas between them.", "引导服务器"
    )
    client_id: str = setting("stream-app", "What the broker's logs call us.", "客户端名称")
    group: str = setting(
        "churn", "The consumer group of the workers; all other groups begin with it.", "消费组，其余消费组均以此为前缀"
    )
    partitions: Annotated[int, Field(ge=1, le=1024)] = setting(
        4, "Partitions of every topic. The most workers that can share the work.", "每个主题的分区数"
    )
    replication: Annotated[int, Field(ge=1, le=32_767)] = setting(
        1, "Copies of every partition; 3 where nothing may be lost.", "副本数"
    )
    retention_inputs: Retention = setting(
        90 * DAY_US, "How long events are kept, or `forever`; at least horizon + lateness.", "输入主题的保留时间"
    )
    retention_internal: Retention = setting(
        30 * DAY_US, "How long all other topics are kept, or `forever`.", "内部主题的保留时间"
    )
    session_timeout: Span = setting(
        10 * SECOND_US, "A worker that is silent for so long loses its partitions.", "会话超时"
    )
    heartbeat: Span = setting(3 * SECOND_US, "How often a worker tells that it lives.", "心跳间隔")
    request_timeout: Span = setting(30 * SECOND_US, "How long an answer of the broker is waited for.", "请求超时")
    fetch_max_wait: Span = setting(10_000, "How long the broker waits for fetch_min_bytes.", "拉取最长等待")
    fetch_min_bytes: Bytes = setting(
        32_768,
        "Less is waited for: many small answers cost broker and worker a lot.",
        "单次拉取的最小字节数",
    )
    fetch_partition_bytes: Bytes = setting(1_048_576, "Of one partition in an answer, bytes.", "单分区拉取的最大字节数")
    misplaced: Literal["count", "dead_letter"] = setting(
        "count",
        "A record in another partition than its customer's: counted and applied, or a dead letter.",
        "记录不在其客户所属分区时：count 计数并照常处理，dead_letter 进入死信主题",
    )
    check_topics: bool = setting(
        True,
        "Whether topics are checked at the start; false only for the demo's broker, which cannot be asked.",
        "启动时是否检查主题；仅演示内嵌的 Kafka 无法检查",
    )
    topics: Topics = setting(Topics(), "The names of the topics.", "主题名称")
    security: Security = setting(Security(), "Encryption and login.", "安全设置")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heartbeat <= 0 or self.heartbeat * 3 > self.session_timeout:
            remedy = "Give at most a third, so that two lost heartbeats cost nothing."
            raise ContradictionError(("heartbeat",), "is more than a third of session_timeout, or nought", remedy)
        for name in ("retention_inputs", "retention_internal"):
            if 0 <= getattr(self, name) < DAY_US and getattr(self, name) != FOREVER:
                raise ContradictionError((name,), "is less than a day", "Give 1d or more, or forever.")
        return self

    def retention_of(self, role: str) -> int:
        """How long a topic is kept, microseconds or FOREVER.

        >>> Kafka().retention_of("orders") // DAY_US, Kafka().retention_of("scores") // DAY_US
        (90, 30)
        """
        return self.retention_inputs if role in INPUTS else self.retention_internal
