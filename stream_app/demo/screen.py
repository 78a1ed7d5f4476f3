"""How the demo is shown: a calm screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live

from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.demo.layout import Layout
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import OPEN, DemoState, Listed, in_bands
from stream_app.demo.voice import DemoVoice
from stream_app.notifications.messages.masking import mask
from stream_app.simulate.calendar import SHOP_ZONE

EXAMPLES: Final = "churn_trainer_examples_total"
VERSION: Final = "churn_model_version"
_FRAMES_A_SECOND: Final = 8
_HISTORY_LINES: Final = 5  # that tell how the history goes on, of those who read lines


class Show(Protocol):
    """What is shown to."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update(self, board: DemoState, shop: ShopSimulation, changed: Sequence[Listed], left: float) -> None:
        """Show how it is; `left` seconds of the demo."""
        ...


class Screen:
    """A screen that is drawn anew, several times a second."""

    def __init__(self, console: Console, voice: DemoVoice, plan: Plan) -> None:
        self._console = console
        self._layout = Layout(voice, plan)
        self._live = Live(console=console, refresh_per_second=_FRAMES_A_SECOND, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, board: DemoState, shop: ShopSimulation, _changed: Sequence[Listed], left: float) -> None:
        """See Show."""
        size = self._console.size
        self._live.update(self._layout.draw(board, shop, left, size.width, size.height), refresh=True)


class Lines:
    """Lines of text, for those who keep them: a log of continuous integration, a file."""

    def __init__(self, console: Console, voice: DemoVoice, plan: Plan) -> None:
        self._console, self._voice, self._plan = console, voice, plan
        self._told = -1  # of the history
        self._day = -1

    def __enter__(self) -> Self:
        self._print(self._voice.say("demo.opening", customers=self._voice.number(self._plan.customers)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update(self, board: DemoState, shop: ShopSimulation, changed: Sequence[Listed], left: float) -> None:  # noqa: ARG002
        """See Show."""
        if shop.phase is Phase.HISTORY:
            self._tell_history(board, shop)
        elif shop.phase is Phase.LIVING:
            self._tell_day(board, shop)
        for listed in changed:
            self._tell_alert(listed)

    def _tell_history(self, board: DemoState, shop: ShopSimulation) -> None:
        part = int(shop.history_share * _HISTORY_LINES)
        if part > self._told:
            self._told = part
            vector = {"share": self._voice.percent(shop.history_share), "events": self._voice.number(shop.sent)}
            self._say("line.history", board, shop, **vector)

    def _tell_day(self, board: DemoState, shop: ShopSimulation) -> None:
        day = (shop.now - shop.began) // DAY_US
        if day > self._day:
            self._say("line.first" if self._day < 0 else "line.day", board, shop)
            self._day = day

    def _tell_alert(self, listed: Listed) -> None:
        voice, alert = self._voice, listed.alert
        if listed.state == OPEN and alert.urgent:  # at any risk, and perhaps without a score
            self._print(voice.say("line.urgent", customer=mask(alert.customer_id)))
        elif listed.state == OPEN:
            vector = {
                "risk": voice.percent(alert.probability),
                "silent": voice.silent(alert),
                "worth": voice.worth(alert),
            }
            self._print(voice.say("line.opened", customer=mask(alert.customer_id), **vector))
        else:
            state = voice.say(f"state.{listed.state}")
            self._print(voice.say("line.closed", customer=mask(alert.customer_id), state=state))

    def _say(self, key: str, board: DemoState, shop: ShopSimulation, **vector: str) -> None:
        voice, active = self._voice, board.active()
        self._print(
            voice.say(
                key,
                day=voice.day(local(shop.now).date().isoformat()),
                active=voice.number(len(active)),
                high=voice.number(in_bands(active)[0]),
                version=voice.number(board.figure("worker", VERSION)),
                labels=voice.number(board.figure("trainer", EXAMPLES)),
                **vector,
            )
        )

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


def local(at: int) -> datetime:
    """A moment on the shop's clock."""
    return (EPOCH + at * MICROSECOND).astimezone(SHOP_ZONE)
