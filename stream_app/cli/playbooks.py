"""`stream-app playbook` as people see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text as Line

from stream_app.cli.options import one_of
from stream_app.cli.tables import Column, show_table
from stream_app.i18n import Translator
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.playbook.measures import CAUSES, DEFAULT, Channel, Measure, Playbook
from stream_app.notifications.playbook.playbook import load_playbook

_STEP_CELLS: Final = 36  # in which a step still reads well
_SEGMENT_CELLS: Final = 20
_SAID: Final[dict[str, dict[str, Any]]] = {
    "en": {
        "fine": "The playbook is complete: {causes} causes, {entries} entries of your own.",
        "templates": "The templates in {folder} render in both languages.",
        "cause": "cause",
        "name": "name",
        "kind": "kind",
        "channels": "channels",
        "first": "first step",
        "own": "segments of their own",
        "default": "all others",
        "never": "never",
        "title": "What to do about each cause",
        "from": "≥ {worth:g} a month",
        "kinds": {"service": "service", "care": "care", "promotion": "promotion", "rest": "rest"},
        "names": {"phone": "phone", "chat": "chat", "sms": "sms", "email": "email", "app": "app", "none": "none"},
    },
    "zh": {
        "fine": "剧本完整：{causes} 个原因，您自己的条目 {entries} 条。",
        "templates": "{folder} 中的模板在两种语言下均可使用。",
        "cause": "原因键",
        "name": "名称",
        "kind": "类别",
        "channels": "渠道",
        "first": "第一步",
        "own": "单独规定的客群",
        "default": "其他客户",
        "never": "切勿",
        "title": "各原因的应对措施",
        "from": "每月 ≥ {worth:g}",
        "kinds": {"service": "服务", "care": "关怀", "promotion": "促销", "rest": "不打扰"},
        "names": {
            "phone": "电话",
            "chat": "在线客服",
            "sms": "短信",
            "email": "邮件",
            "app": "App 内消息",
            "none": "不联系",
        },
    },
}


def run_check(own: Path | None, templates: Path | None, lang: str, console: Console) -> None:
    """Say that all is well; raises BadPlaybook or BadTemplate if it is not."""
    playbook, said = load_playbook(own), _SAID[lang]
    entries = len(playbook.layers[0]) if own is not None and len(playbook.layers) > 1 else 0
    console.print(Line(said["fine"].format(causes=len(CAUSES), entries=entries)))
    if templates is not None:
        PlaybookComposer(playbook, templates=templates)
        console.print(Line(said["templates"].format(folder=templates)))


def run_show(cause: str, own: Path | None, lang: str, console: Console) -> None:
    """An overview, or one cause with all of its segments."""
    playbook = load_playbook(own)
    if not cause:
        _overview(playbook, lang, console)
        return
    one_of("CAUSE", cause, *CAUSES)
    console.print(Line(f"{Translator(lang).cause(cause)} ({cause})", style="bold"))
    for segment in (*playbook.overridden(cause), DEFAULT):
        name = _SAID[lang]["default"] if segment == DEFAULT else Translator(lang).segment(segment)
        console.print(Line(f"\n{name}", style="bold cyan"))
        console.print(_told(playbook, playbook.measure(cause, segment), lang))


def _overview(playbook: Playbook, lang: str, console: Console) -> None:
    said = _SAID[lang]
    cells = {"first": _STEP_CELLS, "own": _SEGMENT_CELLS}
    columns = [Column(said[name], cells.get(name, 0)) for name in ("cause", "name", "kind", "first", "own")]
    rows = []
    for cause in CAUSES:
        measure = playbook.measure(cause)
        segments = ", ".join(Translator(lang).segment(one) for one in playbook.overridden(cause))
        rows.append(
            (
                cause,
                Translator(lang).cause(cause),
                said["kinds"][measure.kind.value],
                measure.steps[0].text(lang),
                segments,
            )
        )
    show_table(console, said["title"], columns, rows)


def _told(playbook: Playbook, measure: Measure, lang: str) -> Line:
    said = _SAID[lang]
    channels = ", ".join(_channel(playbook, measure, one, said) for one in measure.channels)
    lines = [f"  {said['kind']}: {said['kinds'][measure.kind.value]}   {said['channels']}: {channels}"]
    lines += [f"  {number}. {step.text(lang)}" for number, step in enumerate(measure.steps, 1)]
    lines += [f"  {said['never']}: {one.text(lang)}" for one in (*measure.never, *playbook.never)]
    return Line("\n".join(lines))


def _channel(playbook: Playbook, measure: Measure, channel: Channel, said: Mapping[str, Any]) -> str:
    """A channel, and from what worth on it is used."""
    name: str = said["names"][channel.value]
    limited = channel is Channel.PHONE and playbook.channel(measure, 0.0) is not Channel.PHONE
    return f"{name} ({said['from'].format(worth=playbook.limits.phone_from)})" if limited else name
