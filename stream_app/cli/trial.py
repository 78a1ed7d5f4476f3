"""Tables of a policy trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from stream_app.cli.tables import show_table
from stream_app.i18n import Translator

if TYPE_CHECKING:  # importing it takes as long as the rest of the command line
    from stream_app.replay.policy_trial import Reached, TrialFigures


def show_trial(console: Console, names: Sequence[str], found: Sequence[TrialFigures], words: Translator) -> None:
    """Print the figures of all policies side by side, then by segment, with the difference if there are two.

    Args:
        console: console to print to.
        names: names of the policies.
        found: their figures.
        words: translator.
    """
    differs = [words.text("policy.difference")] if len(found) == 2 else []
    first = found[0]
    title = words.text("policy.trial", lost=f"{first.lost:,}", money=f"{first.lost_money:,.0f}")
    show_table(console, title, dict.fromkeys([words.text("policy.figure"), *names, *differs], 0), _rows(found, words))
    segments = sorted({segment for one in found for segment in one.segments})
    rows = [
        (words.segment(one) if one else words.text("policy.unknown"), *(_cell(of.segments.get(one)) for of in found))
        for one in segments
    ]
    show_table(console, words.text("policy.segments"), dict.fromkeys([words.text("policy.segment"), *names], 0), rows)
    console.print(Text(words.text("policy.not_saved")), soft_wrap=True)


def _rows(found: Sequence[TrialFigures], words: Translator) -> list[tuple[str, ...]]:
    def counted(name: str, values: Sequence[float]) -> tuple[str, ...]:
        return (name, *(f"{one:,.0f}" for one in values), *([f"{values[1] - values[0]:+,.0f}"] if pair else []))

    def shared(name: str, parts: Sequence[float], whole: Sequence[float]) -> tuple[str, ...]:
        shares = [100 * part / of if of else 0.0 for part, of in zip(parts, whole, strict=True)]
        return (name, *(f"{one:.1f}%" for one in shares), *([f"{shares[1] - shares[0]:+.1f}"] if pair else []))

    pair = len(found) == 2
    people, money = [one.total.people for one in found], [one.total.money for one in found]
    rows = [
        counted(words.text("policy.calls"), [one.total.calls for one in found]),
        counted(words.text("policy.people"), people),
        shared(words.text("policy.of_lost"), people, [one.lost for one in found]),
        counted(words.text("policy.money"), money),
        shared(words.text("policy.of_money"), money, [one.lost_money for one in found]),
        counted(words.text("policy.repeats"), [one.repeats for one in found]),
    ]
    if any(one.break_even for one in found):
        chances = [100 * (one.break_even or 0.0) for one in found]
        rows.append(shared(words.text("policy.break_even"), chances, [100.0] * len(found)))
    for reason in sorted({reason for one in found for reason in one.suppressed}):
        name = words.text("policy.suppressed", reason=words.text(f"suppressions.{reason}"))
        rows.append(counted(name, [one.suppressed.get(reason, 0) for one in found]))
    return rows


def _cell(reached: Reached | None) -> str:
    return f"{reached.calls:,} · {reached.people:,} · {reached.money:,.0f}" if reached else "–"
