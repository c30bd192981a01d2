"""Frames of the public topics, from the state of the markets to the listeners (docs/bybit_streams.md 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from gridbot.paper.accounts.account import Account
from gridbot.paper.engine.liquidation import Liquidation
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.market.symbol_market import PublicTrade, SymbolMarket
from gridbot.paper.rows.candle_rows import INTERVALS
from gridbot.paper.rows.market_rows import public_trade, ticker_row
from gridbot.paper.streams.book_topics import BOOK_DEPTHS, BookTopics
from gridbot.paper.streams.connections import Connection, Hub
from gridbot.paper.streams.frame_sender import FrameSender
from gridbot.paper.streams.kline_topics import KlineTopics
from gridbot.paper.streams.pool_topics import PoolTopics

__all__ = ["STATUS_TOPIC", "Publisher"]

STATUS_TOPIC = "system.status"
MAX_TRADES_PER_FRAME = 1024


class Publisher:
    """Coalesces changes per symbol. Deltas are against what was published last, to everybody alike.

    `books`, `klines` and `pools` publish the topics of that name.
    """

    def __init__(
        self,
        markets: Mapping[str, SymbolMarket],
        accounts: Mapping[str, Account],
        hub: Hub,
        faults: Faults,
        now_ms: Callable[[], int],
    ) -> None:
        self._markets = markets
        self._sender = FrameSender(hub, faults)
        self._now_ms = now_ms
        self._dirty: dict[str, None] = {}
        self._tickers: dict[str, dict[str, str]] = {}
        self._trades: dict[str, list[dict[str, Any]]] = {}
        self.books = BookTopics(markets, self._sender, now_ms)
        self.klines = KlineTopics(markets, self._sender, now_ms)
        self.pools = PoolTopics(markets.keys(), accounts, self._sender, now_ms)

    def topic_exists(self, topic: str) -> bool:
        """True for tickers.S, publicTrade.S, orderbook.N.S, kline.I.S and their kind, of symbols listed here."""
        if topic in PoolTopics.topics:
            return True
        name, _, rest = topic.partition(".")
        if name in ("tickers", "publicTrade", "priceLimit", "allLiquidation"):
            return rest in self._markets
        middle, _, symbol = rest.partition(".")
        if symbol not in self._markets:
            return False
        if name == "orderbook":
            return middle in BOOK_DEPTHS
        return name == "kline" and middle in INTERVALS

    def changed(self, symbol: str, trade: PublicTrade | None) -> None:
        """Note that the market of a symbol moved, by a trade if one is given."""
        self._dirty[symbol] = None
        if trade is not None and self._sender.has_listeners(f"publicTrade.{symbol}"):
            self._trades.setdefault(symbol, []).append(public_trade(trade, symbol))

    def greet(self, connection: Connection, topic: str, delay_s: float) -> None:
        """First frame of a topic: the snapshot that later deltas build on."""
        name = topic.partition(".")[0]
        symbol = topic.rpartition(".")[2]
        if name == "tickers":
            row = self._tickers.get(symbol)
            if row is None:
                row = self._tickers[symbol] = ticker_row(self._markets[symbol], stream=True)
            connection.send(self._ticker_frame(symbol, "snapshot", row), delay_s=delay_s, ticker=symbol)
        elif name == "orderbook":
            connection.send(self.books.snapshot(topic, symbol), delay_s=delay_s)
        elif name == "kline":
            self.klines.begin(topic, symbol)
        elif topic in PoolTopics.topics:
            connection.send(self.pools.snapshot(topic), delay_s=delay_s)

    def flush(self) -> None:
        """Publish what changed since the last call."""
        for symbol in self._dirty:
            self.flush_trades(symbol)
            self._flush_ticker(symbol)
            self.books.flush(symbol)
            self.klines.flush(symbol)
            self._flush_price_limit(symbol)
        self._dirty.clear()

    def flush_trades(self, symbol: str) -> None:
        trades = self._trades.pop(symbol, [])
        for start in range(0, len(trades), MAX_TRADES_PER_FRAME):
            self._send_rows(f"publicTrade.{symbol}", trades[start : start + MAX_TRADES_PER_FRAME])

    def liquidated(self, liquidations: Sequence[Liquidation]) -> None:
        """Publish liquidations; `S` is the side of the position."""
        for each in liquidations:
            row = {"T": each.time_ms, "s": each.symbol, "S": each.side.value}
            row |= {"v": format(each.qty, "f"), "p": format(each.price, "f")}
            self._send_rows(f"allLiquidation.{each.symbol}", [row])

    def maintenance_changed(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell listeners of `system.status` what is announced, begins, ends or is called off."""
        frame = {"topic": STATUS_TOPIC, "ts": self._now_ms(), "data": rows}
        self._sender.send(STATUS_TOPIC, orjson.dumps(frame))

    def restart(self) -> None:
        """Forget what was published."""
        self._tickers.clear()
        self.books.restart()

    def _send_rows(self, topic: str, rows: Sequence[Mapping[str, Any]]) -> None:
        frame = {"topic": topic, "type": "snapshot", "ts": self._now_ms(), "data": rows}
        self._sender.send(topic, orjson.dumps(frame))

    def _ticker_frame(self, symbol: str, kind: str, data: Mapping[str, str]) -> bytes:
        market = self._markets[symbol]
        return orjson.dumps(
            {"topic": f"tickers.{symbol}", "type": kind, "data": data, "cs": market.seq, "ts": self._now_ms()}
        )

    def _flush_ticker(self, symbol: str) -> None:
        topic = f"tickers.{symbol}"
        if not self._sender.has_listeners(topic):
            self._tickers.pop(symbol, None)
            return
        row = ticker_row(self._markets[symbol], stream=True)
        before = self._tickers.get(symbol, {})
        delta = {name: value for name, value in row.items() if before.get(name) != value}
        if not delta:
            return
        self._tickers[symbol] = row
        self._sender.send(topic, self._ticker_frame(symbol, "delta", {"symbol": symbol, **delta}), ticker=symbol)

    def _flush_price_limit(self, symbol: str) -> None:
        topic = f"priceLimit.{symbol}"
        if not self._sender.has_listeners(topic):
            return
        highest, lowest = self._markets[symbol].price_band()
        data = {"symbol": symbol, "buyLmt": format(highest, "f"), "sellLmt": format(lowest, "f")}
        self._sender.send(topic, orjson.dumps({"topic": topic, "ts": self._now_ms(), "data": data}))
