"""The live part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Final

from benchmarks.page import conditions, parts_table, spread, table
from benchmarks.live.results import LiveReport, Throughput

HEADING: Final = "# The live system"
_INTRO = f"""{HEADING}

Written by `make bench`, or alone by `python -m benchmarks live`. A real Kafka broker of one node and a real Redis on
loopback, 4 partitions, and processes of the real command; all of them share the machine's cores.
"""
_THROUGHPUT = """
## One worker against stock Faust

The floor is a stock Faust agent that does nothing: a plain `faust.App` with Faust's own aiokafka transport on uvloop,
raw serializers, `async for event in stream: pass` over the same topics. It is measured from its first record on, as
long as is said below. The product is `stream-app worker` with everything on: decode, align, keep states, score every
event with a model that was taught, commit to Redis, relay the outbox; from the last look at Redis without a commit to
the first with all of them. The log is a simulated browsing-heavy one, published completely beforehand with an hourly
tick for each partition; its ticks ask for nothing, so that neither trainer nor desk takes part. The two take turns, and
each run of the worker is compared with the floor just before and after it.
"""
_LATENCY = """
## From append to score

Events that happen now are sent at half of the throughput above, to a worker that knows its customers' histories, on the
wall clock. Of every 16th event the broker tells its offset and time of append; a probe looks at the committed positions
in Redis, which are stored by the same call as the scores, every few milliseconds: its own delay is in the figures.
"""
_WORKERS = """
## Two workers

CPU time of all workers for the same log, in turns. They first share the lanes, which hold, and are then let go, so that
no rebalance is measured.
"""
_OBSERVED = """
## A worker that is watched

The same log, worked off by one worker alone and by one whose `/metrics` is scraped every 5 seconds, beside a deliverer
(scraped too) to whom 10 urgent alerts a second come, each signed and taken by a webhook; in turns. All of it shares the
machine's cores, so that the rate on the wall tells what the deliverer takes as well; by CPU time, only what being
scraped costs the worker.
"""
_SCRAPE = """
## A scrape

A worker that knows all customers: one `GET /metrics` over HTTP, and the count of all customers that it tells of, which
is made every 5 seconds at the most, in chunks between other work. `python -m benchmarks.live.metrics_scrape` alone.
"""
_PUBLISH = """
## Publishing

`stream-app publish LOG`, flat out: with the log's own ticks, each record marked with its place. The command reads the
log twice; its first reading is in the second figure only.
"""
_MEMORY = """
## Memory of Redis

Customers of a simulated shop after a year (60 d horizon, weekly decisions), stored as a worker does, under new names
until there are enough: the difference of `used_memory`. `python -m benchmarks.live.redis_memory` tells more of it.
"""
_PARTS = """
## Where the time of a worker goes

