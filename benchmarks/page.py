"""The results of the replay as people read them: the first part of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from benchmarks.results import Against, Flatness, Growth, Part, Report, Spread

_INTRO = """# Benchmarks

Written by `make bench`; do not edit. Figures are medians, with the least and the most of the rounds in brackets.
Times are CPU time of one process, unless it says wall: what else runs on the machine then disturbs least.
"""
_FLOOR = """
## Against the floor

The floor is the least that anything built on River must do with a log: read it line by line, decode each line with
msgspec into a typed event, and predict once with River's `StandardScaler | LogisticRegression` on 24 features. The
product is the whole replay as `stream-app replay` runs it up to writing its files: both readings of the log, every
event applied and scored by the cheap experts, every decision made, labelled and learned from, alerts ranked. The
two take turns in one process (floor, product, floor, ...), and each run of the product is compared with the floor
just before and after it.
"""
_SCALE = """
## Cost of an event by the number of customers

The same simulated shop at every size: 45 days, a decision every 14 days, a horizon of 14 days. Each run has a
process of its own. The cost is that of the replay; the first reading of the log is stated beside it, and is not
part of the verdict. Memory is what the replay adds to the resident set at its peak, over the customers seen; it
includes the results that are kept for the report, and buffers of some 10 MB that do not grow.
"""
_PARTS = """
## Where the time goes

Samples of CPU time, each given to the part of the product that is at work; time in numpy and River counts for the
part that calls them. The first reading of the log is included.
"""
_GROWTH = """
## How the time grows

Time of the replay while one thing changes and the others stay. "One more" compares each row with the first of its
kind.
"""


def document(report: Report) -> str:
    """All of it as Markdown."""
    pieces = [_INTRO, conditions(report), _FLOOR, _against(report.against), _SCALE, _scale(report.flatness)]
    pieces += [
        _PARTS,
        *(parts_table(log, "an event", parts) for log, parts in report.parts.items()),
        _GROWTH,
        _growth(report.growth),
    ]
    return "\n".join(piece.strip("\n") + "\n" for piece in pieces)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown.

    >>> print(table(["a", "b"], [["1", "2"]]), end="")
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [header, *rows]
    written = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([written[0], "|" + "---|" * len(header), *written[1:]]) + "\n"


class Conditions(Protocol):
    """What a report says of the machine."""

    @property
    def machine(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def load_before(self) -> float: ...  # noqa: D102
    @property
    def load_after(self) -> float: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def conditions(report: Conditions) -> str:
    """What the figures were measured on, and whether the machine was shared."""
    facts = "; ".join(f"{name} {value}" for name, value in report.machine.items())
    said = f"Measured on: {facts}. All of it took {report.seconds / 60:.0f} minutes."
    if max(report.load_before, report.load_after) > 1.5:
        said += (
            " The machine was shared: the load average was"
            f" {report.load_before:.1f} before and {report.load_after:.1f} after. Ratios hold, since both"
            " sides suffered alike; absolute figures are worse than on a quiet machine."
        )
    return said + "\n"


def _against(rows: Iterable[Against]) -> str:
    return table(
        ["what", "floor, a second", "product, a second", "ratio", "wanted", "done at", ""],
        [
            [
                row.what,
                spread(row.floor, ",.0f"),
                f"{spread(row.product, ',.0f')} {row.unit}",
                f"**{row.ratio.median:.3f}** ({row.ratio.least:.3f} – {row.ratio.most:.3f})",
                f"≥ {row.wanted:.2f}",
                f"≥ {row.done_at:.2f}",
                row.verdict,
            ]
            for row in rows
        ],
    )


def _scale(flatness: Flatness) -> str:
    header = ["customers", "events", "decisions an event", "µs an event", "first reading µs", "wall µs"]
    header += ["memory a customer", "of it state", "of it waiting decisions"]
    rows = [
        [
            f"{size.customers:,}",
            f"{size.events:,}",
            f"{size.decisions / size.events:.3f}",
            spread(size.cpu_micros, ".1f"),
            spread(size.scan_micros, ".1f"),
            spread(size.wall_micros, ".1f"),
            f"{size.bytes_a_customer:,.0f} B",
            f"{size.state_bytes:,.0f} B",
            f"{size.waiting / max(size.seen, 1):.2f} × {size.pending_bytes:,.0f} B",
        ]
        for size in flatness.sizes
    ]
    said = (
        f"Dearest over cheapest: {flatness.change:+.1%}; largest over smallest: {flatness.growth:+.1%}"
        f" (wanted within {flatness.wanted:.0%}, done within {flatness.done_at:.0%}): **{flatness.verdict}**.\n"
    )
    return table(header, rows) + "\n" + said


def parts_table(what: str, unit: str, parts: Iterable[Part]) -> str:
    """The parts of a profile that are worth telling, with their cost a unit."""
    rows = [[part.name, f"{part.share:.1%}", f"{part.micros_an_event:.2f}"] for part in parts if part.share >= 0.002]
    return table([what, "share", f"µs {unit}"], rows)


def _growth(rows: Iterable[Growth]) -> str:
    return table(
        ["what grows", "to", "events", "decisions", "s", "one more"],
        [
            [
                row.what,
                row.value,
                f"{row.events:,}",
                f"{row.decisions:,}",
                spread(row.seconds, ".2f"),
                row.marginal or "–",
            ]
            for row in rows
        ],
    )


def spread(of: Spread, form: str) -> str:
    """The median, and the least and the most if there were several rounds.

    >>> spread(Spread.of([1.0, 2.0, 6.0]), ".1f")
    '2.0 (1.0 – 6.0)'
    """
    if of.rounds == 1:
        return format(of.median, form)
    return f"{of.median:{form}} ({of.least:{form}} – {of.most:{form}})"
