"""The account's REST interface. Every call raises ExchangeError and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Set
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from gridbot.bybit.calls import LINEAR, Calls, listed, result_of, row_of, rows_of, texts, whole
from gridbot.bybit.clocks import wall_ms
from gridbot.bybit.execution_list import IsNew, oldest_first, read_executions
from gridbot.bybit.order_gateway import BybitOrderGateway, ids_of, plain
from gridbot.bybit.parse_account import (
    parse_one_way_position,
    parse_order,
    parse_position,
    parse_wallet,
)
from gridbot.bybit.parse_market import parse_instrument, parse_ticker, parse_tiers
from gridbot.bybit.parse_notices import parse_announcement, parse_maintenance
from gridbot.bybit.raw_fields import (
    decimal_or_none,
    parse_rows,
    positive_or_none,
    time_or_none,
    whole_or_none,
    words_of,
)
from gridbot.bybit.session import server_ms_of
from gridbot.bybit.transaction_log import read_log
from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, PositionEvent, TickerEvent, WalletEvent
from gridbot.core.instrument import Instrument
from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.doors.plain_text import one_line
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.listing import Listing, Unreadable, UnreadableRows
from gridbot.exchange.notices import Notices
from gridbot.exchange.requests import AccountInfo, ApiKeyInfo, FeeRate, Transaction

__all__ = ["BybitRest"]

HEDGE_MODE = 3
LOCALE = "en-US"
ANNOUNCEMENTS = 50
"""Newest ones that are read: those of one or two days."""
OTHER_STATUSES = ("PreLaunch", "PendingOpen", "Settling", "Delivering", "Closed")
"""What an instrument may be besides Trading, each to be asked for by its name."""


class BybitRest(Calls):
    """Queries and settings of the account (`ports.ExchangeQueries`); `orders` creates and cancels.

    Constructor and `close` are those of `Calls`.
    """

    @cached_property
    def orders(self) -> BybitOrderGateway:
        """Creates and cancels orders over the same connections."""
        return BybitOrderGateway(self)

    # ------------------------------------------------------------------ market

    async def server_time_ms(self, *, max_age_s: float = 0.0) -> int:
        """The exchange's clock, UTC ms. Measures `clock_offset_ms` on the way.

        That offset may also be one that another account has measured `max_age_s` ago.
        """
        is_shared = self._facts is not None and self._lease is None  # of a fleet each measures it against its own clock
        told = await self._facts.get("clock", max_age_s, self._measure_clock) if self._facts and is_shared else None
        if told is None:
            return (await self._measure_clock())[1]
        (measured_ms, server_ms), is_ours = told
        if is_ours:
            return server_ms
        self._transport.clock.adopt(measured_ms)
        return wall_ms() + measured_ms

    async def _measure_clock(self) -> tuple[int, int]:
        """The offset of the exchange's clock as measured (ms), and its time (UTC ms)."""
        envelope = await self._call("market/time")
        server_ms = server_ms_of(envelope)
        if server_ms is None:
            raise make_error("expected the server's time, got none", ErrorKind.AMBIGUOUS)
        measured_ms = self._transport.clock.measured_ms
        return (server_ms - wall_ms() if measured_ms is None else measured_ms), server_ms

    async def instrument(self, symbol: str, *, max_age_s: float = 0.0) -> Instrument:
        """Trading rules and risk tiers of a symbol, whatever its status: by itself the listing has only `Trading`.

        They may be those that another account has read `max_age_s` ago, or reads now.
        """
        if self._facts is None:
            return await self._read_instrument(symbol)
        found, _ = await self._facts.get(f"instrument/{symbol}", max_age_s, lambda: self._read_instrument(symbol))
        return found

    async def _read_instrument(self, symbol: str) -> Instrument:
        row = await _instrument_row(self, symbol)
        for status in OTHER_STATUSES:
            if row is None:
                row = await _instrument_row(self, symbol, status=status)
        if row is None:
            raise make_error(f"expected a linear instrument {symbol}, the exchange has none", ErrorKind.PARAM)
        tiers = [
            tier
            for tier in await self._listing("market/risk-limit", category=LINEAR, symbol=symbol)
            if isinstance(tier, dict) and tier.get("symbol") == symbol
        ]
        try:
            return parse_instrument(row, parse_tiers(tiers))
        except ValueError as error:
            unreadable = Unreadable(symbol, f"unreadable instrument: {error}")
            raise UnreadableRows(str(unreadable), unreadable) from None

    async def notices(self, *, max_age_s: float = 0.0) -> Notices:
        """Maintenance of the exchange, and its newest announcements. A row that cannot be read is left out, and told.

        They may be those that another account has read `max_age_s` ago. The demo environment may lack them.
        """
        if self._facts is None:
            return await self._read_notices()
        found, _ = await self._facts.get("notices", max_age_s, self._read_notices)
        return found

    async def _read_notices(self) -> Notices:
        rows = rows_of(await self._call("system/status"), "system/status")
        maintenance, problems = parse_rows(parse_maintenance, rows)
        envelope = await self._call("announcements/index", locale=LOCALE, limit=ANNOUNCEMENTS)
        announcements, _ = parse_rows(parse_announcement, rows_of(envelope, "announcements/index"))
        return Notices(tuple(maintenance), tuple(announcements), problems[0].reason if problems else "")

    async def tickers(self, symbol: str) -> TickerEvent:
        """The newest ticker of a symbol."""
        envelope = await self._call("market/tickers", category=LINEAR, symbol=symbol)
        row = row_of(rows_of(envelope, "market/tickers"), symbol)
        if row is None:
            raise make_error(f"expected a ticker of {symbol}, the exchange has none", ErrorKind.PARAM)
        try:
            return parse_ticker(row, self._told_ms(envelope))
        except ValueError as error:
            raise make_error(f"{symbol}: unreadable ticker: {error}", ErrorKind.AMBIGUOUS) from None

    # ------------------------------------------------------------------ orders

    async def open_orders(self, symbol: str | None = None) -> Listing[OrderUpdateEvent]:
        """All open orders of a symbol or of the account, conditional ones included, each once in its newest state."""
        rows = await self._listing("order/realtime", category=LINEAR, limit=50, **_scope(symbol))
        newest: dict[str, OrderUpdateEvent] = {}
        found = listed(parse_order, rows, "order/realtime", self.horizon)
        for event in found:
            known = newest.get(event.order_id)
            if known is None or event.exchange_ts >= known.exchange_ts:
                newest[event.order_id] = event
        return Listing((event for event in newest.values() if event.status.is_open), found.unreadable)

    async def closed_orders(self, wanted: Set[str] = frozenset()) -> Listing[OrderUpdateEvent]:
        """Up to 500 orders of the account that ended last; none after Bybit has restarted the service.

        They are listed from the newest on. With `wanted` (ids, ours or the exchange's) it ends with the page by which
        all of these were there: a start wants the last seconds, and the whole list are ten requests.
        """
        rows: list[Any] = []
        missing = set(wanted)
        listing = self.pages("order/realtime", category=LINEAR, limit=50, openOnly=1, **_scope(None))
        async with contextlib.aclosing(listing) as pages:
            async for page in pages:
                rows += page
                missing.difference_update(_names_in(page))
                if wanted and not missing:
                    break
        return listed(parse_order, rows, "order/realtime", self.horizon)

    async def find_order(self, symbol: str, *, order_link_id: str = "", order_id: str = "") -> OrderUpdateEvent | None:
        """One order, open or closed: from order/realtime, else from the history. None when neither has it.

        The history lags and forgets orders cancelled without a fill after 24 h (docs/bybit.md 3.10).
        """
        ids = ids_of(order_id, order_link_id)
        if order_id:
            ids.pop("orderLinkId", None)
        for endpoint in ("order/realtime", "order/history"):
            rows = rows_of(await self._call(endpoint, category=LINEAR, symbol=symbol, **ids), endpoint)
            for event in whole(parse_order, rows, endpoint, self.horizon):
                if (event.order_id == order_id) if order_id else (event.order_link_id == order_link_id):
                    return event
        return None

    async def executions(
        self,
        start_ms: int,
        end_ms: int | None = None,
        symbol: str | None = None,
        *,
        is_new: IsNew | None = None,
    ) -> Listing[ExecutionEvent]:
        """Executions of every type from `start_ms` (UTC) to `end_ms` or now, each once, oldest first.

        With `is_new`, asked with an id and a time (ms), those that are not are left out, but for the newest of a page:
        it says how far the list reaches. Two minutes of a busy account are a thousand rows, of which few are new.

        Bybit lists at most seven days at a time, so a long period takes several listings; so does one with more
        executions than a listing may have, or a backlog could never be read. Executions in the same millisecond are
        ordered by sequence number, then by how much their order had left.
        """
        return await read_executions(self, start_ms, end_ms, self._transport.clock.now_ms(), symbol, is_new)

    async def executions_of(self, symbol: str, *, order_link_id: str = "", order_id: str = "") -> list[ExecutionEvent]:
        """All executions of one order, each once, oldest first. The exchange ignores time in such a question."""
        scope: dict[str, Any] = {"symbol": symbol, **ids_of(order_id, order_link_id)}
        rows = await self._listing("execution/list", category=LINEAR, limit=100, **scope)
        found = oldest_first(rows, self.horizon)
        if found.unreadable:
            raise UnreadableRows(f"{found.unreadable[0].reason}; nothing was used", found.unreadable[0])
        return [e for e in found if (e.order_id == order_id if order_id else e.order_link_id == order_link_id)]

    async def transactions(
        self, start_ms: int, end_ms: int, *, coin: str = SETTLE_COIN, at_a_time: int = 1
    ) -> Listing[Transaction]:
        """Every movement of one coin of the wallet from `start_ms` to `end_ms` (UTC, both included), oldest first.

        An unreadable one (its symbol may be empty) keeps no other from being read. Its time is 0 when it has none, or
        one after `end_ms`.

        A period with more rows than a listing may have is read in halves, `at_a_time` parts of it side by side.
        """
        return await read_log(self, start_ms, end_ms, coin=coin, at_a_time=at_a_time)

    # ------------------------------------------------------------------ account

    async def positions(self, symbol: str | None = None) -> Listing[PositionEvent]:
        """Hedge-mode legs. With `symbol` both legs, flat ones included; without it only legs that are open."""
        rows = await self._listing("position/list", category=LINEAR, limit=200, **_scope(symbol))
        return listed(parse_position, rows, "position/list", self.horizon)

    async def every_position(self) -> tuple[Listing[PositionEvent], Listing[PositionEvent]]:
        """All that is open: the legs of hedges, and the positions in one-way mode, each as the leg of its side."""
        rows = await self._listing("position/list", category=LINEAR, limit=200, **_scope(None))
        hedged = listed(parse_position, rows, "position/list", self.horizon)
        one_way = [row for row in rows if isinstance(row, dict) and whole_or_none(row.get("positionIdx")) == 0]
        return hedged, listed(parse_one_way_position, one_way, "position/list", self.horizon)

    async def leverage(self, symbol: str) -> Decimal | None:
        """The account's leverage for a symbol, in either position mode; the lower one of two legs."""
        rows = await self._listing("position/list", category=LINEAR, limit=200, symbol=symbol)
        return min(
            (found for row in rows if isinstance(row, dict) and (found := positive_or_none(row, "leverage"))),
            default=None,
        )

    async def wallet(self) -> WalletEvent:
        """All coins and account totals. An account that never held USDT has no row of it: its balance is zero."""
        envelope = await self._call("account/wallet-balance", accountType="UNIFIED")
        rows = rows_of(envelope, "account/wallet-balance")
        exchange_ts = self._told_ms(envelope)
        if not rows or not isinstance(rows[0], dict):
            raise make_error("expected the account's wallet, got no row", ErrorKind.AMBIGUOUS)
        found = replace(parse_wallet(rows[0], exchange_ts, SETTLE_COIN), is_whole=True)
        if not found.has_coin:
            return replace(
                found, wallet_balance=Decimal(0), equity=Decimal(0), unrealised_pnl=Decimal(0), has_coin=True
            )
        if found.wallet_balance is None:
            raise make_error("expected a USDT walletBalance, got none", ErrorKind.AMBIGUOUS)
        return found

    def _told_ms(self, envelope: dict[str, Any]) -> int:
        """The time of an answer (ms UTC), no later than now; now when it has none."""
        told_ms = time_or_none(envelope.get("time"))
        return self._transport.clock.now_ms() if told_ms is None else self.horizon.frame_time(told_ms)

    async def set_leverage(self, symbol: str, leverage: Decimal) -> bool:
        """The same leverage for both legs; False when it was so already."""
        text = plain(leverage)
        return await self._unless_noop(
            "position/set-leverage", category=LINEAR, symbol=symbol, buyLeverage=text, sellLeverage=text
        )

    async def ensure_hedge_mode(self, symbol: str) -> bool:
        """Two legs for the symbol; False when it was so. RESYNC when a position or order prevents the switch."""
        return await self._unless_noop("position/switch-mode", category=LINEAR, symbol=symbol, mode=HEDGE_MODE)

    async def cancel_when_gone(self, after_s: int) -> None:
        """Have the exchange cancel all orders when the private stream has been gone for so long (DCP). It is told once:
        the answer to a question about it may be older for some seconds."""
        await self._call("order/disconnected-cancel-all", product="DERIVATIVES", timeWindow=after_s)

    async def api_key_info(self) -> ApiKeyInfo:
        """What the key may do. The demo environment may lack this."""
        result = result_of(await self._call("user/query-api"), "user/query-api")
        permissions = result.get("permissions")
        permissions = permissions if isinstance(permissions, dict) else {}
        return ApiKeyInfo(
            user_id=one_line(str(result.get("userID", ""))),
            read_only=result.get("readOnly") == 1,
            contract_trade=texts(permissions.get("ContractTrade")),
            can_withdraw="Withdraw" in texts(permissions.get("Wallet")),
            wallet=texts(permissions.get("Wallet")),
            ips=texts(result.get("ips")),
            is_unified=result.get("uta") == 1,
            expires_at=words_of(result, "expiredAt"),
            deadline_days=whole_or_none(result.get("deadlineDay")),
            vip_level=words_of(result, "vipLevel"),
        )

    async def account_info(self) -> AccountInfo:
        """The account's margin mode."""
        result = result_of(await self._call("account/info"), "account/info")
        margin_mode = words_of(result, "marginMode")
        if not margin_mode:
            raise make_error("expected the account's margin mode, got none", ErrorKind.AMBIGUOUS)
        return AccountInfo(
            margin_mode=margin_mode,
            unified_margin_status=whole_or_none(result.get("unifiedMarginStatus")),
            updated_ts=time_or_none(result.get("updatedTime")),
        )

    async def fee_rate(self, symbol: str) -> FeeRate:
        """The account's fees for a symbol."""
        envelope = await self._call("account/fee-rate", category=LINEAR, symbol=symbol)
        row = row_of(rows_of(envelope, "account/fee-rate"), symbol) or {}
        maker, taker = decimal_or_none(row.get("makerFeeRate")), decimal_or_none(row.get("takerFeeRate"))
        if maker is None or taker is None:
            raise make_error(f"expected the fee rates of {symbol}, got none", ErrorKind.AMBIGUOUS)
        return FeeRate(symbol, maker, taker)


async def _instrument_row(rest: BybitRest, symbol: str, **scope: str) -> dict[str, Any] | None:
    """With a `status` that this environment does not know, None."""
    try:
        envelope = await rest._call("market/instruments-info", category=LINEAR, symbol=symbol, **scope)
    except ExchangeError as error:
        if scope and error.kind is ErrorKind.PARAM:
            return None
        raise
    return row_of(rows_of(envelope, "market/instruments-info"), symbol)


def _names_in(rows: Iterable[Any]) -> set[str]:
    """The ids, ours and the exchange's, of the orders in a page."""
    names = (row.get(name) for row in rows if isinstance(row, dict) for name in ("orderLinkId", "orderId"))
    return {name for name in names if isinstance(name, str)}


def _scope(symbol: str | None) -> dict[str, Any]:
    return {"settleCoin": SETTLE_COIN} if symbol is None else {"symbol": symbol}
