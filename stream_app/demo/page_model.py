"""What the demo's page shows, as plain values: the board's figures, and alerts with cause, evidence and measure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream_app.core.messages.schema import AlertOpened
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.demo.settings import HORIZON_DAYS
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import BANDS, OPEN, DemoState, Listed, in_bands
from stream_app.demo.voice import DemoVoice
from stream_app.notifications.messages.alert_view import Views
from stream_app.simulate.calendar import SHOP_ZONE

ENDS: Final = (OPEN, "met", "returned", "fell", "lost")
URGENT: Final = "urgent"
_TONES: Final = {OPEN: "open", URGENT: URGENT, "lost": ""}  # of the others: good
_FACTS: Final = 4  # of an alert
_CAUSES: Final = 3
_STEPS: Final = 3


class PageModel:
    """Turns the board into what a page shows, in one language.

    Args:
        voice: of the viewer's language.
        views: of alerts, with the playbook.
        plan: of the shop.
    """

    def __init__(self, voice: DemoVoice, views: Views, plan: Plan) -> None:
        self._voice, self._views, self._plan = voice, views, plan

    def figures(self, board: DemoState, shop: ShopSimulation, left: float) -> dict[str, Any]:
        """Everything but the alerts."""
        voice, active = self._voice, board.active()
        counts = in_bands(active)
        return {
            "clock": self._clock(shop),
            "left": voice.say("demo.ends_in", seconds=f"{left:.0f}") if shop.phase is Phase.LIVING else "",
            "history": round(100 * shop.history_share) if shop.phase is Phase.HISTORY else None,
            "bands": [
                {"name": name, "count": count, "said": voice.number(count)}
                for name, count in zip(_band_names(), counts, strict=True)
            ],
            "most": max(*counts, 1),
            "active": voice.say("risk.active", active=voice.number(len(active))),
            "expected": voice.say("risk.expected", leavers=voice.number(sum(active)), days=HORIZON_DAYS),
            "ends": [{"name": self._end(state), "said": voice.number(board.counts[state])} for state in ENDS],
            "parts": self._parts(board),
        }

    def alert(self, listed: Listed, number: int) -> dict[str, Any]:
        """One alert; `number`: how many came before it, and itself."""
        voice, alert = self._voice, listed.alert
        view = self._views.view(alert, voice.lang)
        channels: Any = voice.words["page"]["channels"]
        worth = voice.say("page.month", worth=voice.worth(alert)) if view.worth else ""
        told: dict[str, Any] = msgspec.to_builtins(view)
        band = next(place for place, count in enumerate(in_bands([alert.probability])) if count)
        return told | {
            "number": number,
            "at": (alert.opened_at - EPOCH) // MICROSECOND,
            "tone": f"b{0 if alert.urgent else band}",
            "risk": f"{view.sure} · {view.percent}%" if view.sure else "",
            "about": " · ".join(filter(None, (view.segment, worth, self._opened(alert)))),
            "causes": [cause | {"said": f"{cause['percent']}%"} for cause in told["causes"][:_CAUSES]],
            "evidence": told["evidence"][:_FACTS] or [voice.silent(alert)],
            "steps": told["steps"][:_STEPS],
            "todo": " · ".join(filter(None, (voice.say("page.todo"), channels.get(view.channel)))),
            "never": "".join(f"{voice.say('page.never')}{never}" for never in told["never"][:1]),
            "until": "" if view.urgent else f"{voice.say('page.until')}{view.until}",
        }

    def nothing_yet(self) -> dict[str, Any]:
        """The figures before anything is known."""
        return {
            "clock": self._voice.say("demo.starting"),
            "left": "",
            "history": None,
            "bands": [{"name": name, "count": 0, "said": "0"} for name in _band_names()],
            "most": 1,
            "active": "",
            "expected": "",
            "ends": [{"name": self._end(state), "said": "0"} for state in ENDS],
            "parts": [],
        }

    def states(self) -> dict[str, dict[str, str]]:
        """How the states of an alert are shown: name and tone; an open one may be urgent."""
        voice = self._voice
        names = voice.words["state"] | {URGENT: voice.say("page.urgent")}
        return {state: {"name": name, "tone": _TONES.get(state, "good")} for state, name in names.items()}

    def _opened(self, alert: AlertOpened) -> str:
        return f"{alert.opened_at.astimezone(SHOP_ZONE):%m-%d %H:%M}"

    def _end(self, state: str) -> str:
        return self._voice.say("page.opened") if state == OPEN else self._voice.name("state", state)

    def _clock(self, shop: ShopSimulation) -> str:
        voice = self._voice
        if shop.phase is Phase.LIVING:
            return voice.clock((EPOCH + shop.now * MICROSECOND).astimezone(SHOP_ZONE))
        if shop.phase is Phase.HISTORY:
            return voice.say("demo.history", days=self._plan.history_days)
        key = "demo.starting" if shop.began else "demo.opening"
        return voice.say(key, customers=voice.number(self._plan.customers))

    def _parts(self, board: DemoState) -> list[dict[str, Any]]:
        voice = self._voice
        say, number = voice.say, voice.number
        labels, opened = board.figure("trainer", "churn_trainer_examples_total"), board.counts[OPEN]
        scored, version = (
            board.figure("worker", "churn_events_scored_total"),
            board.figure("worker", "churn_model_version"),
        )
        sent = board.figure("notifier", "churn_delivery_attempts_total")
        told = {
            "kafka": say("system.events", rate=number(board.rate)),
            "redis": say("system.customers", customers=number(board.figure("worker", "churn_states_cached"))),
            "worker": say("system.scores", scores=number(scored), ms=number(board.freshness_ms))
            if scored
            else say("system.scores_none"),
            "trainer": say("system.model", version=number(version), labels=number(labels))
            if labels
            else say("system.model_none"),
            "allocator": say("system.alerts", opened=number(opened)) if opened else say("system.alerts_none"),
            "notifier": say("system.sent", sent=number(sent)) if sent else say("system.sent_none"),
        }
        return [
            {"name": say(f"system.{part}"), "said": said, "well": part in {"kafka", "redis"} or board.well(part)}
            for part, said in told.items()
        ]


def _band_names() -> list[str]:
    """The bands of risk in words.

    >>> _band_names()
    ['80–100%', '60–80%', '40–60%', '0–40%']
    """
    return [f"{lower:.0%}–{upper:.0%}".replace("%–", "–") for lower, upper in zip(BANDS, (1.0, *BANDS), strict=False)]
