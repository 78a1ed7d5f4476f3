"""View model of the demo's web page: figures and alerts as plain values in the viewer's language."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream_app.core.kpis.risk_bands import band_of
from stream_app.core.units import micros
from stream_app.demo.settings import HORIZON_DAYS
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import OPEN, WORST_FIRST, DemoState, ListedAlert, band_counts
from stream_app.demo.wording import (
    band_names,
    is_running,
    phase_text,
    service_lines,
    silence_text,
    time_left,
    worth_text,
)
from stream_app.i18n import Translator
from stream_app.notifications.messages.alert_view import Views
from stream_app.simulate.calendar import SHOP_ZONE

URGENT: Final = "urgent"
_TONES: Final = {OPEN: "open", URGENT: URGENT, "lost": ""}  # every other state is "good"
_MAX_EVIDENCE: Final = 4
_MAX_CAUSES: Final = 3
_MAX_STEPS: Final = 3


class PageModel:
    """Builds the values shown on the page.

    Args:
        translator: translator into the viewer's language, with the domain "demo".
        views: factory of alert views, which uses the playbook.
        plan: plan of the simulated shop.
    """

    def __init__(self, translator: Translator, views: Views, plan: Plan) -> None:
        self._translator, self._views, self._plan = translator, views, plan

    def figures(self, state: DemoState, shop: ShopSimulation, left: float) -> dict[str, Any]:
        """Return all values except the alerts; `left` is the number of seconds until the demo ends."""
        translator, active = self._translator, state.active()
        leavers = translator.number(sum(active))
        return self._figures(state, active) | {
            "clock": phase_text(translator, shop, self._plan),
            "left": time_left(translator, left) if shop.phase is Phase.LIVE else "",
            "history": round(100 * shop.history_share) if shop.phase is Phase.HISTORY else None,
            "active": translator.text("risk.active", active=translator.number(len(active))),
            "expected": translator.text("risk.expected", leavers=leavers, days=HORIZON_DAYS),
            "parts": [
                {"name": translator.text(f"system.{part}"), "text": line, "ready": is_running(state, part)}
                for part, line in service_lines(translator, state).items()
            ],
        }

    def initial_figures(self) -> dict[str, Any]:
        """Return the figures to show before the first update."""
        texts = {"clock": self._translator.text("demo.starting"), "left": "", "active": "", "expected": ""}
        return self._figures(DemoState(0), []) | texts | {"history": None, "parts": []}

    def alert(self, listed: ListedAlert, number: int) -> dict[str, Any]:
        """Return the values of one alert; `number` is its sequence number on the page."""
        translator, alert = self._translator, listed.alert
        view = self._views.view(alert, translator.lang)
        channels = translator.group("page.channels")
        worth = translator.text("page.month", worth=worth_text(translator, alert)) if view.worth else ""
        opened = f"{alert.opened_at.astimezone(SHOP_ZONE):%m-%d %H:%M}"
        values: dict[str, Any] = msgspec.to_builtins(view)
        band = band_of(alert.probability) if alert.probability else WORST_FIRST[0]  # an urgent alert may have no score
        risk = translator.text("page.risk", band=view.risk, percent=view.percent) if view.risk else ""
        return values | {
            "number": number,
            "at": micros(alert.opened_at),
            "tone": f"b{WORST_FIRST.index(band)}",
            "risk": risk,
            "about": " · ".join(filter(None, (view.segment, worth, opened))),
            "causes": [cause | {"text": f"{cause['percent']}%"} for cause in values["causes"][:_MAX_CAUSES]],
            "evidence": values["evidence"][:_MAX_EVIDENCE] or [silence_text(translator, alert)],
            "steps": values["steps"][:_MAX_STEPS],
            "todo": " · ".join(filter(None, (translator.text("page.todo"), channels.get(view.channel)))),
            "never": "".join(f"{translator.text('page.never')}{never}" for never in values["never"][:1]),
            "until": "" if view.urgent else f"{translator.text('page.until')}{view.until}",
        }

    def states(self) -> dict[str, dict[str, str]]:
        """Return the name and tone of each alert state, including `urgent` for open urgent alerts."""
        names = {**self._translator.group("state"), URGENT: self._translator.text("page.urgent")}
        return {state: {"name": name, "tone": _TONES.get(state, "good")} for state, name in names.items()}

    def _figures(self, state: DemoState, active: list[float]) -> dict[str, Any]:
        translator, counts = self._translator, band_counts(active)
        names = zip(band_names(translator), counts, strict=True)
        endings = {translator.text("page.opened"): state.counts[OPEN]}
        endings |= {translator.text(f"state.{outcome}"): count for outcome, count in state.outcomes.items()}
        return {
            "bands": [{"name": name, "count": count, "text": translator.number(count)} for name, count in names],
            "most": max(*counts, 1),
            "ends": [{"name": name, "text": translator.number(count)} for name, count in endings.items()],
        }
