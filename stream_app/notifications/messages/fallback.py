"""Fallback composer without templates, used when a template fails."""

from __future__ import annotations

from collections.abc import Sequence

from stream_app.core.delivery.records import MessageText
from stream_app.core.messages.alerts import AlertOpened
from stream_app.i18n import Translator
from stream_app.notifications.messages.masking import mask
from stream_app.notifications.messages.size_budget import size


class FallbackComposer:
    """`Composer` of messages with one line per alert."""

    def alert(self, alert: AlertOpened, language: str, max_bytes: int) -> MessageText:
        """See `Composer.alert`."""
        translator = Translator(language, "messages")
        title = translator.text("fallback.urgent" if alert.urgent else "fallback.alert")
        return _message(title, [_line(alert, translator)], max_bytes)

    def digest(
        self, alerts: Sequence[AlertOpened], language: str, max_bytes: int
    ) -> list[tuple[MessageText, tuple[str, ...]]]:
        """See `Composer.digest`."""
        translator = Translator(language, "messages")
        title = translator.text("fallback.digest", count=len(alerts))
        pages: list[list[AlertOpened]] = []
        left = 0
        for alert in alerts:
            needed = size(_line(alert, translator)) + 8
            if needed > left:
                pages.append([])
                left = max_bytes - size(title) - 16
            pages[-1].append(alert)
            left -= needed
        return [
            (_message(title, [_line(one, translator) for one in page], max_bytes), tuple(one.alert_id for one in page))
            for page in pages
        ]


def _line(alert: AlertOpened, translator: Translator) -> str:
    key = "fallback.line" if alert.probability else "fallback.line_without_score"  # for an urgent alert
    days = translator.number(alert.silent_days)
    return translator.text(key, name=mask(alert.customer_id), risk=translator.percent(alert.probability), days=days)


def _message(title: str, lines: list[str], max_bytes: int) -> MessageText:
    plain = "\n".join([title, *lines])
    markdown = "\n".join([f"**{title}**", *(f"- {line}" for line in lines)])
    return MessageText(title, _cut(markdown, max_bytes), _cut(plain, max_bytes))


def _cut(text: str, max_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:max_bytes].decode(errors="ignore")
