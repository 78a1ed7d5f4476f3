"""Redis settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import SecretStr, StringConstraints, model_validator

from stream_app.config.fields import (
    ContradictionError,
    Section,
    Span,
    require_tls_files,
    secret,
    setting,
)
from stream_app.core.units import SECOND_US

_EXAMPLE: Final = "Use redis://host:6379/0."


class Redis(Section):
    """Redis, which stores states, offsets, models and deliveries. A password in the URL is moved to `password`."""

    url: str = setting(
        "redis://127.0.0.1:6379/0",
        "Redis address: redis://host:port/db, or rediss:// for TLS.",
        "Redis 地址；rediss:// 表示使用 TLS",
    )
    password: SecretStr | None = setting(None, "Password. Environment only.", "密码；只能通过环境变量设置")
    password_file: Path | None = setting(None, "File with the password in its first line.", "密码文件，密码写在第一行")
    ca_file: Path | None = setting(
        None,
        "PEM file of CA certificates to trust in addition to the system's. Needs rediss://.",
        "除系统证书外额外信任的 CA 证书（PEM），需使用 rediss://",
    )
    cert_file: Path | None = setting(None, "PEM file of the client certificate.", "客户端证书（PEM）")
    key_file: Path | None = setting(None, "PEM file of the client certificate's key.", "客户端私钥（PEM）")
    prefix: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$")] = setting(
        "churn", "Prefix of all keys. Use a different one for each shop.", "所有键的前缀，每家店铺各用一个"
    )
    cluster: bool = setting(False, "Whether the address belongs to a Redis Cluster.", "是否为 Redis 集群")
    connect_timeout: Span = setting(5 * SECOND_US, "Timeout for opening a connection.", "连接超时")
    answer_timeout: Span = setting(10 * SECOND_US, "Timeout for a reply.", "等待应答的超时")

    @model_validator(mode="before")
    @classmethod
    def _move_password(cls, values: object) -> object:
        if not isinstance(values, dict) or not isinstance(values.get("url"), str):
            return values
        parts = split_url(values["url"])
        if parts.password is None:
            return values
        if values.get("password") or values.get("password_file"):
            raise ContradictionError(("url",), "has a password, and another one is set", "Set only one of them.")
        user = f"{parts.username}@" if parts.username else ""
        bare = urlunsplit(parts._replace(netloc=user + parts.netloc.rpartition("@")[2]))
        return {**values, "url": bare, "password": unquote(parts.password)}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        parts = split_url(self.url)
        if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path):
            raise ContradictionError(("url",), "is not a Redis address", _EXAMPLE)
        self.secret()
        require_tls_files(
            (self.ca_file, self.cert_file, self.key_file),
            encrypted=parts.scheme == "rediss",
            scheme=f"{parts.scheme}://",
            remedy="Use rediss:// in redis.url, or remove it.",
        )
        return self

    def secret(self) -> str | None:
        """Return the password from the setting or the password file, or None if neither is set."""
        return secret(self.password, self.password_file)


def split_url(url: str) -> SplitResult:
    """Split a URL into its parts. Raises ContradictionError, without the URL, which may contain a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ContradictionError(("url",), "is not a valid address", _EXAMPLE) from error
    return parts
