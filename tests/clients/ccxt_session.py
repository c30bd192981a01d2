"""One session of ccxt.pro on the paper exchange: every unified call, every `watch*`, order entry over WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt.pro
import pytest

from tests.paper.support import ALICE, Venue

__all__ = ["CcxtSession", "ccxt_options"]

BTC, ETH, LTC = "BTC/USDT:USDT", "ETH/USDT:USDT", "LTC/USDT:USDT"
HEDGED = {"hedged": True}
RESTING = {"hedged": True, "postOnly": True}


def ccxt_options(venue: Venue) -> dict[str, Any]:
    """What a user of ccxt changes to trade here: the addresses."""
    ws = venue.ws_url
    channels = {name: f"{ws}/v5/public/{name}" for name in ("linear", "spot", "inverse", "option")}
    return {
        "apiKey": ALICE.api_key,
        "secret": ALICE.api_secret,
        "enableRateLimit": False,
        "options": {"defaultType": "swap"},
        "urls": {
            "api": {
                "public": venue.url,
                "private": venue.url,
                "ws": {"public": channels, "private": {"contract": ws + "/v5/private", "trade": ws + "/v5/trade"}},
            }
        },
    }


class CcxtSession:
    """`await run()` does everything in one go; what is wrong is an assertion here."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._client: Any = ccxt.pro.bybit(ccxt_options(venue))

    async def run(self) -> None:
        try:
            await self._markets()
            await self._account()
            await self._watch_markets()
            await self._orders()
            await self._order_entry()
            await self._isolated()
            await self._watch_account()
            await self._history()
            await self._other_categories()
            await self._ends()
        finally:
            await self._client.close()

    async def _act(self, action: Callable[..., Any], *args: Any) -> Any:
        """Do something on the exchange's own loop."""
        return await asyncio.to_thread(self._venue.call, action, *args)

    async def _trade(self, symbol: str, price: str, side: str = "Buy") -> None:
        await self._act(self._venue.server.market.trade, symbol, price, "0.5", side)

    async def _told(self, watch: Awaitable[Any], stir: Callable[[int], Awaitable[Any]]) -> Any:
        """What a `watch*` brings while something happens again and again."""
        task = asyncio.ensure_future(watch)
        for number in range(200):
            await stir(number)
            await asyncio.wait({task}, timeout=0.05)
            if task.done():
                return task.result()
        task.cancel()
        raise AssertionError("nothing came")

    async def _both_move(self, number: int) -> None:
        await self._trade("BTCUSDT", f"{60000 + number}.00")
        await self._trade("ETHUSDT", f"{2500 + number}.00")

    async def _fill(self, number: int) -> None:
        await self._client.create_order(BTC, "market", "buy", 0.001, None, HEDGED)

    async def _markets(self) -> None:
        client = self._client
        await client.load_markets()
        market = client.market(BTC)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
        await self._trade("BTCUSDT", "60100.00")
        await self._act(self._venue.server.market.settle_funding, "BTCUSDT", "0.0001")
        await self._act(self._venue.server.market.announce, {"action": "maintain", "id": "1"})
        assert (await client.fetch_status())["info"]["result"]["list"][0]["state"] == "scheduled"
        assert abs(await client.fetch_time() - client.milliseconds()) < 60_000
        assert set(await client.fetch_currencies()) == {"USDT", "BTC", "ETH", "LTC"}
        assert client.currency_to_precision("BTC", 0.1) == "0.1"
        assert (await client.fetch_ticker(BTC))["last"] == 60100.0
        assert set(await client.fetch_tickers()) == {BTC, ETH, LTC}
        assert (await client.fetch_bids_asks([BTC]))[BTC]["ask"] == 60100.0
        assert (await client.fetch_order_book(BTC))["asks"][0][0] == 60100.0
        assert (await client.fetch_trades(BTC))[0]["amount"] == 0.5
        for candles in (client.fetch_ohlcv, client.fetch_mark_ohlcv, client.fetch_index_ohlcv):
            assert (await candles(BTC))[0][4] == 60100.0
        assert (await client.fetch_premium_index_ohlcv(BTC))[0][4] == 0.0
        assert (await client.fetch_funding_rate(BTC))["fundingRate"] == 0.0001
        assert set(await client.fetch_funding_rates()) == {BTC, ETH, LTC}
        assert (await client.fetch_funding_rate_history(BTC))[0]["fundingRate"] == 0.0001
        assert (await client.fetch_open_interest(BTC))["openInterestAmount"] > 0
        assert (await client.fetch_open_interest_history(BTC, "1h"))[0]["openInterestAmount"] > 0
        assert (await client.fetch_leverage_tiers([BTC]))[BTC][0]["maxLeverage"] == 100.0
        assert (await client.fetch_market_leverage_tiers(BTC))[0]["maintenanceMarginRate"] == 0.005
        assert (await client.fetch_long_short_ratio_history(BTC, "1h"))[0]["longShortRatio"] == 1.0

    async def _account(self) -> None:
        client = self._client
        for symbol in (BTC, ETH):
            await client.set_position_mode(True, symbol)
        await client.set_leverage(7, BTC)
        assert (await client.fetch_leverage(BTC))["longLeverage"] == 7.0
        await client.set_margin_mode("isolated")
        assert (await client.fetch_margin_mode(BTC))["marginMode"] == "isolated"
        assert (await client.fetch_balance())["USDT"]["free"] == 10000.0
        await client.set_margin_mode("cross")
        assert (await client.fetch_margin_mode(BTC))["marginMode"] == "cross"
        assert (await client.fetch_trading_fee(BTC))["maker"] == 0.0002
        assert set(await client.fetch_trading_fees()) == {BTC, ETH, LTC}
        assert (await client.fetch_balance())["USDT"]["free"] == 10000.0
        assert (await client.fetch_balance({"type": "funding"}))["USDT"]["total"] == 0.0
        assert (await client.fetch_ledger())[0]["after"] == 10000.0
        await client.cancel_all_orders_after(10_000)
        for nothing in (client.fetch_deposits, client.fetch_withdrawals, client.fetch_transfers):
            assert await nothing() == []
        with pytest.raises(ccxt.PermissionDenied):
            await client.transfer("USDT", 1, "unified", "funding")

    async def _watch_markets(self) -> None:
        client, told, moves = self._client, self._told, self._both_move
        assert (await told(client.watch_ticker(BTC), moves))["symbol"] == BTC
        assert set(await told(client.watch_tickers([BTC, ETH]), moves)) <= {BTC, ETH}
        assert set(await told(client.watch_bids_asks([BTC, ETH]), moves)) <= {BTC, ETH}
        (candle,) = await told(client.watch_ohlcv(BTC), moves)
        assert candle[4] >= 60000.0
        pairs = [[BTC, "1m"], [ETH, "5m"]]
        assert set(await told(client.watch_ohlcv_for_symbols(pairs), moves)) <= {BTC, ETH}
        for depth in (1, 50, 200, 1000):
            book = await told(client.watch_order_book(BTC, depth), moves)
            assert book["bids"][0][0] < book["asks"][0][0]
            await client.un_watch_order_book(BTC, {"limit": depth})
        assert (await told(client.watch_order_book_for_symbols([BTC, ETH]), moves))["symbol"] in (BTC, ETH)
        assert (await told(client.watch_trades(BTC), moves))[0]["amount"] == 0.5
        assert (await told(client.watch_trades_for_symbols([BTC, ETH]), moves))[0]["side"] == "buy"
        await client.un_watch_ticker(BTC)
        await client.un_watch_tickers([ETH])
        await client.un_watch_ohlcv(BTC)
        await client.un_watch_ohlcv_for_symbols([[ETH, "5m"]])
        await client.un_watch_order_book_for_symbols([BTC, ETH], {"limit": 50})
        await client.un_watch_trades_for_symbols([BTC, ETH])

    async def _orders(self) -> None:
        client = self._client
        first = await client.create_order(BTC, "limit", "buy", 0.01, 59000, RESTING | {"clientOrderId": "ccxt-1"})
        second = await client.create_order(BTC, "limit", "buy", 0.01, 58999, RESTING)
        await client.edit_order(first["id"], BTC, "limit", "buy", 0.02, 58900)
        change = {"symbol": BTC, "id": second["id"], "type": "limit", "side": "buy", "amount": 0.03, "price": 58800}
        await client.edit_orders([change])
        assert (await client.fetch_open_order(first["id"], BTC))["price"] == 58900.0
        assert (await client.fetch_order(second["id"], BTC, {"acknowledged": True}))["amount"] == 0.03
        assert {order["clientOrderId"] for order in await client.fetch_open_orders()} == {"ccxt-1", None}
        await client.cancel_order(first["id"], BTC)
        await client.cancel_orders([second["id"]], BTC)
        good = {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": 59000, "params": RESTING}
        placed = await client.create_orders([good, {**good, "amount": 100}])
        assert [order["status"] for order in placed] == [None, "rejected"]
        await client.cancel_orders_for_symbols([{"id": placed[0]["id"], "symbol": BTC}])
        await client.create_order(BTC, "limit", "buy", 0.01, 59000, RESTING)
        await client.cancel_all_orders(BTC)
        assert await client.fetch_open_orders(BTC) == []
        trigger = {"hedged": True, "triggerPrice": 62000, "triggerDirection": "ascending"}
        stop = await client.create_order(BTC, "market", "buy", 0.01, None, trigger)
        await client.cancel_order(stop["id"], BTC)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(stop["id"], BTC)
        assert [order["status"] for order in await client.fetch_canceled_orders(BTC)][-1] == "canceled"
        bought = await client.create_order(BTC, "market", "buy", 0.01, None, HEDGED)
        assert (await client.fetch_order_trades(bought["id"], BTC))[0]["amount"] == 0.01
        assert (await client.fetch_position(BTC))["contracts"] == 0.01
        assert (await client.fetch_position_adl_rank(BTC))["symbol"] == BTC
        close = {"positionIdx": 1, "trailingAmount": 300, "trailingTriggerPrice": 60900}
        await client.create_order(BTC, "market", "sell", 0.01, None, close)
        await client.create_order(BTC, "market", "sell", 0.01, None, HEDGED | {"reduceOnly": True})

    async def _order_entry(self) -> None:
        client = self._client
        order = await client.create_order_ws(BTC, "limit", "buy", 0.01, 59000, RESTING | {"clientOrderId": "ws-1"})
        assert order["clientOrderId"] == "ws-1"
        await client.edit_order_ws(order["id"], BTC, "limit", "buy", 0.02, 58900)
        (resting,) = await client.fetch_open_orders(BTC)
        assert (resting["id"], resting["price"], resting["amount"]) == (order["id"], 58900.0, 0.02)
        await client.cancel_order_ws(order["id"], BTC)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order_ws(order["id"], BTC)
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order_ws(BTC, "limit", "buy", 100, 59900, HEDGED)

    async def _isolated(self) -> None:
        """Both legs with margins of their own: leverage by side, margin added, taken back, closed; nothing is lost."""
        client, leg = self._client, {"category": "linear", "symbol": "BTCUSDT", "positionIdx": 1}
        await client.set_margin_mode("isolated")
        await client.set_leverage(20, BTC, {"sellLeverage": "5"})
        before = (await client.fetch_balance())["USDT"]
        assert before["free"] == before["total"]
        await client.create_order(BTC, "market", "buy", 0.02, None, HEDGED)
        await client.create_order(BTC, "market", "sell", 0.01, None, {"positionIdx": 2})
        long, short = await self._legs()
        assert (long["leverage"], short["leverage"]) == (20.0, 5.0)
        assert long["liquidationPrice"] < long["entryPrice"] < short["liquidationPrice"]
        assert (long["initialMarginPercentage"], short["initialMarginPercentage"]) == pytest.approx(
            (0.05, 0.2), rel=0.02
        )
        held = (await client.fetch_balance())["USDT"]
        assert held["used"] == pytest.approx(long["initialMargin"] + short["initialMargin"])
        row = (await client.private_post_v5_position_add_margin(leg | {"margin": "10"}))["result"]
        assert row["category"] == "linear"
        assert float(row["liqPrice"]) == pytest.approx(long["liquidationPrice"] - 10 / 0.02 / 0.995, abs=0.1)
        assert float(row["positionIM"]) == pytest.approx(long["initialMargin"] + 10)
        assert (await client.fetch_balance())["USDT"]["free"] == pytest.approx(held["free"] - 10)
        await client.private_post_v5_position_set_auto_add_margin(leg | {"autoAddMargin": 1})
        assert (await self._legs())[0]["info"]["autoAddMargin"] == 1
        await client.private_post_v5_position_add_margin(leg | {"margin": "-10"})
        assert (await self._legs())[0]["liquidationPrice"] == long["liquidationPrice"]
        await client.create_order(BTC, "market", "sell", 0.02, None, {"positionIdx": 1, "reduceOnly": True})
        await client.create_order(BTC, "market", "buy", 0.01, None, {"positionIdx": 2, "reduceOnly": True})
        after = (await client.fetch_balance())["USDT"]
        assert after["free"] == after["total"]
        closed = (await client.fetch_positions_history([BTC]))[:2]
        assert after["total"] - before["total"] == pytest.approx(sum(each["realizedPnl"] for each in closed))
        await client.set_margin_mode("cross")
        await client.set_leverage(7, BTC)

    async def _legs(self) -> list[Any]:
        return sorted(await self._client.fetch_positions([BTC]), key=lambda each: each["info"]["positionIdx"])

    async def _watch_account(self) -> None:
        client, told, fill = self._client, self._told, self._fill
        await told(client.watch_positions(), fill)  # first what it reads over REST
        assert (await told(client.watch_positions(), fill))[0]["symbol"] == BTC
        assert (await told(client.watch_positions([BTC]), fill))[0]["side"] == "long"
        assert (await told(client.watch_orders(), fill))[0]["symbol"] == BTC
        assert (await told(client.watch_orders(BTC), fill))[0]["status"] in ("open", "closed")
        assert (await told(client.watch_my_trades(), fill))[0]["takerOrMaker"] == "taker"
        assert (await told(client.watch_my_trades(BTC), fill))[0]["amount"] == 0.001
        assert (await told(client.watch_balance(), fill))["USDT"]["total"] < 10000.0
        await client.un_watch_my_trades()
        await client.un_watch_orders()
        await client.un_watch_positions()

    async def _history(self) -> None:
        client = self._client
        await self._act(self._venue.server.market.settle_funding, "BTCUSDT", "0.0001")
        assert (await client.fetch_funding_history(BTC))[0]["amount"] > 0
        assert {trade["symbol"] for trade in await client.fetch_my_trades()} == {BTC}
        assert (await client.fetch_closed_orders(BTC))[-1]["status"] == "closed"
        assert len(await client.fetch_canceled_and_closed_orders(BTC)) > 3
        assert (await client.fetch_positions())[0]["side"] == "long"
        assert (await client.fetch_positions_history())[0]["symbol"] == BTC
        entries = await client.fetch_ledger("USDT", params={"paginate": True})
        amounts = [entry["amount"] if entry["direction"] == "in" else -entry["amount"] for entry in entries]
        assert sum(amounts) == pytest.approx((await client.fetch_balance())["USDT"]["total"])

    async def _other_categories(self) -> None:
        """They are asked together with linear by many programs: empty, and soon."""
        client = self._client
        assert await client.fetch_positions(None, {"subType": "inverse"}) == []
        assert await client.fetch_open_orders(None, None, None, {"type": "spot"}) == []
        assert await client.fetch_settlement_history() == []
        assert (await client.fetch_balance({"type": "spot"}))["USDT"]["total"] < 10000.0

    async def _ends(self) -> None:
        """A contract is delivered; then the market takes everything."""
        client, market = self._client, self._venue.server.market
        await client.create_order(ETH, "market", "buy", 0.1, None, HEDGED)
        await self._act(market.delist, "ETHUSDT", 0.0)
        (delivered,) = await client.fetch_my_settlement_history()
        (closed,) = await client.fetch_settlement_history(ETH)
        assert (delivered["symbol"], closed["price"]) == (ETH, delivered["price"])
        await client.set_leverage(100, BTC)
        await client.create_order(BTC, "market", "buy", 8, None, HEDGED)

        async def falls(number: int) -> None:
            if self._venue.server.hub.listeners("allLiquidation.BTCUSDT"):
                await self._act(market.set_price, "BTCUSDT", str(58000 - number))

        (taken,) = await self._told(client.watch_liquidations(BTC), falls)
        assert taken["contracts"] > 8
        assert (await client.fetch_my_liquidations(BTC))[0]["symbol"] == BTC
