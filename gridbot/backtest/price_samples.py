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

__all__ = ["PriceRows"]

PART: Final = 500_000
"""Ticks of a day that are looked at together: a whole one may be larger than all else that a run needs."""
TOGETHER: Final = 100_000
"""Prices of one transaction: DuckDB keeps what it has written in memory until the file is closed."""
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


class PriceRows:
    """The prices of some symbols from `from_ms` up to `to_ms` (UTC), numbered above `seq`: read as they are put."""

    def __init__(self, feeds: Sequence[SymbolFeed], *, seq: int, sample_ms: int, from_ms: int, to_ms: int) -> None:
        self.seq = seq
        """The last number given."""
        self._feeds = feeds
        self._batches = self._numbered(sample_ms, from_ms, to_ms)
        self._next = next(self._batches, None)
        self._failed: BaseException | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all are put."""
        return self._next is None

    def put(self, con: duckdb.DuckDBPyConnection, *, account: str, run_id: str, late_us: int) -> None:
        """Put some of them, so many that it is worth a commit. Raise what a feed raises."""
        values: dict[str, Any] = {"account": account, "run_id": run_id, "late_us": late_us}
        values["symbols"] = [feed.symbol for feed in self._feeds]
        values["sizes"] = [str(feed.instrument.tick_size) for feed in self._feeds]
        values["units"] = [str(feed.marks.unit) for feed in self._feeds]
        con.execute("SET write_buffer_row_group_count = 1")
        con.register("sampled", pa.RecordBatchReader.from_batches(SAMPLED, self._some()))
        try:
            con.execute(INSERT, values)
        except duckdb.Error:
            if self._failed is not None:
                raise self._failed from None
            raise
        con.unregister("sampled")

    def _some(self) -> Iterator[pa.RecordBatch]:
        count = 0
        while self._next is not None and count < TOGETHER:
            yield self._next
            count += self._next.num_rows
            self.seq += self._next.num_rows
            try:
                self._next = next(self._batches, None)
            except BaseException as error:
                self._failed = error  # DuckDB, which asks for them, makes an error of its own of it
                raise

    def _numbered(self, sample_ms: int, from_ms: int, to_ms: int) -> Iterator[pa.RecordBatch]:
        last = self.seq
        for number, feed in enumerate(self._feeds, 1):
            for sampled in _samples(feed, sample_ms, from_ms, to_ms):
                count = sampled.num_rows
                whose, seqs = np.full(count, number), np.arange(last + 1, last + count + 1)
                last += count
                yield from pa.table([whose, seqs, *sampled.columns], schema=SAMPLED).to_batches()


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
