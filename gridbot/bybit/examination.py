"""Questions that only `doctor` asks: of an account as it is, whatever mode it is in. Each raises ExchangeError."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from gridbot.bybit.calls import LINEAR, listed, result_of, rows_of
from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.parse_account import parse_execution
from gridbot.bybit.raw_fields import (
    decimal_or_none,
    need_amount,
    need_text,
    parse_rows,
    positive_or_none,
    whole_or_none,
)
from gridbot.bybit.rest import BybitRest
from gridbot.core.events import ExecutionEvent
from gridbot.core.vocabulary import SETTLE_COIN, Direction
from gridbot.exchange.examined import ClockReading, DeadManState, HeldLeg, SymbolTerms
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.requests import FeeRate

__all__ = ["clock_of", "dead_man_of", "fees_of", "held_legs", "newest_executions", "terms_of"]

TRIES: Final = 3
PERPETUALS: Final = "DERIVATIVES"


async def clock_of(rest: BybitRest) -> ClockReading:
    """Our clock against the exchange's: the quickest of three answers, which tells it best."""
    found: list[ClockReading] = []
    for _ in range(TRIES):
        began_s, began_ms = monotonic_s(), wall_ms()
        server_ms = await rest.server_time_ms()
        half_ms = (monotonic_s() - began_s) * 500
        found.append(ClockReading(round(began_ms + half_ms - server_ms, 1), round(half_ms, 1)))
    return min(found, key=lambda reading: reading.give_or_take_ms)


async def terms_of(rest: BybitRest, symbol: str) -> SymbolTerms:
    """Position mode and leverage of a symbol: a symbol in one-way mode has one row, with positionIdx 0."""
    rows = [row for row in await rest._listing("position/list", category=LINEAR, symbol=symbol) if _is_row(row)]
    indices = {whole_or_none(row.get("positionIdx")) for row in rows}
    leverages = [found for row in rows if (found := positive_or_none(row, "leverage"))]
    hedge = None if not indices or None in indices else 0 not in indices
    return SymbolTerms(hedge, min(leverages, default=None))


async def held_legs(rest: BybitRest) -> tuple[HeldLeg, ...]:
    """Every position of the account in USDT contracts. AMBIGUOUS when a row cannot be read."""
    rows = await rest._listing("position/list", category=LINEAR, settleCoin=SETTLE_COIN, limit=200)
    legs, problems = parse_rows(_held, rows)
    if problems:
        raise make_error(f"position/list: {len(problems)} rows cannot be read: {problems[0]}", ErrorKind.AMBIGUOUS)
    return tuple(leg for leg in legs if leg.size)


async def newest_executions(rest: BybitRest, start_ms: int, most_pages: int) -> tuple[ExecutionEvent, ...]:
    """The newest executions of the account since a time (ms UTC), a hundred a page; older ones are left out."""
    rows: list[Any] = []
    pages = rest.pages("execution/list", most=most_pages + 1, category=LINEAR, limit=100, startTime=start_ms)
    count = 0
    async for page in pages:
        rows += page
        count += 1
        if count == most_pages:
            break
    return tuple(listed(parse_execution, rows, "execution/list", rest.horizon))


async def dead_man_of(rest: BybitRest) -> DeadManState:
    """Disconnect-cancel-all of the account. It has no row where the account may not use it."""
    rows = result_of(await rest._call("account/query-dcp-info"), "account/query-dcp-info").get("dcpInfos")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("product") == PERPETUALS:
            on = row.get("dcpStatus") == "ON"
            return DeadManState(may_use=True, after_s=(whole_or_none(row.get("timeWindow")) or 0) if on else 0)
    return DeadManState(may_use=False)


async def fees_of(rest: BybitRest) -> dict[str, FeeRate]:
    """The account's fees of all symbols, by symbol: one request, as few of them are allowed in a second."""
    rows = rows_of(await rest._call("account/fee-rate", category=LINEAR), "account/fee-rate")
    found: dict[str, FeeRate] = {}
    for row in filter(_is_row, rows):
        symbol = row.get("symbol")
        maker, taker = (decimal_or_none(row.get(name)) for name in ("makerFeeRate", "takerFeeRate"))
        if isinstance(symbol, str) and maker is not None and taker is not None:
            found[symbol] = FeeRate(symbol, maker, taker)
    return found


def _is_row(row: object) -> bool:
    return isinstance(row, dict)


def _held(row: Mapping[str, Any]) -> HeldLeg:
    index = whole_or_none(row.get("positionIdx"))
    is_short = index == 2 or (index == 0 and row.get("side") == "Sell")
    return HeldLeg(
        need_text(row, "symbol"),
        Direction.SHORT if is_short else Direction.LONG,
        need_amount(row, "size"),
        positive_or_none(row, "avgPrice"),
        positive_or_none(row, "markPrice"),
        decimal_or_none(row.get("unrealisedPnl")) or Decimal(0),
        is_hedge=index != 0,
        initial=decimal_or_none(row.get("positionIM")) or Decimal(0),
        maintenance=decimal_or_none(row.get("positionMM")) or Decimal(0),
    )
