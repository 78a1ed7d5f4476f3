"""The screen of the demo, drawn from what the board knows; fits in 80 columns and 24 rows, and uses up to 110."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.demo.settings import HORIZON_DAYS
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import OPEN, DemoState, Listed, in_bands
from stream_app.demo.voice import DemoVoice
from stream_app.i18n import cause_name
from stream_app.notifications.messages.masking import mask
from stream_app.simulate.calendar import SHOP_ZONE

_WIDE: Final = 100  # columns from which there is room for what a customer is worth
_COLUMNS: Final = ("since", "customer", "risk", "why", "silent", "worth", "now")
_YIELDING: Final = {"why", "silent"}  # columns that are cut where room is short
MAX_WIDTH: Final = 110
_OTHER_ROWS: Final = 17  # all but the alerts
_ROWS: Final = range(3, 13)  # alerts shown, least and most
_BAND_NAMES: Final = ("80–100%", "60–80%", "40–60%", "0–40%")
_BAND_STYLES: Final = ("red", "dark_orange", "yellow", "green")
_STATE_STYLES: Final = {OPEN: "default", "returned": "bold green", "fell": "green", "met": "green", "lost": "dim"}
_BORDER: Final = "bright_black"
_BAR: Final = "━"


class Layout:
    """Draws the board.

    Args:
        voice: of the viewer's language.
        plan: of the shop.
    """

    def __init__(self, voice: DemoVoice, plan: Plan) -> None:
        self._voice, self._plan = voice, plan

    def draw(self, board: DemoState, shop: ShopSimulation, left: float, width: int, height: int) -> RenderableType:
        """Everything, for a terminal of this size."""
        width = min(width, MAX_WIDTH)
        half = width // 2
        upper = Table.grid()
        upper.add_column(width=half)
        upper.add_column(width=width - half)
        upper.add_row(self._risk(board, half), self._system(board))
        rows = min(max(height - _OTHER_ROWS, _ROWS.start), _ROWS.stop)
        head = Constrain(self._head(shop, left, width), width)
        return Group(head, Constrain(upper, width), Constrain(self._alerts(board, rows, width >= _WIDE), width))

    # --- the parts of the screen -------------------------------------------------------------------------------------

    def _head(self, shop: ShopSimulation, left: float, width: int) -> RenderableType:
        say = self._voice.say
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        ends = f"{say('demo.ends_in', seconds=f'{left:.0f}')} · {say('demo.ctrl_c')}"
        head.add_row(Text(say("demo.title"), style="bold"), Text(ends, style="dim"))
        if shop.phase is Phase.LIVING:
            pace = say("demo.pace", seconds=self._plan.day_seconds)
            head.add_row(Text(self._clock(shop), style="bold cyan"), Text(pace, style="dim"))
            return Group(head, Text())
        if shop.phase is Phase.HISTORY:
            head.add_row(Text(say("demo.history", days=self._plan.history_days)), Text(self._date(shop), style="cyan"))
            bar = Table.grid()  # a bar by itself ends no line
            bar.add_row(ProgressBar(total=1.0, completed=shop.history_share, width=width, complete_style="cyan"))
            return Group(head, bar)
        key = "demo.starting" if shop.began else "demo.opening"
        head.add_row(Text(say(key, customers=self._voice.number(self._plan.customers))), Text())
        return Group(head, Text())

    def _risk(self, board: DemoState, width: int) -> Panel:
        voice, active = self._voice, board.active()
        counts = in_bands(active)
        room, most = width - 22, max(*counts, 1)
        table = Table.grid(padding=(0, 1))
        table.add_column(width=8, justify="right")
        table.add_column(width=room)
        table.add_column(width=6, justify="right")
        for name, style, count in zip(_BAND_NAMES, _BAND_STYLES, counts, strict=True):
            bar = Text(_BAR * round(room * count / most), style=style)
            table.add_row(Text(name, style=style), bar, voice.number(count))
        notes = [Text(voice.say("risk.active", active=voice.number(len(active))), style="dim")]
        notes.append(
            Text(voice.say("risk.expected", leavers=voice.number(sum(active)), days=HORIZON_DAYS), style="dim")
        )
        return self._panel(Group(table, *notes), voice.say("risk.title"))

    def _system(self, board: DemoState) -> Panel:
        voice = self._voice
        say = voice.say
        version, labels = board.figure("worker", "churn_model_version"), _labels(board)
        model = say("system.model", version=voice.number(version), labels=voice.number(labels))
        scored, opened = board.figure("worker", "churn_events_scored_total"), board.counts[OPEN]
        scores = say("system.scores", scores=voice.number(scored), ms=voice.number(board.freshness_ms))
        customers = say("system.customers", customers=voice.number(board.figure("worker", "churn_states_cached")))
        sent = board.figure("notifier", "churn_delivery_attempts_total")
        table = Table.grid(padding=(0, 1))
        rows = (
            (True, "kafka", say("system.events", rate=voice.number(board.rate))),
            (True, "redis", customers),
            (board.well("worker"), "worker", scores if scored else say("system.scores_none")),
            (board.well("trainer"), "trainer", model if labels else say("system.model_none")),
            (
                board.well("allocator"),
                "allocator",
                say("system.alerts", opened=voice.number(opened)) if opened else say("system.alerts_none"),
            ),
            (
                board.well("notifier"),
                "notifier",
                say("system.sent", sent=voice.number(sent)) if sent else say("system.sent_none"),
            ),
        )
        for well, part, told in rows:
            dot = Text("●", style="green" if well else "yellow")
            table.add_row(dot, say(f"system.{part}"), Text(told, style="dim", no_wrap=True, overflow="ellipsis"))
        return self._panel(table, say("system.title"))

    def _alerts(self, board: DemoState, rows: int, wide: bool) -> Panel:
        say = self._voice.say
        if not board.listed:
            empty = Group(Text(say("alerts.none"), style="dim"), *([Text()] * rows))
            return self._panel(empty, say("alerts.title"))
        table = Table(box=None, expand=True, pad_edge=False, padding=(0, 1), header_style="dim")
        for name in _COLUMNS if wide else [name for name in _COLUMNS if name != "worth"]:
            justify: Any = "right" if name in {"risk", "worth"} else "left"
            table.add_column(say(f"alerts.{name}"), justify=justify, no_wrap=name not in _YIELDING)
        for listed in list(board.listed)[:rows]:
            table.add_row(*self._row(listed, wide))
        filling = [Text()] * (rows - min(rows, len(board.listed)))
        return self._panel(Group(table, *filling), say("alerts.title"), self._ends(board))

    def _row(self, listed: Listed, wide: bool) -> tuple[RenderableType, ...]:
        voice, alert, style = self._voice, listed.alert, _STATE_STYLES.get(listed.state, "dim")
        risk = next(s for s, count in zip(_BAND_STYLES, in_bands([alert.probability]), strict=True) if count)
        opened = alert.opened_at.astimezone(SHOP_ZONE)
        causes = alert.explanation.causes
        worth = (voice.worth(alert) if alert.monthly_worth else "–",) if wide else ()
        state = Text(voice.name("state", listed.state), style=style)
        if alert.urgent and listed.state == OPEN:
            state = Text(voice.say("page.urgent"), style="bold red")
        return (
            Text(f"{opened:%m-%d}", style="dim"),
            mask(alert.customer_id),
            Text(voice.percent(alert.probability), style=risk) if alert.probability else "–",  # who has no score
            _cut(cause_name(causes[0].key, voice.lang) if causes else ""),
            _cut(voice.silent(alert)),
            *worth,
            state,
        )

    def _ends(self, board: DemoState) -> str:
        """How alerts have ended so far."""
        told = [(state, board.counts[state]) for state in ("returned", "fell", "met", "lost") if board.counts[state]]
        return " · ".join(f"{count} {self._voice.say(f'state.{state}')}" for state, count in told)

    # --- figures -----------------------------------------------------------------------------------------------------

    def _clock(self, shop: ShopSimulation) -> str:
        return self._voice.clock((EPOCH + shop.now * MICROSECOND).astimezone(SHOP_ZONE))

    def _date(self, shop: ShopSimulation) -> str:
        return self._voice.day((EPOCH + shop.now * MICROSECOND).astimezone(SHOP_ZONE).date().isoformat())

    @staticmethod
    def _panel(inside: RenderableType, title: str, subtitle: str | None = None) -> Panel:
        return Panel(
            inside,
            title=Text(title, style="bold"),
            title_align="left",
            subtitle=subtitle or None,
            subtitle_align="right",
            border_style=_BORDER,
        )


def _cut(text: str) -> Text:
    """Of one row, whatever the room."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _labels(board: DemoState) -> float:
    return board.figure("trainer", "churn_trainer_examples_total")
