"""Tables for terminals of any width: where one does not fit, each row is told in lines of its own, with nothing cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Line

_FRAME: Final = 3  # cells that a column needs beside its text; and one more for all of them
_INDENT: Final = 2


@dataclass(frozen=True)
class Column:
    """A column: its name, and for text that may wrap the cells that it needs at least; 0: it is never broken."""

    name: str
    wraps_at: int = 0


def show_table(console: Console, title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Show a table if it fits, else each row as its first cell, whole so that it can be copied, and the rest below it.

    >>> console = Console(width=30)
    >>> show_table(console, "Pets", [Column("id"), Column("kind")], [("al_1", "cat")])
    Pets
    ┏━━━━━━┳━━━━━━┓
    ┃ id   ┃ kind ┃
    ┡━━━━━━╇━━━━━━┩
    │ al_1 │ cat  │
    └──────┴──────┘
    >>> show_table(Console(width=12), "Pets", [Column("id"), Column("kind")], [("al_123456789", "cat")])
    Pets
    al_123456789
      kind: cat
    """
    widths = [_least(column, [row[place] for row in rows]) for place, column in enumerate(columns)]
    console.print(Line(title, style="bold"), soft_wrap=True)
    if sum(widths) + _FRAME * len(widths) + 1 > console.width:
        _stack(console, columns, rows)
        return
    table = Table()
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.name, min_width=width, no_wrap=not column.wraps_at)
    for row in rows:
        table.add_row(*map(Line, row))
    console.print(table)


def _least(column: Column, cells: Sequence[str]) -> int:
    """The cells that a column needs at least."""
    widest = max(map(cell_len, (column.name, *cells)))
    return min(widest, max(column.wraps_at, cell_len(column.name))) if column.wraps_at else widest


def _stack(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    for first, *others in rows:
        console.print(Line(first, style="cyan"), soft_wrap=True)
        named = zip((column.name for column in columns[1:]), others, strict=True)
        parts = [f"{name}: {cell}" if name else cell for name, cell in named if cell]
        for line in _packed(parts, console.width - _INDENT):
            console.print(Padding(Line(line), (0, 0, 0, _INDENT), expand=False))


def _packed(parts: Sequence[str], width: int) -> list[str]:
    """Parts side by side on as few lines as hold them; one that is wider than a line begins one of its own.

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
