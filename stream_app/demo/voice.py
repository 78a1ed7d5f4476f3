"""The words of the demo, in the languages of the report."""

from __future__ import annotations

import tomllib
from datetime import datetime
from importlib import resources

from stream_app.core.messages.alerts import AlertOpened
from stream_app.demo.settings import CURRENCY
from stream_app.report.voice import Voice


class DemoVoice(Voice):
    """A Voice that knows the demo's words besides.

    >>> DemoVoice("en").say("alerts.risk"), DemoVoice("zh").say("alerts.risk")
    ('Risk', '风险')
    """

    def __init__(self, lang: str) -> None:
        super().__init__(lang)
        text = resources.files("stream_app.demo").joinpath("words", f"{lang}.toml").read_text(encoding="utf-8")
        self.words = self.words | tomllib.loads(text)

    def clock(self, now: datetime) -> str:
        """A moment on the shop's clock.

        >>> DemoVoice("en").clock(datetime(2025, 6, 10, 14, 5))
        'Tuesday, 10 June 2025 · 14:00'
        """
        weekday = self.say(f"weekday.{now.weekday()}")
        return self.say("demo.clock", weekday=weekday, day=self.day(now.date().isoformat()), hour=f"{now:%H}:00")

    def silent(self, alert: AlertOpened) -> str:
        """For how long a customer has been silent, beside the usual gap between two orders."""
        days = self.number(alert.silent_days)
        if not alert.usual_gap_days:
            return self.say("alerts.once", days=days)
        return self.say("alerts.gaps", days=days, times=self.number(alert.silent_days / alert.usual_gap_days, 1))

    def worth(self, alert: AlertOpened) -> str:
        """What a customer brings a month."""
        return self.money(alert.monthly_worth, CURRENCY)
