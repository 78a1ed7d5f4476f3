"""Tables for terminals of any width. In a narrow terminal, each row becomes a few lines; no text is cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_FRAME: Final = 3  # cells of padding and border per column; the table needs one more
_INDENT: Final = 2


def show_table(console: Console, title: str, columns: Mapping[str, int], rows: Sequence[Sequence[str]]) -> None:
    """Print a table if it fits. Otherwise, print each row as several lines: the first cell, then the others.

    Args:
        console: console to print to.
        title: title of the table.
        columns: minimum width of each column in cells if its text may wrap, or 0 if it never wraps, by name.
        rows: cells of each row.

    >>> console = Console(width=30)
    >>> show_table(console, "Pets", {"id": 0, "kind": 0}, [("al_1", "cat")])
    Pets
    ┏━━━━━━┳━━━━━━┓
    ┃ id   ┃ kind ┃
    ┡━━━━━━╇━━━━━━┩
    │ al_1 │ cat  │
    └──────┴──────┘
    >>> show_table(Console(width=12), "Pets", {"id": 0, "kind": 0}, [("al_123456789", "cat")])
    Pets
    al_123456789
      kind: cat
    """
    widths = [_least(name, columns[name], [row[place] for row in rows]) for place, name in enumerate(columns)]
    console.print(Text(title, style="bold"), soft_wrap=True)
    if sum(widths) + _FRAME * len(widths) + 1 > console.width:
        _stack(console, list(columns), rows)
        return
    table = Table()
    for (name, wraps_at), width in zip(columns.items(), widths, strict=True):
        table.add_column(name, min_width=width, no_wrap=not wraps_at)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _least(name: str, wraps_at: int, cells: Sequence[str]) -> int:
    """Return the minimum width of a column, in cells."""
    widest = max(map(cell_len, (name, *cells)))
    return min(widest, max(wraps_at, cell_len(name))) if wraps_at else widest


def _stack(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for first, *others in rows:
        console.print(Text(first, style="cyan"), soft_wrap=True)
        named = zip(names[1:], others, strict=True)
        parts = [f"{name}: {cell}" if name else cell for name, cell in named if cell]
        for line in _packed(parts, console.width - _INDENT):
            console.print(Padding(Text(line), (0, 0, 0, _INDENT), expand=False))


def _packed(parts: Sequence[str], width: int) -> list[str]:
    """Join the parts into as few lines as possible. A part wider than a line gets its own line.

    >>> _packed(["a: 1", "b: 2", "c: a long one"], 12)
    ['a: 1 · b: 2', 'c: a long one']
    """
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]} · {part}" if lines else part
        if lines and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines
