"""The market of a day as an account has recorded it, for a backtest: trades, prices, mark prices and fundings.

Read as `sql` reads, also while the bot runs. Several accounts record the same market, unless they trade elsewhere: only
what accounts of the same environment have recorded counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from gridbot.store.schema import quote
from supervisor.store.query import Query

__all__ = ["MARK_PART", "RecordedDay", "funding_rates", "write_market", "write_marks"]

MARK_PART: Final = 100
"""Mark prices are kept in hundredths of a tick."""
APART_MS: Final = 60_000
"""Recorded prices count where no trade was recorded for so long before and after: recording began later, or stopped."""
RATE: Final = Decimal("1e-8")
"""Funding rates have at most eight decimals."""


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A symbol as an account has recorded it on the UTC day that begins at `begin` (naive)."""

    query: Query
    account: str
    symbol: str
    begin: datetime

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.begin + timedelta(days=1)

    def within(self, at: str) -> str:
        """The condition that a row is of this symbol and day."""
        return f"symbol = {quote(self.symbol)} AND {at} >= {_at(self.begin)} AND {at} < {_at(self.end)}"

    def of_the_same_exchange(self) -> str:
        """The condition that a row is of this account, or of one that was only in this one's environment that day."""
        that_day = f"started_at < {_at(self.end)} AND coalesce(ended_at, {_at(self.end)}) > {_at(self.begin)}"
        own = f"(SELECT any_value(environment) FROM runs WHERE account = {quote(self.account)} AND {that_day})"
        return f"""(account = {quote(self.account)} OR account IN (
            SELECT account FROM runs WHERE {that_day} GROUP BY account HAVING bool_and(environment = {own})))"""


def write_market(day: RecordedDay, tick: Decimal, step: Decimal, file: Path) -> str:
    """Write what was traded into a Parquet file, in whole ticks and steps: public trades and, for longer times without
    any, the prices that the account saw, of size 0; where there are no trades, these alone. Return which: trades or
    tickers. Raise SqlFailed."""
    where = f"{day.within('exchange_ts')} AND {day.of_the_same_exchange()}"
    [(trades,)] = day.query.ask(f"SELECT count(*) FROM public_trades WHERE {where}").rows
    day.query.write_parquet(
        f"""
        WITH trades AS (
            SELECT epoch_ms(min(exchange_ts)) AS times_ms, CAST(round(min(price) / {tick}) AS BIGINT) AS prices,
                CAST(round(min(qty) / {step}) AS BIGINT) AS sizes,
                CAST(CASE min(side) WHEN 'Buy' THEN 1 ELSE -1 END AS TINYINT) AS sides, min(seq) AS seq
            FROM public_trades WHERE {where} GROUP BY trade_id),
        seen AS (
            SELECT epoch_ms({_SEEN}) AS times_ms, CAST(round(last_price / {tick}) AS BIGINT) AS prices, seq
            FROM tickers WHERE account = {quote(day.account)} AND {day.within(_SEEN)}),
        lonely AS (
            SELECT seen.*, coalesce(lag(seen.prices) OVER (PARTITION BY earlier.times_ms
                ORDER BY seen.times_ms, seen.seq), earlier.prices) AS was
            FROM seen
            ASOF LEFT JOIN trades AS earlier ON seen.times_ms >= earlier.times_ms
            ASOF LEFT JOIN trades AS later ON seen.times_ms <= later.times_ms
            WHERE coalesce(seen.times_ms - earlier.times_ms > {APART_MS}, true)
                AND coalesce(later.times_ms - seen.times_ms > {APART_MS}, true))
        SELECT * FROM (
            FROM trades UNION ALL
            SELECT times_ms, prices, 0, CAST(CASE WHEN prices < was THEN -1 ELSE 1 END AS TINYINT), seq
            FROM lonely WHERE {trades} = 0 OR prices IS DISTINCT FROM was)
        ORDER BY times_ms, seq""",
        file,
    )
    return "trades" if trades else "tickers"


def write_marks(day: RecordedDay, tick: Decimal, file: Path) -> None:
    """Write the mark prices that the account saw into a Parquet file, in hundredths of a tick. Raise SqlFailed."""
    day.query.write_parquet(
        f"""
        SELECT epoch_ms({_SEEN}) AS times_ms, CAST(round(mark_price / {tick / MARK_PART}) AS BIGINT) AS marks, seq
        FROM tickers WHERE account = {quote(day.account)} AND {day.within(_SEEN)} AND mark_price IS NOT NULL
        ORDER BY 1, seq""",
        file,
    )


def funding_rates(day: RecordedDay) -> list[tuple[int, Decimal]]:
    """(ms UTC, rate) of each funding that an account paid or received that day, by the largest position that it was
    booked on; what longs paid is positive. Of a funding that found no position nobody knows. Raise SqlFailed."""
    rows = day.query.ask(
        f"""
        SELECT epoch_ms(date_trunc('minute', exchange_ts)) AS at_ms,
            CASE direction WHEN 'long' THEN fee ELSE -fee END AS paid, price, qty
        FROM corrected_executions WHERE {day.within("exchange_ts")} AND exec_type = 'Funding' AND NOT shadow
            AND price > 0 AND qty > 0 AND {day.of_the_same_exchange()}
        ORDER BY 1"""
    ).rows
    return _rates(rows)


def _rates(rows: Iterable[tuple[int, Decimal, Decimal, Decimal]]) -> list[tuple[int, Decimal]]:
    largest: dict[int, tuple[Decimal, Decimal]] = {}
    for at_ms, paid, price, qty in rows:
        if price * qty > largest.get(at_ms, (Decimal(0), paid))[0]:
            largest[at_ms] = (price * qty, paid)
    return [(at_ms, (paid / worth).quantize(RATE)) for at_ms, (worth, paid) in largest.items()]


_SEEN: Final = "coalesce(exchange_ts, local_ts)"


def _at(moment: datetime) -> str:
    return f"TIMESTAMP {quote(moment.isoformat(sep=' '))}"
