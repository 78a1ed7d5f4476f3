"""Channel file settings: which alerts go where, and when."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from stream_app.config.fields import ContradictionError, Positive, Section, Span
from stream_app.config.secrets import Reference, is_reference
from stream_app.core.delivery.retry import GIVE_UP_AFTER, SCHEDULE
from stream_app.core.units import DAY_US, MINUTE_US, SECOND_US
from stream_app.notifications.channels.registry import KINDS

MAX_CHANNELS: Final = 20  # each channel is a label value of several metrics
MAX_KEPT: Final = 200_000  # finished deliveries kept, about 300 bytes each
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,29}")
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def _is_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        remedy = "A channel name starts with a letter and has at most 30 lower-case letters, digits and hyphens."
        raise ContradictionError((), "is not a valid name", remedy)
    return name


Name = Annotated[str, AfterValidator(_is_name)]


def _is_kind(name: str) -> str:
    if name not in KINDS:
        raise ContradictionError((), f"is {name!r}", f"Use one of: {', '.join(KINDS)}.")
    return name


def _are_hours(text: str) -> str:
    if not _HOURS.fullmatch(text) or text[:5] == text[6:]:
        raise ContradictionError((), f"is {text!r}", "Write it as 22:00-08:00.")
    return text


class ChannelSettings(Section):
    """Settings for one channel."""

    kind: Annotated[str, AfterValidator(_is_kind)]
    url: str
    secret: Reference | None = None
    old_secrets: Annotated[tuple[Reference, ...], Field(max_length=4)] = ()
    language: Literal["en", "zh"] = "en"
    alerts: Literal["urgent", "digest", "all"] = "all"
    shops: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    quiet_hours: Annotated[str, AfterValidator(_are_hours)] | None = None
    allow_private: bool = False
    timeout: Span = 15 * SECOND_US
    concurrency: Annotated[int, Field(ge=1, le=16)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=60_000)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._check_url()
        kind = KINDS[self.kind]
        if kind.signing == "required" and self.secret is None:
            raise ContradictionError(("secret",), "is missing", "Webhooks must be signed: use env:NAME or file:PATH.")
        if kind.signing == "none" and self.secret is not None:
            raise ContradictionError(("secret",), f"is not used by {self.kind}", "Remove it.")
        if self.old_secrets and not kind.rotates:
            raise ContradictionError(("old_secrets",), f"is not used by {self.kind}", "Remove it.")
        if not kind.guarded and not self.allow_private:
            raise ContradictionError(
                ("allow_private",),
                f"is false, but {self.kind} opens its own connections, so private addresses cannot be refused",
                "Set it to true if you trust the address.",
            )
        if not SECOND_US // 10 <= self.timeout <= MINUTE_US:
            raise ContradictionError(("timeout",), "is out of range", "Use 100ms to 1m; 15s to 30s is usual.")
        return self

    def _check_url(self) -> None:
        if is_reference(self.url):
            return
        if self.kind != "webhook":
            raise ContradictionError(
                ("url",),
                "is written in the file",
                "It contains a secret: move it to an environment variable or a file; use env:NAME or file:PATH.",
            )
        parts = urlsplit(self.url)
        if parts.query or parts.username or parts.password:
            raise ContradictionError(
                ("url",),
                "may contain a secret, but is written in the file",
                "Use env:NAME or file:PATH for an address with a user name, password or query.",
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ContradictionError(("url",), "is not a URL", "Use https://host/path, env:NAME or file:PATH.")

    def quiet(self) -> tuple[time, time] | None:
        """Return the start and end of the quiet hours, or None if there are none.

        >>> ChannelSettings(kind="wecom", url="env:URL", quiet_hours="22:00-08:00").quiet()
        (datetime.time(22, 0), datetime.time(8, 0))
        """
        if self.quiet_hours is None:
            return None
        begin, _, end = self.quiet_hours.partition("-")
        return time.fromisoformat(begin), time.fromisoformat(end)


class Digest(Section):
    """When non-urgent alerts are sent."""

    hour: Annotated[int, Field(ge=0, le=23)] = 9
    settle: Span = 60 * SECOND_US
    settle_at_most: Span = 600 * SECOND_US


class Retry(Section):
    """Retry schedule."""

    schedule: Annotated[tuple[Span, ...], Field(min_length=1, max_length=20)] = SCHEDULE
    give_up_after: Span = GIVE_UP_AFTER


class ChannelsFile(Section):
    """The whole channel file.

    >>> ChannelsFile(channels={"team": {"kind": "wecom", "url": "env:URL"}}).mode
    'shadow'
    """

    mode: Literal["shadow", "live"] = "shadow"
    digest: Digest = Digest()
    retry: Retry = Retry()
    keep: Span = 30 * DAY_US
    keep_at_most: Annotated[Positive, Field(le=MAX_KEPT)] = 50_000
    channels: Annotated[dict[Name, ChannelSettings], Field(default_factory=dict, max_length=MAX_CHANNELS)]

    @model_validator(mode="before")
    @classmethod
    def _is_a_table(cls, values: Any) -> Any:
        return {} if values is None else values
