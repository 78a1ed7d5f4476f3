"""Kafka settings: brokers, security, topics and retention."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from stream_app.config.fields import (
    FOREVER,
    Bytes,
    ContradictionError,
    Retention,
    Section,
    Span,
    require_tls_files,
    secret,
    setting,
)
from stream_app.core.units import DAY_US, SECOND_US

TopicName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
SHOP_TOPICS: Final = ("browsing", "cart", "complaints", "orders", "contacts")
INPUTS: Final = (*SHOP_TOPICS, "control", "ticks")
OUTPUTS: Final = ("labelled", "nominations", "scores", "alerts", "dead_letters")


class Topics(Section):
    """Topic names. All topics have the same number of partitions."""

    browsing: TopicName = setting("shop.browsing", "Page views.", "浏览事件")
    cart: TopicName = setting("shop.cart", "Changes to carts and favourites.", "加购与收藏事件")
    complaints: TopicName = setting("shop.complaints", "Complaints and their handling.", "投诉及其处理事件")
    orders: TopicName = setting("shop.orders", "Orders and their status changes.", "订单及其状态变化")
    contacts: TopicName = setting(
        "shop.contacts", "Messages of the shop's tools to customers, and consent.", "商家工具对客户的触达与客户的退订"
    )
    control: TopicName = setting(
        "shop.control",
        "Opened alerts and actions on alerts. Written by the services only.",
        "预警的开启与处理，只由本系统写入",
    )
    ticks: TopicName = setting("shop.ticks", "Ticks, which advance event time in quiet partitions.", "时间刻度")
    labelled: TopicName = setting("shop.labelled", "Labelled decisions for the trainer.", "供训练用的带标签样本")
    nominations: TopicName = setting(
        "shop.nominations", "Alert candidates of each partition, for the allocator.", "各分区的预警候选"
    )
    scores: TopicName = setting("shop.scores", "Latest churn probability of each customer.", "客户的最新流失概率")
    alerts: TopicName = setting("shop.alerts", "Opened and closed alerts.", "预警的开启与关闭")
    dead_letters: TopicName = setting(
        "shop.dead-letters", "Events that could not be processed, with the reason.", "无法处理的事件及原因"
    )

    def of(self, *roles: str) -> dict[str, str]:
        """Return the names of some topics by role.

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
                remedy = "Give each topic its own name."
                raise ContradictionError((role,), f"is {name!r}, which another topic uses", remedy)
        return self


