"""The prices of a run as its table `tickers` has them: of each symbol the first tick of each minute or so, in bulk.

A worker records them one by one; here a month of thirty symbols would take longer to record than to trade.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from gridbot.backtest.symbol_feed import OpenDay, SymbolFeed

__all__ = ["put_prices"]

PART: Final = 500_000
"""Ticks of a day that are looked at together: a whole one may be larger than all else that a run needs."""
SAMPLED: Final = pa.schema([(name, pa.int64()) for name in ("number", "seq", "ms", "ticks", "above", "mark")])
"""`number` says whose price it is: 1 is the first symbol."""
INSERT: Final = """
    INSERT INTO tickers_stored BY NAME
    SELECT $account AS account, $run_id AS run_id, seq, make_timestamp(ms * 1000 + $late_us) AS local_ts,
        $symbols[number] AS symbol,
        (ticks::DECIMAL(18, 0) * $sizes[number]::DECIMAL(18, 12))::DECIMAL(38, 12) AS last_price,
        coalesce((mark::DECIMAL(18, 0) * $units[number]::DECIMAL(18, 12))::DECIMAL(38, 12), last_price) AS mark_price,
        mark_price AS index_price,
        ((ticks - above)::DECIMAL(18, 0) * $sizes[number]::DECIMAL(18, 12))::DECIMAL(38, 12) AS bid1_price,
        ((ticks + 1 - above)::DECIMAL(18, 0) * $sizes[number]::DECIMAL(18, 12))::DECIMAL(38, 12) AS ask1_price,
        make_timestamp(ms * 1000) AS exchange_ts
    FROM sampled"""


def put_prices(
    con: duckdb.DuckDBPyConnection,
    feeds: Sequence[SymbolFeed],
    *,
    account: str,
    run_id: str,
    seq: int,
    late_us: int,
    sample_ms: int,
    from_ms: int,
    to_ms: int,
) -> int:
    """Put the prices from `from_ms` up to `to_ms` (UTC), numbered above `seq`; returns the last number given.

    One statement reads them as it writes them, so that neither they nor more than a group of rows are in memory.
    Raise what a feed raises.
    """
    last, failed = [seq], list[BaseException]()

    def rows() -> Iterator[pa.RecordBatch]:
        try:
            for number, feed in enumerate(feeds, 1):
                for sampled in _samples(feed, sample_ms, from_ms, to_ms):
                    count, before = sampled.num_rows, last[0]
                    last[0] += count
                    whose, seqs = np.full(count, number), np.arange(before + 1, last[0] + 1)
                    yield from pa.table([whose, seqs, *sampled.columns], schema=SAMPLED).to_batches()
        except BaseException as error:
            failed.append(error)  # DuckDB makes an error of its own of it
            raise

    values: dict[str, Any] = {"account": account, "run_id": run_id, "late_us": late_us}
    values["symbols"] = [feed.symbol for feed in feeds]
    values["sizes"] = [str(feed.instrument.tick_size) for feed in feeds]
    values["units"] = [str(feed.marks.unit) for feed in feeds]
    con.execute("SET write_buffer_row_group_count = 1")
    con.register("sampled", pa.RecordBatchReader.from_batches(SAMPLED, rows()))
    try:
        con.execute(INSERT, values)
    except duckdb.Error:
        if failed:
            raise failed[0] from None
        raise
    con.unregister("sampled")
    return last[0]


def _samples(feed: SymbolFeed, sample_ms: int, from_ms: int, to_ms: int) -> Iterator[pa.Table]:
    """Day by day: the first tick of each period, with the mark price that the run had then, where there was one."""
    for number in range(feed.count):
        opened: OpenDay = feed.open(number)
        day = opened.day
        first, last = (int(place) for place in np.searchsorted(day.times_ms, (from_ms, to_ms)))
        before = -1
        for start in range(first, last, PART):
            periods = day.times_ms[start : min(start + PART, last)] // sample_ms
            at = np.flatnonzero(np.diff(periods, prepend=before)) + start
            before = periods[-1]
            if len(at):
                ms, ticks, above = day.times_ms[at], day.prices[at], (day.sides[at] > 0).astype(np.int64)
                marks, there = feed.marks.newest(ms)
                yield pa.table({"ms": ms, "ticks": ticks, "above": above, "mark": pa.array(marks, mask=~there)})
            feed.let_go()
