"""The YAML file of channels: who is told what, where and when."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from stream_app.config.fields import ContradictionError, Positive, Section, Span
from stream_app.config.secrets import Reference, is_reference
from stream_app.core.delivery.retry import GIVE_UP_AFTER, MINUTE, SCHEDULE, SECOND, Limit
from stream_app.core.units import DAY_US

MAX_CHANNELS: Final = 20  # each is a label of several metrics
MAX_KEPT: Final = 200_000  # deliveries that have ended: about 300 bytes each
ROBOTS: Final = ("dingtalk", "feishu", "wecom")
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,29}$")]


def _hours(text: str) -> str:
    found = _HOURS.fullmatch(text)
    if found is None or text[:5] == text[6:]:
        raise ContradictionError((), f"is {text!r}", "Write it as 22:00-08:00.")
    return text


class Channel(Section):
    """One receiver."""

    kind: Literal["webhook", "dingtalk", "feishu", "wecom", "apprise"]
    url: str
    secret: Reference | None = None
    old_secrets: Annotated[tuple[Reference, ...], Field(max_length=4)] = ()
    language: Literal["en", "zh"] = "en"
    alerts: Literal["urgent", "digest", "all"] = "all"
    shops: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    quiet_hours: Annotated[str, AfterValidator(_hours)] | None = None
    allow_private: bool = False
    timeout: Span = 15 * SECOND
    concurrency: Annotated[int, Field(ge=1, le=16)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=60_000)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._check_url()
        if self.kind == "webhook" and self.secret is None:
            raise ContradictionError(("secret",), "is missing", "Every webhook is signed: write env:NAME or file:PATH.")
        if self.secret is not None and self.kind not in {"webhook", "dingtalk", "feishu"}:
            raise ContradictionError(("secret",), f"has no use with {self.kind}", "Leave it out.")
        if self.old_secrets and self.kind != "webhook":
            raise ContradictionError(("old_secrets",), f"has no use with {self.kind}", "Leave it out.")
        if self.kind == "apprise" and not self.allow_private:
            problem = "is false, and apprise connects by itself, where private addresses cannot be refused"
            raise ContradictionError(("allow_private",), problem, "Write true if you trust the address.")
        if not SECOND // 10 <= self.timeout <= MINUTE:
            raise ContradictionError(("timeout",), "is out of range", "Give between 100ms and 1m; 15s to 30s is usual.")
        return self

    def _check_url(self) -> None:
        if is_reference(self.url):
            return
        if self.kind != "webhook":
            remedy = "It holds a secret: put it into the environment or a file, and write env:NAME or file:PATH here."
            raise ContradictionError(("url",), "is given where others can read it", remedy)
        parts = urlsplit(self.url)
        if parts.query or parts.username or parts.password:
            remedy = "Write env:NAME or file:PATH for an address with a user, a password or a query."
            raise ContradictionError(("url",), "may hold a secret where others can read it", remedy)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ContradictionError(("url",), "is no address", "Write https://host/path, env:NAME or file:PATH.")

    def quiet(self) -> tuple[time, time] | None:
        """When nothing is sent, from and to.

        >>> Channel(kind="wecom", url="env:URL", quiet_hours="22:00-08:00").quiet()
        (datetime.time(22, 0), datetime.time(8, 0))
        """
        if self.quiet_hours is None:
            return None
        begin, _, end = self.quiet_hours.partition("-")
        return time.fromisoformat(begin), time.fromisoformat(end)

    def limits(self, documented: tuple[Limit, ...]) -> tuple[Limit, ...]:
        """How often it may be used: as documented for its kind, unless the file says otherwise."""
        return documented if self.per_minute is None else (Limit(self.per_minute, MINUTE),)


class Digest(Section):
    """When what is not urgent is sent."""

    hour: Annotated[int, Field(ge=0, le=23)] = 9
    settle: Span = 60 * SECOND
    settle_at_most: Span = 600 * SECOND


class Retry(Section):
    """How patient we are with a receiver."""

    schedule: Annotated[tuple[Span, ...], Field(min_length=1, max_length=20)] = SCHEDULE
    give_up_after: Span = GIVE_UP_AFTER


class ChannelsFile(Section):
    """All of the file.

    >>> ChannelsFile(channels={"team": {"kind": "wecom", "url": "env:URL"}}).mode
    'shadow'
    """

    mode: Literal["shadow", "live"] = "shadow"
    digest: Digest = Digest()
    retry: Retry = Retry()
    keep: Span = 30 * DAY_US
    keep_at_most: Annotated[Positive, Field(le=MAX_KEPT)] = 50_000
    channels: Annotated[dict[Name, Channel], Field(default_factory=dict, max_length=MAX_CHANNELS)]

    @model_validator(mode="before")
    @classmethod
    def _is_a_table(cls, values: Any) -> Any:
        return {} if values is None else values
