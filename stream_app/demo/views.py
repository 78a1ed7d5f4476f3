"""Views of the demo: full-screen in a terminal, plain lines otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from stream_app.core.alerts.sla import LOW_REVIEW
from stream_app.core.units import DAY_US
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import OPEN, DemoState, ListedAlert, band_counts
from stream_app.demo.terminal_layout import TerminalLayout
from stream_app.demo.wording import EXAMPLES, VERSION, local_date, silence_text, worth_text
from stream_app.i18n import Translator
from stream_app.notifications.messages.masking import mask

_FRAMES_PER_SECOND: Final = 8
_HISTORY_LINES: Final = 5  # progress lines while the history is replayed


class View:
    """A view of the demo. Use it as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, state: DemoState, shop: ShopSimulation, changed: Sequence[ListedAlert], left: float) -> None:
        """Show the state.

        Args:
            state: state of the demo.
            shop: the simulated shop.
            changed: alerts opened or closed since the last update.
            left: number of seconds until the demo ends.
        """
        raise NotImplementedError


class ScreenView(View):
    """A full-screen view that is redrawn several times per second."""

    def __init__(self, console: Console, translator: Translator, plan: Plan) -> None:
        self._console = console
        self._layout = TerminalLayout(translator, plan)
        self._live = Live(console=console, refresh_per_second=_FRAMES_PER_SECOND, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, state: DemoState, shop: ShopSimulation, _changed: Sequence[ListedAlert], left: float) -> None:
        """See `View.update`."""
        size = self._console.size
        self._live.update(self._layout.draw(state, shop, left, size.width, size.height), refresh=True)


class LineView(View):
    """A view that prints plain lines, for files and CI logs."""

    def __init__(self, console: Console, translator: Translator, plan: Plan) -> None:
        self._console, self._translator, self._plan = console, translator, plan
        self._history_lines = -1  # number of progress lines printed so far, minus one
        self._day = -1

    def __enter__(self) -> Self:
        customers = self._translator.number(self._plan.customers)
        self._print(self._translator.text("demo.opening", customers=customers))
        return self

    def update(self, state: DemoState, shop: ShopSimulation, changed: Sequence[ListedAlert], left: float) -> None:  # noqa: ARG002
        """See `View.update`."""
        if shop.phase is Phase.HISTORY:
            self._print_history(state, shop)
        elif shop.phase is Phase.LIVE:
            self._print_day(state, shop)
        for listed in changed:
            self._print_alert(listed)

    def _print_history(self, state: DemoState, shop: ShopSimulation) -> None:
        line = int(shop.history_share * _HISTORY_LINES)
        if line > self._history_lines:
            self._history_lines = line
            share, events = self._translator.percent(shop.history_share), self._translator.number(shop.sent)
            alerts = self._translator.number(state.counts[OPEN])
            self._print_figures("line.history", state, shop, share=share, events=events, alerts=alerts)

    def _print_day(self, state: DemoState, shop: ShopSimulation) -> None:
        day = (shop.now - shop.began) // DAY_US
        if day > self._day:
            self._print_figures("line.first" if self._day < 0 else "line.day", state, shop)
            self._day = day

    def _print_alert(self, listed: ListedAlert) -> None:
        translator, alert = self._translator, listed.alert
        values = {"customer": mask(alert.customer_id)}
        if listed.state != OPEN:
            key, values["state"] = "line.closed", translator.text(f"state.{listed.state}")
        elif alert.urgent:  # urgent alerts do not depend on the risk and may have no score
            key = "line.review" if alert.explanation.evidence[0].rule == LOW_REVIEW else "line.urgent"
        else:
            key, values["risk"] = "line.opened", translator.percent(alert.probability)
            values |= {"silent": silence_text(translator, alert), "worth": worth_text(translator, alert)}
        self._print(translator.text(key, **values))

    def _print_figures(self, key: str, state: DemoState, shop: ShopSimulation, **values: str) -> None:
        translator, active = self._translator, state.active()
        values |= {
            "day": translator.day(local_date(shop.now)),
            "active": translator.number(len(active)),
            "high": translator.number(band_counts(active)[0]),
            "version": translator.number(state.figure("worker", VERSION)),
            "labels": translator.number(state.figure("trainer", EXAMPLES)),
        }
        self._print(translator.text(key, **values))

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
