"""Take the pictures of the demo and of its messages from a running demo: `make pictures`. Needs Chromium.

One demo runs for each language; the pictures show what its services produced, dates included.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import unescape
from pathlib import Path
from threading import Thread
from typing import Final

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from rich.cells import cell_len
from rich.console import Console

from stream_app.core.alerts.sla import LOW_REVIEW
from stream_app.core.delivery.records import MessageText
from stream_app.core.messages.alerts import AlertOpened
from stream_app.demo import Request, run_demo
from stream_app.demo.settings import CURRENCY, ZONE
from stream_app.demo.simulation import Phase, ShopSimulation
from stream_app.demo.state import DemoState, ListedAlert
from stream_app.demo.terminal_layout import TerminalLayout
from stream_app.demo.views import View
from stream_app.i18n import Translator
from stream_app.notifications.channels import dingtalk, feishu
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.simulate.calendar import SHOP_ZONE

DOCS: Final = Path(__file__).parent
IMAGES: Final = DOCS / "images"
TAKEN_AT: Final = 35.0  # seconds before the end of the demo: there are alerts of many days, and some have ended
TERMINAL: Final = (110, 30)  # columns, rows
PAGE: Final = (1280, 1090)  # pixels
CHATS_WIDTH: Final = 1080
_CAPACITY: Final = 3  # alerts a day: a digest of five would be a long picture
_CHATS: Final = {
    "en": (
        "A complaint past its service target, at once: a DingTalk group",
        "The day's list in the morning: a Feishu group",
    ),
    "zh": ("投诉超过服务时限，立即发送：钉钉群", "每天早上的名单：飞书群"),
}
_FONTS: Final = "'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', monospace"


@dataclass(frozen=True)
class Chat:
    """A message in its frame; Markdown only if it has no title."""

    where: str
    when: str
    title: str
    html: Markup


class Camera(View):
    """A view of the demo that takes its pictures once."""

    def __init__(self, request: Request, address: str) -> None:
        self._request, self._address = request, address
        self._translator = Translator(request.lang, "demo")
        self._page: Thread | None = None

    def __exit__(self, *_: object) -> None:
        if self._page is not None:
            self._page.join()

    def update(self, board: DemoState, shop: ShopSimulation, _changed: Sequence[ListedAlert], left: float) -> None:
        """See `View.update`."""
        if self._page is not None or left > TAKEN_AT or shop.phase is not Phase.LIVE:
            return
        self._page = Thread(target=self._take_page)  # the demo continues meanwhile
        self._page.start()
        self._take_terminal(board, shop, left)
        self._take_chats(board)

    def _to(self, name: str) -> Path:
        return IMAGES / f"{name}-{self._request.lang}.png"

    def _take_page(self) -> None:
        shoot(self._address, self._to("page"), PAGE)

    def _take_terminal(self, board: DemoState, shop: ShopSimulation, left: float) -> None:
        width, height = TERMINAL
        console = Console(
            record=True, width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor"
        )
        console.print(TerminalLayout(self._translator, self._request.plan).draw(board, shop, left, width, height))
        shoot_text(console.export_svg(title="make demo"), "svg", self._to("demo"))

    def _take_chats(self, board: DemoState) -> None:
        lang = self._request.lang
        composer = PlaybookComposer(load_playbook(), zone=ZONE, currency=CURRENCY)
        urgent, digest = chosen(board)
        first, second = _CHATS[lang]
        message = composer.alert(urgent, lang, dingtalk.TEXT_BYTES)
        (listed, _), *_ = composer.digest(digest, lang, feishu.TEXT_BYTES)
        chats = [_chat(first, urgent, message, titled=False), _chat(second, digest[0], listed, titled=True)]
        environment = jinja2.Environment(loader=jinja2.FileSystemLoader(DOCS / "templates"), autoescape=True)
        text = environment.get_template("chats.html.j2").render(chats=chats, lang=lang, width=CHATS_WIDTH)
        shoot_text(text, "html", self._to("messages"))


def chosen(board: DemoState) -> tuple[AlertOpened, list[AlertOpened]]:
    """Return the overdue complaint with the most evidence, and the alerts of the latest day."""
    listed = [one.alert for one in board.listed]
    urgent = max(filter(_is_overdue, listed), key=lambda alert: len(alert.explanation.evidence))
    daily = [alert for alert in listed if not alert.urgent]
    newest = daily[0].opened_at
    return urgent, [alert for alert in daily if alert.opened_at == newest]


def _is_overdue(alert: AlertOpened) -> bool:
    return alert.urgent and alert.explanation.evidence[0].rule != LOW_REVIEW


def _chat(where: str, alert: AlertOpened, message: MessageText, *, titled: bool) -> Chat:
    text = feishu.below_header(message.title, message.markdown) if titled else message.markdown
    html = MarkdownIt("commonmark", {"breaks": True, "html": False}).render(text)
    when = f"{alert.opened_at.astimezone(SHOP_ZONE):%m-%d %H:%M}"
    return Chat(where, when, message.title if titled else "", Markup(html))  # noqa: S704 - made without raw HTML


def shoot_text(text: str, kind: str, to: Path) -> None:
    """Take the picture of an SVG image or a page, in its full size."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        source = Path(folder) / f"page.{kind}"
        source.write_text(_as_here(text) if kind == "svg" else text, encoding="utf-8")
        shoot(source.as_uri(), to, _size_of_svg(text) if kind == "svg" else _size_of_page(source))


def _as_here(svg: str) -> str:
    """Return Rich's SVG without remote fonts and with room for Chinese, which it takes for one column per character."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]*;", f"font-family: {_FONTS};", svg)
    return re.sub(r'textLength="([\d.]+)"([^>]*)>([^<]*)<', _wide, svg)


def _wide(text: re.Match[str]) -> str:
    content = unescape(text[3])
    return f'textLength="{float(text[1]) / len(content) * cell_len(content):.1f}"{text[2]}>{text[3]}<'


def _size_of_svg(svg: str) -> tuple[int, int]:
    (size,) = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    return round(float(size[0])), round(float(size[1]))


def _size_of_page(source: Path) -> tuple[int, int]:
    """Return the size of a page as the browser lays it out."""
    text = source.read_text(encoding="utf-8")
    told = (
        "<script>document.body.dataset.height = Math.ceil(document.body.getBoundingClientRect().height)</script></body>"
    )
    source.write_text(text.replace("</body>", told), encoding="utf-8")
    dom = _chromium("--dump-dom", source.as_uri())
    (height,) = re.findall(r'data-height="(\d+)"', dom)
    return CHATS_WIDTH, int(height)


def shoot(address: str, to: Path, size: tuple[int, int]) -> None:
    """Take the picture of what a browser shows at an address."""
    _chromium(f"--window-size={size[0]},{size[1]}", f"--screenshot={to}", address)


def _chromium(*arguments: str) -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        sys.exit("Chromium is needed: chromium, chromium-browser or google-chrome on the PATH.")
    with tempfile.TemporaryDirectory(prefix="pictures-") as profile:
        command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
            *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603 - our own
    return done.stdout


def main() -> None:
    """Take all pictures, in both languages."""
    for lang in ("en", "zh"):
        request = Request(lang=lang, port=0, seconds=150, capacity=_CAPACITY)
        run_demo(request, Console(stderr=True), partial(Camera, request))


if __name__ == "__main__":
    main()
