"""Terminal layout of the demo, for at least 80 columns and 24 rows; at most 110 columns wide."""

from __future__ import annotations

from typing import Final, Literal

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream_app.core.kpis.risk_bands import band_of
from stream_app.demo.settings import HORIZON_DAYS
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import OPEN, WORST_FIRST, DemoState, ListedAlert, band_counts
from stream_app.demo.wording import (
    band_names,
    is_running,
    local_date,
    phase_text,
    service_lines,
    silence_text,
    time_left,
    worth_text,
)
from stream_app.i18n import Translator
from stream_app.notifications.messages.masking import mask
from stream_app.simulate.calendar import SHOP_ZONE

_WIDE: Final = 100  # minimum width at which the monthly revenue is shown
_COLUMNS: Final = ("since", "customer", "risk", "why", "silent", "worth", "now")
_SHRINKING: Final = {"why", "silent"}  # columns that are truncated if space is short
MAX_WIDTH: Final = 110
_OTHER_ROWS: Final = 17  # rows of everything except the alerts
_ROWS: Final = range(3, 13)  # minimum and maximum number of alerts shown
_BAND_STYLES: Final = dict(zip(WORST_FIRST, ("red", "dark_orange", "yellow", "green"), strict=True))
_STATE_STYLES: Final = {
    OPEN: "default",
    "returned": "bold green",
    "fell": "green",
    "met": "green",
    "resolved": "green",
    "lost": "dim",
}
_BORDER: Final = "bright_black"
_BAR: Final = "━"


class TerminalLayout:
    """Draws the demo's state.

    Args:
        translator: translator into the viewer's language, with the domain "demo".
        plan: plan of the simulated shop.
    """

    def __init__(self, translator: Translator, plan: Plan) -> None:
        self._translator, self._plan = translator, plan

    def draw(self, state: DemoState, shop: ShopSimulation, left: float, width: int, height: int) -> RenderableType:
        """Return the whole screen for a terminal of this size; the demo ends in `left` seconds."""
        width = min(width, MAX_WIDTH)
        half = width // 2
        upper = Table.grid()
        upper.add_column(width=half)
        upper.add_column(width=width - half)
        upper.add_row(self._risk(state, half), self._system(state))
        rows = min(max(height - _OTHER_ROWS, _ROWS.start), _ROWS.stop)
        head = Constrain(self._head(shop, left, width), width)
        return Group(head, Constrain(upper, width), Constrain(self._alerts(state, rows, width >= _WIDE), width))

    def _head(self, shop: ShopSimulation, left: float, width: int) -> RenderableType:
        text = self._translator.text
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        ends = " · ".join(filter(None, (time_left(self._translator, left), text("demo.ctrl_c"))))
        head.add_row(Text(text("demo.title"), style="bold"), Text(ends, style="dim"))
        phase = Text(phase_text(self._translator, shop, self._plan))
        right: RenderableType = ""
        bar: RenderableType = ""
        if shop.phase is Phase.LIVE:
            phase.stylize("bold cyan")
            right = Text(text("demo.pace", seconds=self._plan.day_seconds), style="dim")
        elif shop.phase is Phase.HISTORY:
            right = Text(self._translator.day(local_date(shop.now)), style="cyan")
            bar = ProgressBar(total=1.0, completed=shop.history_share, width=width, complete_style="cyan")
        head.add_row(phase, right)
        below = Table.grid()  # a bar does not end its own line
        below.add_row(bar)
        return Group(head, below)

    def _risk(self, state: DemoState, width: int) -> Panel:
        translator, active = self._translator, state.active()
        counts, names = band_counts(active), band_names(translator)
        name_width = max(Text(name).cell_len for name in names)
        space, most = width - name_width - 14, max(*counts, 1)
        table = Table.grid(padding=(0, 1))
        table.add_column(width=name_width, justify="right")
        table.add_column(width=space)
        table.add_column(width=6, justify="right")
        for name, style, count in zip(names, _BAND_STYLES.values(), counts, strict=True):
            bar = Text(_BAR * round(space * count / most), style=style)
            table.add_row(Text(name, style=style), bar, translator.number(count))
        expected = translator.text("risk.expected", leavers=translator.number(sum(active)), days=HORIZON_DAYS)
        notes = (translator.text("risk.active", active=translator.number(len(active))), expected)
        return self._panel(Group(table, *(Text(note, style="dim") for note in notes)), translator.text("risk.title"))

    def _system(self, state: DemoState) -> Panel:
        translator = self._translator
        table = Table.grid(padding=(0, 1))
        for part, line in service_lines(translator, state).items():
            dot = Text("●", style="green" if is_running(state, part) else "yellow")
            table.add_row(dot, translator.text(f"system.{part}"), _cut(line, "dim"))
        return self._panel(table, translator.text("system.title"))

    def _alerts(self, state: DemoState, rows: int, wide: bool) -> Panel:
        text = self._translator.text
        if not state.listed:
            empty = Group(Text(text("alerts.none"), style="dim"), *([Text()] * rows))
            return self._panel(empty, text("alerts.title"))
        table = Table(box=None, expand=True, pad_edge=False, padding=(0, 1), header_style="dim")
        for name in _COLUMNS if wide else [name for name in _COLUMNS if name != "worth"]:
            justify: Literal["left", "right"] = "right" if name in {"risk", "worth"} else "left"
            table.add_column(text(f"alerts.{name}"), justify=justify, no_wrap=name not in _SHRINKING)
        for listed in state.listed[:rows]:
            table.add_row(*self._row(listed, wide))
        filling = [Text()] * (rows - min(rows, len(state.listed)))
        outcomes = [f"{count} {text(f'state.{outcome}')}" for outcome, count in state.outcomes.items() if count]
        return self._panel(Group(table, *filling), text("alerts.title"), " · ".join(outcomes))

    def _row(self, listed: ListedAlert, wide: bool) -> tuple[RenderableType, ...]:
        translator, alert, style = self._translator, listed.alert, _STATE_STYLES.get(listed.state, "dim")
        opened = alert.opened_at.astimezone(SHOP_ZONE)
        causes = alert.explanation.causes
        worth = (worth_text(translator, alert) if alert.monthly_worth else "–",) if wide else ()
        state = Text(translator.name("state", listed.state), style=style)
        if alert.urgent and listed.state == OPEN:
            state = Text(translator.text("page.urgent"), style="bold red")
        risk = Text(translator.percent(alert.probability), style=_BAND_STYLES[band_of(alert.probability)])
        return (
            Text(f"{opened:%m-%d}", style="dim"),
            mask(alert.customer_id),
            risk if alert.probability else "–",  # an urgent alert may have no score
            _cut(translator.cause(causes[0].key) if causes else ""),
            _cut(silence_text(translator, alert)),
            *worth,
            state,
        )

    @staticmethod
    def _panel(inside: RenderableType, title: str, subtitle: str = "") -> Panel:
        return Panel(
            inside,
            title=Text(title, style="bold"),
            title_align="left",
            subtitle=subtitle or None,
            subtitle_align="right",
            border_style=_BORDER,
        )


def _cut(text: str, style: str = "") -> Text:
    """Return a text that stays on one line and is truncated if space is short."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