class Security(Section):
    """Encryption and login. The password can only come from the environment or a file."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "Security protocol of the connection.", "连接的安全协议"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = setting(
        None, "SASL mechanism. Required with SASL.", "SASL 机制；使用 SASL 时必填"
    )
    username: str | None = setting(None, "User name. Required with SASL.", "用户名；使用 SASL 时必填")
    password: SecretStr | None = setting(None, "Password. Environment only.", "密码；只能通过环境变量设置")
    password_file: Path | None = setting(None, "File with the password in its first line.", "密码文件，密码写在第一行")
    ca_file: Path | None = setting(
        None, "PEM file of trusted CA certificates. Default: the system's.", "受信任的 CA 证书（PEM）；默认为系统证书"
    )
    cert_file: Path | None = setting(None, "PEM file of the client certificate.", "客户端证书（PEM）")
    key_file: Path | None = setting(None, "PEM file of the client certificate's key.", "客户端私钥（PEM）")

    @property
    def sasl(self) -> bool:
        """Whether the client logs in with a password."""
        return self.protocol.startswith("SASL")

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    def secret(self) -> str | None:
        """Return the password from the setting or the password file, or None if neither is set."""
        return secret(self.password, self.password_file)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        login = {"sasl_mechanism": self.sasl_mechanism, "username": self.username, "password": self.secret()}
        for name, value in login.items():
            if self.sasl and value is None:
                raise ContradictionError((name,), f"is missing, and {self.protocol} requires it", "Set it.")
            if not self.sasl and value is not None:
                remedy = "Use protocol SASL_SSL or SASL_PLAINTEXT, or remove it."
                raise ContradictionError((name,), f"has no effect with {self.protocol}", remedy)
        require_tls_files(
            (self.ca_file, self.cert_file, self.key_file),
            encrypted=self.encrypted,
            scheme=self.protocol,
            remedy="Use protocol SSL or SASL_SSL, or remove it.",
        )
        return self


class Kafka(Section):
    """Brokers and topics, and how topics are read."""

    bootstrap: Annotated[str, StringConstraints(pattern=r"^[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*$")] = setting(
        "127.0.0.1:9092", "Bootstrap servers: host:port, separated by commas.", "引导服务器：host:port，多个以逗号分隔"
    )
    client_id: str = setting("stream-app", "Client id in the broker's logs.", "在 Kafka 日志中显示的客户端名称")
    group: str = setting(
        "churn",
        "Consumer group of the workers, and prefix of all other consumer groups.",
        "工作进程的消费组，也是其余消费组的前缀",
    )
    partitions: Annotated[int, Field(ge=1, le=1024)] = setting(
        4,
        "Number of partitions of every topic; at most this many workers share the load.",
        "每个主题的分区数，也是可分担负载的工作进程数上限",
    )
    replication: Annotated[int, Field(ge=1, le=32_767)] = setting(
        1, "Replication factor of created topics. Use 3 in production.", "新建主题的副本数；生产环境建议为 3"
    )
    retention_inputs: Retention = setting(
        90 * DAY_US,
        "Retention of event topics, or `forever`; at least shop.horizon + shop.lateness.",
        "输入主题的保留时间或 forever；不短于 shop.horizon + shop.lateness",
    )
    retention_internal: Retention = setting(
        30 * DAY_US, "Retention of all other topics, or `forever`.", "其余主题的保留时间或 forever"
    )
    session_timeout: Span = setting(
        10 * SECOND_US,
        "A worker without a heartbeat for this long loses its partitions.",
        "工作进程的心跳中断超过该时长即失去分区",
    )
    heartbeat: Span = setting(3 * SECOND_US, "Interval between heartbeats of a worker.", "心跳间隔")
    request_timeout: Span = setting(30 * SECOND_US, "Timeout of a request to a broker.", "请求超时")
    fetch_max_wait: Span = setting(
        25_000,
        "Maximum time that a broker waits for fetch_min_bytes. It is part of the latency at light load.",
        "Kafka 为凑足 fetch_min_bytes 最多等待的时间；负载较轻时计入延迟",
    )
    fetch_min_bytes: Bytes = setting(
        32_768,
        "Minimum bytes per fetch. Small fetches cost brokers and workers CPU time.",
        "单次拉取的最小字节数；过小会增加 Kafka 与工作进程的开销",
    )
    fetch_partition_bytes: Bytes = setting(
        1_048_576, "Maximum bytes per partition and fetch.", "单次拉取中每个分区的字节数上限"
    )
    misplaced: Literal["count", "dead_letter"] = setting(
        "count",
        "Handling of a record outside its customer's partition: count it and apply it, or dead-letter it.",
        "记录不在其客户所属分区时：count 计数并照常处理，dead_letter 写入死信主题",
    )
    check_topics: bool = setting(
        True,
        "Whether to check the topics on startup. Disable only for the demo's broker, which does not support it.",
        "启动时是否检查主题；仅演示内置的 Kafka 不支持检查",
    )
    topics: Topics = setting(Topics(), "Topic names.", "主题名称")
    security: Security = setting(Security(), "Encryption and login.", "加密与登录")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heartbeat <= 0 or self.heartbeat * 3 > self.session_timeout:
            remedy = "Use at most a third: two lost heartbeats must do no harm."
            raise ContradictionError(("heartbeat",), "is zero, or more than a third of session_timeout", remedy)
        for name in ("retention_inputs", "retention_internal"):
            if 0 <= getattr(self, name) < DAY_US and getattr(self, name) != FOREVER:
                raise ContradictionError((name,), "is less than a day", "Use 1d or more, or forever.")
        return self

    def retention_of(self, role: str) -> int:
        """Return the retention of the topic with the given role, in microseconds, or FOREVER.

        >>> Kafka().retention_of("orders") // DAY_US, Kafka().retention_of("scores") // DAY_US
        (90, 30)
        """
        return self.retention_inputs if role in INPUTS else self.retention_internal
