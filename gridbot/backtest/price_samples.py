"""The prices of a run as its table `tickers` has them: of each symbol the first tick of each minute or so, in bulk.

A worker records them one by one; here a month of thirty symbols would take longer to record than to trade.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from gridbot.backtest.symbol_feed import OpenDay, SymbolFeed

__all__ = ["put_prices"]

PART: Final = 500_000
"""Ticks of a day that are looked at together: a whole one may be larger than all else that a run needs."""
INSERT: Final = """
    INSERT INTO tickers_stored BY NAME
    SELECT $account AS account, $run_id AS run_id, $seq + row_number() OVER (ORDER BY ms) AS seq,
        make_timestamp(ms * 1000 + $late_us) AS local_ts, $symbol AS symbol,
        (ticks::DECIMAL(18, 0) * $tick::DECIMAL(18, 12))::DECIMAL(38, 12) AS last_price,
        coalesce((mark::DECIMAL(18, 0) * $unit::DECIMAL(18, 12))::DECIMAL(38, 12), last_price) AS mark_price,
        mark_price AS index_price,
        ((ticks - above)::DECIMAL(18, 0) * $tick::DECIMAL(18, 12))::DECIMAL(38, 12) AS bid1_price,
        ((ticks + 1 - above)::DECIMAL(18, 0) * $tick::DECIMAL(18, 12))::DECIMAL(38, 12) AS ask1_price,
        make_timestamp(ms * 1000) AS exchange_ts
    FROM sampled"""


def put_prices(
    con: duckdb.DuckDBPyConnection,
    feed: SymbolFeed,
    *,
    account: str,
    run_id: str,
    seq: int,
    late_us: int,
    sample_ms: int,
    from_ms: int,
    to_ms: int,
) -> int:
    """Put the prices from `from_ms` up to `to_ms` (UTC), numbered above `seq`; returns the last number given."""
    tick, unit = feed.instrument.tick_size, feed.marks.unit
    for sampled in _samples(feed, sample_ms, from_ms, to_ms):
        values: dict[str, Any] = {"account": account, "run_id": run_id, "symbol": feed.symbol, "late_us": late_us}
        con.register("sampled", sampled)
        con.execute(INSERT, values | {"seq": seq, "tick": str(tick), "unit": str(unit)})
        con.unregister("sampled")
        seq += sampled.num_rows
    return seq


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
