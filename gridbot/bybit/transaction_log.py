"""The account's transaction log: every movement of one coin of its wallet.

Each page tells where the next one begins. So a long period is read in parts, side by side where that is wanted, and
each page is parsed as it comes: a row as it was sent takes four times the memory of what is kept of it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gridbot.background import awaited
from gridbot.bybit.calls import Calls
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.pace import Pace
from gridbot.bybit.parse_account import parse_transaction
from gridbot.bybit.raw_fields import parse_rows, time_or_zero
from gridbot.exchange.failures import TruncatedListing
from gridbot.exchange.listing import Listing, Unreadable
from gridbot.exchange.requests import Transaction
from gridbot.rolling_limit import RollingLimit

__all__ = ["read_log"]

ENDPOINT: Final = "account/transaction-log"
WEEK_MS: Final = 7 * 24 * 3600 * 1000
"""The longest period that may be asked for at once."""
SMALLEST_WINDOW_MS: Final = 60_000
LOG_PAGES: Final = 400
"""What was read of a period that has more is read again in halves, at 50 rows a page."""
TRANSACTIONS_PER_S: Final = 20
"""Of the 25 requests that Bybit allows an account."""

Rows = Listing[Transaction]


async def read_log(calls: Calls, start_ms: int, end_ms: int, *, coin: str, at_a_time: int = 1) -> Listing[Transaction]:
    """Movements from `start_ms` to `end_ms` (UTC, both included), oldest first, `at_a_time` parts side by side.

    Raises ExchangeError. An unreadable row keeps no other from being read.
    """
    pace = Pace(RollingLimit(TRANSACTIONS_PER_S, 1.0))
    slots = asyncio.Semaphore(at_a_time)

    async def part(first_ms: int, last_ms: int) -> Rows:
        async with slots:
            return await _part(calls, first_ms, last_ms, coin, pace)

    parts = parts_of(start_ms, end_ms, at_a_time)
    reading = [awaited(part(*each), name=f"{ENDPOINT} {number}") for number, each in enumerate(parts, 1)]
    try:
        return _joined(await asyncio.gather(*reading))
    finally:
        for each in reading:  # one has failed: what the others would find is of no use
            each.cancel()


def parts_of(start_ms: int, end_ms: int, at_least: int) -> list[tuple[int, int]]:
    """A period (UTC, ms, both ends included) in parts of equal length, in order: a week long at most."""
    longest_ms = max(1, min(WEEK_MS, -(-(end_ms - start_ms + 1) // at_least)))
    return [(first, min(end_ms, first + longest_ms - 1)) for first in range(start_ms, end_ms + 1, longest_ms)]


async def _part(calls: Calls, start_ms: int, end_ms: int, coin: str, pace: Pace) -> Rows:
    """Of at most a week."""
    scope: dict[str, Any] = {"accountType": "UNIFIED", "currency": coin, "limit": 50}
    pages: list[Rows] = []
    try:
        async for page in calls.pages(ENDPOINT, pace=pace, most=LOG_PAGES, startTime=start_ms, endTime=end_ms, **scope):
            page.reverse()  # the exchange lists the newest first
            pages.append(_parsed(page, end_ms, calls.horizon))
    except TruncatedListing:
        if end_ms - start_ms < SMALLEST_WINDOW_MS:
            raise
        pages.clear()  # while the halves are read
        middle_ms = (start_ms + end_ms) // 2
        earlier = await _part(calls, start_ms, middle_ms, coin, pace)
        return _joined([earlier, await _part(calls, middle_ms + 1, end_ms, coin, pace)])
    return _joined(pages[::-1])


def _parsed(rows: list[Any], end_ms: int, horizon: Horizon) -> Rows:
    found, problems = parse_rows(parse_transaction, rows, id_field="id")
    unreadable = []
    for problem in problems:
        row = rows[problem.index]
        at_ms = time_or_zero(row, "transactionTime") if isinstance(row, dict) else 0
        # Without its place in the list: the same row is told once, wherever it stands the next time.
        reason = f"{ENDPOINT}: row {problem.row_id or 'without an id'}: {problem.reason}"
        unreadable.append(Unreadable(problem.symbol, reason, at_ms if at_ms <= end_ms else 0))
    return Listing(horizon.bounded(found), unreadable)


def _joined(parts: list[Rows]) -> Rows:
    found = [movement for part in parts for movement in part]
    return Listing(found, [row for part in parts for row in part.unreadable])
