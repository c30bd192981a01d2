"""The account's executions: a week at a time, in halves where a listing has no room for them.

Two minutes of a busy account are a thousand rows, which are read again each minute and at each start, and of which few
are new. So each page is looked through as it comes: as rows all of them take five megabytes, which the process keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gridbot.bybit.calls import LINEAR, Calls, listed
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.parse_account import parse_execution
from gridbot.bybit.raw_fields import time_or_none
from gridbot.core.events import ExecutionEvent
from gridbot.exchange.failures import TruncatedListing
from gridbot.exchange.listing import Listing

__all__ = ["IsNew", "oldest_first", "read_executions"]

ENDPOINT: Final = "execution/list"
WEEK_MS: Final = 7 * 24 * 3600 * 1000
HISTORY_MS: Final = 2 * 365 * 24 * 3600 * 1000
"""Bybit keeps executions for two years; asking further back only costs requests."""
SMALLEST_WINDOW_MS: Final = 60_000

IsNew = Callable[[str, int], bool]
"""Whether an execution of this id and time (ms UTC) is not counted yet."""


async def read_executions(
    calls: Calls, start_ms: int, end_ms: int | None, now_ms: int, symbol: str | None, is_new: IsNew | None
) -> Listing[ExecutionEvent]:
    """Executions from `start_ms` (UTC) to `end_ms` or now, each once, oldest first. Raises ExchangeError.

    With `is_new` those that are not are left out, but for the newest of a page: it says how far the list reaches.
    """
    start_ms = max(start_ms, now_ms - HISTORY_MS)
    scope = {} if symbol is None else {"symbol": symbol}
    rows: list[Any] = []
    while True:
        stop_ms = start_ms + WEEK_MS - 1
        is_last = stop_ms >= (now_ms if end_ms is None else end_ms)
        rows += await _rows(calls, start_ms, end_ms if is_last else stop_ms, now_ms, scope, is_new)
        if is_last:
            return oldest_first(rows, calls.horizon)
        start_ms = stop_ms + 1


def oldest_first(rows: list[Any], horizon: Horizon) -> Listing[ExecutionEvent]:
    """Each execution once; those of one millisecond by sequence number, then by how much their order had left."""
    events = listed(parse_execution, rows, ENDPOINT, horizon)
    found = {event.exec_id: event for event in events}
    return Listing(sorted(found.values(), key=lambda e: (e.exchange_ts, e.seq, -e.leaves_qty)), events.unreadable)


async def _rows(
    calls: Calls, start_ms: int, end_ms: int | None, now_ms: int, scope: dict[str, Any], is_new: IsNew | None
) -> list[Any]:
    """Of at most seven days; in halves when they are too many for one listing."""
    rows: list[Any] = []
    try:
        window = {**scope, "startTime": start_ms, "endTime": end_ms}
        async for page in calls.pages(ENDPOINT, category=LINEAR, limit=100, **window):
            rows += page if is_new is None else _news(page, is_new)
    except TruncatedListing:
        rows.clear()  # while the halves are read
        middle_ms = (start_ms + (now_ms if end_ms is None else end_ms)) // 2
        if middle_ms - start_ms < SMALLEST_WINDOW_MS:
            raise
        later = await _rows(calls, middle_ms + 1, end_ms, now_ms, scope, is_new)
        return later + await _rows(calls, start_ms, middle_ms, now_ms, scope, is_new)
    return rows


def _news(page: list[Any], is_new: IsNew) -> list[Any]:
    """The rows of a page that are new or cannot be judged, and the newest of the others."""
    kept: list[Any] = []
    newest, newest_ms = None, -1
    for row in page:
        exec_id = row.get("execId") if isinstance(row, dict) else None
        at_ms = time_or_none(row.get("execTime")) if isinstance(exec_id, str) else None
        if exec_id is None or at_ms is None or is_new(exec_id, at_ms):
            kept.append(row)
        elif at_ms > newest_ms:
            newest, newest_ms = row, at_ms
    return kept if newest is None else [*kept, newest]