Samples of the main thread's CPU time over the same log as above. The thread that fetches from Kafka is
counted by the kernel.
"""


def live_document(report: LiveReport) -> str:
    """All of it as Markdown, beginning with `HEADING`."""
    pieces = [_INTRO, conditions(report), _THROUGHPUT, _throughput(report.throughput), _LATENCY, _latency(report)]
    pieces += [_WORKERS, _workers(report), _OBSERVED, _observed(report), _SCRAPE, _scrape(report)]
    pieces += [_PUBLISH, _publishing(report), _MEMORY, _memory(report)]
    pieces += [_PARTS, _threads(report), parts_table("main thread", "a record", report.parts)]
    return "\n".join(piece.strip("\n") + "\n" for piece in pieces)


def joined(page: str, replay: str | None, live: str | None) -> str:
    """A page with one or both of its parts replaced.

    >>> page = joined("", "# Benchmarks", "# The live system, measured")
    >>> print(joined(page, None, "# The live system, again"), end="")
    # Benchmarks
    <BLANKLINE>
    # The live system, again
    """
    before, found, after = page.partition(HEADING)
    kept = (replay or before, live or found + after)
    return "\n\n".join(part.strip("\n") for part in kept if part.strip()) + "\n"


def _throughput(rows: list[Throughput]) -> str:
    header = ["worker", "floor, records/s", "worker, records/s", "ratio", "ratio by CPU time"]
    header += ["worker CPU, µs a record", "Redis CPU, µs a record", "wanted", "done at", ""]
    return table(
        header,
        [
            [
                row.what,
                spread(row.floor, ",.0f"),
                spread(row.product, ",.0f"),
                f"**{spread(row.ratio, '.2f')}**",
                spread(row.cpu_ratio, ".2f"),
                spread(row.cpu_micros, ".1f"),
                spread(row.redis_micros, ".2f"),
                f"≥ {row.wanted:.0f}",
                f"≥ {row.done_at:.0f}",
                row.verdict,
            ]
            for row in rows
        ],
    )


def _latency(report: LiveReport) -> str:
    one = report.latency
    header = ["events/s", "s", "samples", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "most ms", "look mean, p99 ms"]
    header += ["commits/s", "worker's CPU, s/s", "p99 wanted", "done at", ""]
    figures = [one.p50_ms, one.p90_ms, one.p99_ms, one.p999_ms, one.most_ms]
    row = [f"{one.rate:,.0f}", f"{one.seconds:.0f}", f"{one.samples:,}", *(f"{figure:.1f}" for figure in figures)]
    row += [f"{one.look_ms:.1f}, {one.look_p99_ms:.1f}", f"{one.commits:.0f}", f"{one.busy:.2f}"]
    row += [f"≤ {one.wanted_ms:.0f} ms", f"≤ {one.done_at_ms:.0f} ms", one.verdict]
    row[5] = f"**{row[5]}**"
    return table(header, [row])


def _workers(report: LiveReport) -> str:
    one = report.workers
    header = ["one, CPU µs a record", "two, CPU µs a record", "ratio", "one, records/s", "two, records/s"]
    row = [spread(one.one_micros, ".1f"), spread(one.two_micros, ".1f"), f"**{spread(one.ratio, '.3f')}**"]
    row += [spread(one.one_rate, ",.0f"), spread(one.two_rate, ",.0f")]
    return table([*header, "wanted", "done at", ""], [[*row, f"≤ {one.wanted}", f"≤ {one.done_at:.2f}", one.verdict]])


def _observed(report: LiveReport) -> str:
    one = report.observed
    header = ["alone, records/s", "watched, records/s", "ratio", "ratio by the worker's CPU time"]
    row = [spread(one.alone, ",.0f"), spread(one.watched, ",.0f"), f"**{spread(one.ratio, '.3f')}**"]
    row += [spread(one.cpu_ratio, ".3f"), f"{one.seconds:.0f}", f"{one.scrapes:,}", f"{one.deliveries:,}"]
    header += ["s watched", "scrapes", "deliveries", "wanted", "done at", ""]
    return table(header, [[*row, f"≥ {one.wanted}", f"≥ {one.done_at}", one.verdict]])


def _scrape(report: LiveReport) -> str:
    one = report.scrape
    header = [
        "customers",
        "shops",
        "series",
        "one scrape, ms",
        "of it CPU",
        "bytes",
        "count, CPU ms",
        "longest chunk, CPU ms",
    ]
    row = [
        f"{one.customers:,}",
        f"{one.shops}",
        f"{one.series:,}",
        f"**{one.wall:.1f}**",
        f"{one.cpu:.1f}",
        f"{one.answer_bytes:,}",
    ]
    row += [f"{one.count:.1f}", f"{one.hold:.1f}", f"≤ {one.wanted:.0f} ms", f"≤ {one.done_at:.0f} ms", one.verdict]
    return table([*header, "wanted", "done at", ""], [row])


def _publishing(report: LiveReport) -> str:
    one = report.publishing
    header = ["events", "ticks", "events/s", "whole command, events/s", "wanted", "done at", ""]
    row = [f"{one.events:,}", f"{one.ticks:,}", f"**{spread(one.rate, ',.0f')}**", spread(one.command_rate, ",.0f")]
    return table(header, [[*row, f"≥ {one.wanted:,.0f}", f"≥ {one.done_at:,.0f}", one.verdict]])


def _memory(report: LiveReport) -> str:
    one = report.memory
    header = ["customers", "B a customer", "of it values", "decisions that wait, a customer", "wanted", "done at", ""]
    row = [f"{one.customers:,}", f"**{one.bytes_a_customer:.0f}**", f"{one.value_bytes:.0f}", f"{one.waiting:.2f}"]
    return table(header, [[*row, f"≤ {one.wanted:.0f}", f"≤ {one.done_at:,.0f}", one.verdict]])


def _threads(report: LiveReport) -> str:
    said = ", ".join(f"{name} {micros:.1f} µs" for name, micros in report.threads.items())
    return f"CPU of its threads, a record: {said}.\n"
