"""The demo's page in a real Chromium: wide and narrow, light and dark, in both languages, while alerts come."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import msgspec
import pytest

from stream_app.core.messages.alerts import AlertClosed
from stream_app.demo.state import ServiceStatus
from stream_app.demo.web_page import WebPage
from tests.conftest import missing
from tests.unit.demo.test_demo import NOON, board
from tests.unit.demo.test_page import explained, page_in, shown

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Elements that overflow or are cut off, and the minimum contrast of text with its background (WCAG 2.2).
LOOK = """
(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const told = { out: [], least: 99, faint: "", width: document.documentElement.scrollWidth, dark: 0 };
  for (const node of document.body.querySelectorAll("*")) {
    const box = node.getBoundingClientRect();
    if (!box.width) continue;
    if (box.right > innerWidth + .5 || box.left < -.5 || node.scrollWidth > node.clientWidth + 1 && node.clientWidth) {
      told.out.push(node.className || node.id || node.tagName);
    }
    if (!Array.from(node.childNodes).some((one) => one.nodeType === 3 && one.textContent.trim())) continue;
    const [one, other] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const contrast = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    if (contrast >= told.least) continue;
    Object.assign(told, { least: contrast, faint: node.className || node.id || node.tagName });
  }
  told.dark = light(behind(document.body));
  return told;
})()
"""
CARDS = """
Array.from(document.querySelectorAll("#list > article")).map((card) => ({
  id: card.dataset.id, badge: card.querySelector(".badge").className, ended: card.classList.contains("ended"),
  who: card.querySelector("h3").textContent, sent: !card.querySelector(".sent").hidden,
  steps: card.querySelectorAll(".steps li").length, causes: card.querySelectorAll(".causes progress").length,
}))
"""


class Tab:
    """A page in a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0
        self.errors: list[str] = []

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            told = await self._socket.receive_json(timeout=30)
            if told.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.errors.append(str(told["params"]))
            if told.get("id") == self._number:
                found: dict[str, Any] = told["result"]
                return found

    async def ask(self, script: str) -> Any:
        return (await self.do("Runtime.evaluate", expression=script, returnByValue=True))["result"]["value"]

    async def open(self, address: str, width: int, scheme: str = "light") -> None:
        await self.do("Runtime.enable")
        await self.do("Log.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.do("Emulation.setDeviceMetricsOverride", **size)
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.do("Page.navigate", url=address)
        await self.until("document.readyState === 'complete' && document.querySelectorAll('#parts li').length > 0")

    async def until(self, script: str) -> None:
        for _ in range(100):
            if await self.ask(script):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(script)


@pytest.fixture(scope="module")
def browser() -> Iterator[str]:
    """Provide the address of a browser for new tabs."""
    if CHROMIUM is None:
        missing("Chromium: apt-get install chromium")
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        said = ""
        while (found := re.search(r"ws://(127\.0\.0\.1:\d+)/", said)) is None:
            said = process.stderr.readline()
            assert process.poll() is None
        yield found[1]
        process.terminate()
        process.wait(20)
        process.stderr.close()


def visit(browser: str, look: Callable[[Tab], Awaitable[None]]) -> None:
    """Open a tab; scripts of the page must not fail during the block."""

    async def go() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://{browser}/json/new?about:blank") as answer:
                tab = await answer.json()
            async with session.ws_connect(tab["webSocketDebuggerUrl"]) as socket:
                shown_in = Tab(socket)
                await look(shown_in)
                assert shown_in.errors == []

    asyncio.run(go())


def full(page: WebPage) -> Any:
    """Return a page with alerts of all kinds and figures of maximum length."""
    told = board()
    told.record_services(
        1.0, {"worker": ServiceStatus(True, {"churn_events_scored_total": 1e6, "churn_states_cached": 20_000.0})}
    )
    urgent = msgspec.structs.replace(explained(3), urgent=True)
    shown(page, told, explained(1), explained(2), urgent)
    shown(page, told, AlertClosed("al_1", "c00000001", NOON, "met"))
    return told


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_all_text_is_legible(browser: str, lang: str, width: int, scheme: str) -> None:
    with page_in(lang) as page:
        full(page)

        async def look(tab: Tab) -> None:
            await tab.open(page.address, width, scheme)
            told = await tab.ask(LOOK)
            assert told["out"] == []
            assert told["width"] <= width
            assert told["least"] >= 4.5, told["faint"]
            assert (told["dark"] < 0.2) is (scheme == "dark")

        visit(browser, look)


def test_later_updates_look_like_the_initial_page(browser: str) -> None:
    with page_in("en") as page:
        told = full(page)

        async def look(tab: Tab) -> None:
            await tab.open(page.address, 1280)
            first = await tab.ask(CARDS)
            assert [card["id"] for card in first] == ["al_3", "al_2", "al_1"]
            assert [card["badge"] for card in first] == ["badge urgent", "badge open", "badge good"]
            assert [card["ended"] for card in first] == [False, False, True]
            late = msgspec.structs.replace(explained(7), opened_at=NOON.replace(hour=9))
            shown(page, told, explained(9), late, AlertClosed("al_2", "c00000002", NOON, "returned"))
            await tab.until("document.querySelectorAll('#list > article').length === 5")
            cards = await tab.ask(CARDS)
            assert [card["id"] for card in cards] == ["al_9", "al_3", "al_2", "al_1", "al_7"]
            assert [card["badge"] for card in cards] == [
                f"badge {tone}" for tone in ("open", "urgent", "good", "good", "open")
            ]
            assert all(card["steps"] == cards[0]["steps"] > 0 for card in cards if card["id"] != "al_3")
            assert {card["causes"] for card in cards} == {1}
            assert cards[0]["who"] == "c••0009"

        visit(browser, look)


def test_the_page_reports_the_end_of_the_demo_and_keeps_its_content(browser: str) -> None:
    with page_in("en") as page:
        full(page)

        async def look(tab: Tab) -> None:
            await tab.open(page.address, 1280)
            page.__exit__(None, None, None)
            await tab.until("document.getElementById('left').textContent === 'The demo has ended'")
            assert len(await tab.ask(CARDS)) == 3
            tab.errors.clear()  # the page does not answer any more

        visit(browser, look)
