"""Composer of messages to the staff: customers at risk, causes, revenue and the steps to take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.delivery.records import MessageText
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.settings import Settings
from stream_app.core.units import EPOCH
from stream_app.i18n import LANGUAGES
from stream_app.notifications.messages.alert_view import AlertView, Views
from stream_app.notifications.messages.size_budget import ALERT_BUDGETS, ITEM_BUDGETS, SizeBudget, cut, size
from stream_app.notifications.messages.template_loader import Templates
from stream_app.notifications.playbook.measures import Playbook

MAX_TITLE_BYTES: Final = 120  # fits on a phone screen
MARKDOWN, PLAIN = "markdown", "plain"
_ITEM: Final = re.compile(r"- |\d+\. ")  # start of a list item
_GAP: Final = "\n\n"  # separator between the alerts of a digest
_TRIAL: Final = AlertOpened(
    "al_trial", "c1", EPOCH, EPOCH + timedelta(days=1), 1, 0.8, 100.0, 40.0, 20.0, "model", 1,
    explanation=Explanation("one_time", (Cause("forgot_shop", 0.6),), (Evidence("silence", {}),)),
)  # fmt: skip


class PlaybookComposer:
    """`Composer` that uses a playbook and templates.

    Args:
        playbook: playbook of the shop.
        templates: folder with the shop's own templates.
        zone: time zone of the shop.
        currency: currency to show with money; may be empty.
        horizon: churn horizon of the shop, microseconds.

    Raises BadTemplate if one of the shop's templates is invalid.
    """

    def __init__(
        self,
        playbook: Playbook,
        templates: Path | None = None,
        zone: str = "UTC",
        currency: str = "",
        horizon: int = Settings().horizon,
    ) -> None:
        self._views = Views(playbook, zone, currency, horizon)
        self._templates = Templates(templates)
        for language in LANGUAGES:  # finds errors at startup
            self.alert(_TRIAL, language, 4_096)
            self.digest([_TRIAL, _TRIAL], language, 4_096)

    def alert(self, alert: AlertOpened, language: str, max_bytes: int) -> MessageText:
        """See `Composer.alert`. The least important parts are omitted first, and characters are never split."""
        view = self._views.view(alert, language)
        fitted = [self._fitted(view, "alert", form, language, max_bytes) for form in (MARKDOWN, PLAIN)]
        return MessageText(self._title([view], language, max_bytes), fitted[0], fitted[1])

    def digest(
        self, alerts: Sequence[AlertOpened], language: str, max_bytes: int
    ) -> list[tuple[MessageText, tuple[str, ...]]]:
        """See `Composer.digest`. Urgent alerts come first, then alerts by rank."""
        ordered = sorted(alerts, key=lambda alert: (not alert.urgent, alert.rank, alert.alert_id))
        views = [self._views.view(alert, language) for alert in ordered]
        # The part number makes the heading longer. No item may be larger than a message.
        space = max_bytes - size(self._heading(views, language, MARKDOWN, (999, 999))) - size(_GAP)
        forms = (MARKDOWN, PLAIN)
        items = [tuple(self._fitted(view, "item", form, language, space) for form in forms) for view in views]
        parts = _packed([max(size(one) for one in item) for item in items], space)
        messages, position = [], 0
        for number, count in enumerate(parts, 1):
            here = slice(position, position + count)
            texts = [
                cut(_GAP.join([self._heading(views, language, form, (number, len(parts))), *bodies]), max_bytes)
                for form, bodies in zip(forms, zip(*items[here], strict=True), strict=True)
            ]
            title = self._title(views, language, max_bytes, (number, len(parts)))
            messages.append((MessageText(title, texts[0], texts[1]), tuple(alert.alert_id for alert in ordered[here])))
            position += count
        return messages

    def _fitted(self, view: AlertView, template: str, form: str, language: str, max_bytes: int) -> str:
        """Return the text of an alert with as many parts as fit."""
        text = ""
        for budget in ALERT_BUDGETS if template == "alert" else ITEM_BUDGETS:
            text = self._rendered(view, template, form, language, budget)
            if size(text) <= max_bytes:
                return text
        return cut(text, max(max_bytes, 0))

    def _rendered(self, view: AlertView, template: str, form: str, language: str, budget: SizeBudget) -> str:
        values: dict[str, Any] = {
            "alert": view,
            "budget": budget,
            "contacts_a_week": view.contacts_a_week,
            "strong": _strong if form == MARKDOWN else _plain,
        }
        text = self._templates.render(language, template, values)
        return _with_breaks(text) if form == MARKDOWN else text

    def _heading(self, views: list[AlertView], language: str, form: str, part: tuple[int, int]) -> str:
        title = self._title(views, language, MAX_TITLE_BYTES, part)
        return _strong(title) if form == MARKDOWN else title

    def _title(self, views: list[AlertView], language: str, max_bytes: int, part: tuple[int, int] = (1, 1)) -> str:
        values = {
            "alerts": views,
            "total": len(views),
            "urgent": sum(view.urgent for view in views),
            "part": part[0],
            "parts": part[1],
        }
        return cut(" ".join(self._templates.render(language, "title", values).split()), min(max_bytes, MAX_TITLE_BYTES))


def _packed(sizes: Sequence[int], space: int) -> list[int]:
    """Return the number of items per message: as many as fit, at least one, in order.

    >>> _packed([40, 40, 90, 10], space=100)
    [2, 1, 1]
    """
    parts: list[int] = []
    left = 0
    for one in sizes:
        if parts and one + size(_GAP) <= left:
            parts[-1] += 1
            left -= one + size(_GAP)
        else:
            parts.append(1)
            left = space - one
    return parts


def _strong(text: str) -> str:
    return f"**{text}**"


def _plain(text: str) -> str:
    return text


def _with_breaks(text: str) -> str:
    """Return Markdown with its line breaks preserved by two trailing spaces, except around list items."""
    lines = [line.rstrip() for line in text.split("\n")]
    return "\n".join(
        f"{line}  " if line and after and not _ITEM.match(line) and not _ITEM.match(after) else line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
    )
