"""The plainest composer: facts in a few lines. It speaks where no other one is set, and where another one fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream_app.core.messages.alerts import AlertOpened
from stream_app.notifications.messages.masking import mask
from stream_app.notifications.messages.message import Message

_WORDS: Final = {
    "en": {"urgent": "Urgent: ", "one": "a customer is about to leave", "many": "Customers about to leave: {}"},
    "zh": {"urgent": "紧急：", "one": "有客户即将流失", "many": "即将流失的客户：{} 位"},
}
_LINES: Final = {
    "en": "{name}: risk {risk:.0%}, silent for {days:.0f} days",
    "zh": "{name}：流失概率 {risk:.0%}，已沉默 {days:.0f} 天",
}
_WITHOUT_SCORE: Final = {"en": "{name}: silent for {days:.0f} days", "zh": "{name}：已沉默 {days:.0f} 天"}


class FallbackComposer:
    """A `staff.message.Composer` without templates."""

    def alert(self, alert: AlertOpened, language: str, max_bytes: int) -> Message:
        """See `Composer.alert`."""
        words = _WORDS[language]
        title = words["urgent"] * alert.urgent + words["one"]
        return _message(title, [_line(alert, language)], max_bytes)

    def digest(
        self, alerts: Sequence[AlertOpened], language: str, max_bytes: int
    ) -> list[tuple[Message, tuple[str, ...]]]:
        """See `Composer.digest`."""
        title = _WORDS[language]["many"].format(len(alerts))
        pages: list[list[AlertOpened]] = []
        room = 0
        for alert in alerts:
            size = len(_line(alert, language).encode()) + 8
            if size > room:
                pages.append([])
                room = max_bytes - len(title.encode()) - 16
            pages[-1].append(alert)
            room -= size
        return [
            (_message(title, [_line(one, language) for one in page], max_bytes), tuple(one.alert_id for one in page))
            for page in pages
        ]


def _line(alert: AlertOpened, language: str) -> str:
    name = mask(alert.customer_id)
    lines = _LINES if alert.probability else _WITHOUT_SCORE  # an urgent case may be of somebody who has no score
    return lines[language].format(name=name, risk=alert.probability, days=alert.silent_days)


def _message(title: str, lines: list[str], max_bytes: int) -> Message:
    plain = "\n".join([title, *lines])
    markdown = "\n".join([f"**{title}**", *(f"- {line}" for line in lines)])
    return Message(title, _cut(markdown, max_bytes), _cut(plain, max_bytes))


def _cut(text: str, max_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:max_bytes].decode(errors="ignore")
