"""Frames of the public topics, from the state of the markets to the listeners (docs/bybit.md 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from gridbot.paper.engine.liquidation import Liquidation
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.market.symbol_market import PublicTrade, SymbolMarket
from gridbot.paper.rows import candle_rows, market_rows
from gridbot.paper.streams.connections import Connection, Hub

__all__ = ["Publisher"]

BOOK_DEPTHS = (1, 50, 200, 1000)
MAX_TRADES_PER_FRAME = 1024


class Publisher:
    """Coalesces changes per symbol. Deltas are against what was published last, to everybody alike."""

    def __init__(
        self, markets: Mapping[str, SymbolMarket], hub: Hub, faults: Faults, now_ms: Callable[[], int]
    ) -> None:
        self._markets = markets
        self._hub = hub
        self._faults = faults
        self._now_ms = now_ms
        self._dirty: dict[str, None] = {}
        self._tickers: dict[str, dict[str, str]] = {}
        self._books: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._book_u: dict[str, int] = {}
        self._trades: dict[str, list[dict[str, Any]]] = {}
        self._candles: dict[str, int] = {}  # topic to the start of the candle published last

    def topic_exists(self, topic: str) -> bool:
        """True for tickers.S, publicTrade.S, orderbook.N.S, kline.I.S and their kind, of symbols listed here."""
        name, _, rest = topic.partition(".")
        if name in ("tickers", "publicTrade", "priceLimit", "allLiquidation"):
            return rest in self._markets
        middle, _, symbol = rest.partition(".")
        if symbol not in self._markets:
            return False
        if name == "orderbook":
            return middle.isdigit() and int(middle) in BOOK_DEPTHS
        return name == "kline" and middle in candle_rows.INTERVALS

    def changed(self, symbol: str, trade: PublicTrade | None) -> None:
        """The market of a symbol moved, perhaps by a trade."""
        self._dirty[symbol] = None
        if trade is not None and self._hub.listeners(f"publicTrade.{symbol}"):
            self._trades.setdefault(symbol, []).append(market_rows.public_trade(trade, symbol))

    def greet(self, connection: Connection, topic: str, delay_s: float) -> None:
        """First frame of a topic: the snapshot that later deltas build on."""
        name = topic.partition(".")[0]
        symbol = topic.rpartition(".")[2]
        if name == "tickers":
            row = self._tickers.get(symbol)
            if row is None:
                row = self._tickers[symbol] = market_rows.ticker_row(self._markets[symbol], stream=True)
            connection.send(self._ticker_frame(symbol, "snapshot", row), delay_s=delay_s, ticker=symbol)
        elif name == "orderbook":
            if topic not in self._books:
                self._take_book(topic, symbol)
            bids, asks = self._books[topic]
            frame = self._book_frame(topic, symbol, "snapshot", list(bids.items()), list(asks.items()))
            connection.send(frame, delay_s=delay_s)
        elif name == "kline" and self._markets[symbol].candles:
            interval = topic.split(".")[1]
            newest = self._markets[symbol].candles[-1].start_ms
            self._candles.setdefault(topic, candle_rows.candle_span(interval, newest)[0])

    def flush(self) -> None:
        """Publish what changed since the last call."""
        for symbol in self._dirty:
            self.flush_trades(symbol)
            self._flush_ticker(symbol)
            for depth in BOOK_DEPTHS:
                self._flush_book(f"orderbook.{depth}.{symbol}", symbol)
            for interval in candle_rows.INTERVALS:
                self._flush_kline(f"kline.{interval}.{symbol}", symbol, interval)
            self._flush_price_limit(symbol)
        self._dirty.clear()

    def flush_trades(self, symbol: str) -> None:
        trades = self._trades.pop(symbol, None)
        if not trades:
            return
        topic = f"publicTrade.{symbol}"
        for start in range(0, len(trades), MAX_TRADES_PER_FRAME):
            part = trades[start : start + MAX_TRADES_PER_FRAME]
            frame = {"topic": topic, "type": "snapshot", "ts": self._now_ms(), "data": part}
            self._publish(topic, orjson.dumps(frame))

    def _publish(self, topic: str, frame: bytes, ticker: str = "") -> None:
        for connection in self._hub.listeners(topic):
            if not self._faults.plan:
                connection.send(frame, ticker=ticker)
                continue
            for out in self._faults.frames(topic, "", frame):
                connection.send_late(out.data, out.delay_s) if out.delay_s else connection.send(out.data, ticker=ticker)

    def repeat_best(self) -> None:
        """Level 1 is sent again with the same `u` when nothing changed; call it every three seconds."""
        for topic, (bids, asks) in self._books.items():
            if topic.startswith("orderbook.1.") and self._hub.listeners(topic):
                symbol = topic.rpartition(".")[2]
                rows = list(bids.items()), list(asks.items())
                self._publish(topic, self._book_frame(topic, symbol, "snapshot", *rows))

    def liquidated(self, liquidations: Sequence[Liquidation]) -> None:
        """Publish what the exchange took over; `S` is the side of the position."""
        for each in liquidations:
            topic = f"allLiquidation.{each.symbol}"
            row = {"T": each.time_ms, "s": each.symbol, "S": each.side.value}
            row |= {"v": format(each.qty, "f"), "p": format(each.price, "f")}
            frame = {"topic": topic, "type": "snapshot", "ts": self._now_ms(), "data": [row]}
            self._publish(topic, orjson.dumps(frame))

    def restart(self) -> None:
        """Forget what was published: order books begin again with `u` 1."""
        self._tickers.clear()
        self._books.clear()
        self._book_u.clear()
        for market in self._markets.values():
            market.updates = 1

    def _ticker_frame(self, symbol: str, kind: str, data: Mapping[str, str]) -> bytes:
        market = self._markets[symbol]
        return orjson.dumps(
            {"topic": f"tickers.{symbol}", "type": kind, "data": data, "cs": market.seq, "ts": self._now_ms()}
        )

    def _flush_ticker(self, symbol: str) -> None:
        topic = f"tickers.{symbol}"
        if not self._hub.listeners(topic):
            self._tickers.pop(symbol, None)
            return
        row = market_rows.ticker_row(self._markets[symbol], stream=True)
        before = self._tickers.get(symbol, {})
        delta = {name: value for name, value in row.items() if before.get(name) != value}
        if not delta:
            return
        self._tickers[symbol] = row
        self._publish(topic, self._ticker_frame(symbol, "delta", {"symbol": symbol, **delta}), ticker=symbol)

    def _take_book(self, topic: str, symbol: str) -> bool:
        """Take the book as it is now; False when it is as it was. The deepest one has the update id of REST."""
        depth, market = int(topic.split(".")[1]), self._markets[symbol]
        bids, asks = market_rows.book_rows(market, depth)
        book = dict(bids), dict(asks)
        if self._books.get(topic) == book:
            return False
        self._books[topic] = book
        self._book_u[topic] = market.updates if depth == BOOK_DEPTHS[-1] else self._book_u.get(topic, 0) + 1
        return True

    def _flush_book(self, topic: str, symbol: str) -> None:
        if not self._hub.listeners(topic):
            self._books.pop(topic, None)
            return
        old_bids, old_asks = self._books.get(topic, ({}, {}))
        if not self._take_book(topic, symbol):
            return
        bids, asks = self._books[topic]
        if topic.startswith("orderbook.1."):
            frame = self._book_frame(topic, symbol, "snapshot", list(bids.items()), list(asks.items()))
        else:
            frame = self._book_frame(topic, symbol, "delta", _difference(old_bids, bids), _difference(old_asks, asks))
        self._publish(topic, frame)

    def _book_frame(
        self, topic: str, symbol: str, kind: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]
    ) -> bytes:
        market = self._markets[symbol]
        return orjson.dumps(
            {
                "topic": topic,
                "type": kind,
                "ts": self._now_ms(),
                "data": {"s": symbol, "b": bids, "a": asks, "u": self._book_u[topic], "seq": market.seq},
                "cts": market.updated_ms,
            }
        )

    def close_candles(self) -> None:
        """Say of each candle that is over that it is; call it several times a second."""
        for topic in list(self._candles):
            _, interval, symbol = topic.split(".")
            if self._is_over(topic, interval, symbol):
                self._flush_kline(topic, symbol, interval)

    def _is_over(self, topic: str, interval: str, symbol: str) -> bool:
        """True when minutes have begun that are no longer of the candle published last."""
        candles = self._markets[symbol].candles
        return bool(candles) and candle_rows.candle_span(interval, candles[-1].start_ms)[0] != self._candles[topic]

    def _flush_kline(self, topic: str, symbol: str, interval: str) -> None:
        candles = self._markets[symbol].candles
        if not self._hub.listeners(topic) or not candles:
            self._candles.pop(topic, None)
            return
        if topic in self._candles and self._is_over(topic, interval, symbol):
            self._publish_candle(topic, symbol, interval, self._candles[topic], confirm=True)
        self._candles[topic], _ = candle_rows.candle_span(interval, candles[-1].start_ms)
        self._publish_candle(topic, symbol, interval, self._candles[topic], confirm=False)

    def _publish_candle(self, topic: str, symbol: str, interval: str, start_ms: int, *, confirm: bool) -> None:
        market = self._markets[symbol]
        candle = candle_rows.candle_from(market.candles, interval, start_ms)
        if candle is None:  # it is longer ago than minutes are kept
            return
        data = candle_rows.kline_message(candle, interval, confirm=confirm, updated_ms=market.updated_ms)
        frame = {"topic": topic, "type": "snapshot", "ts": self._now_ms(), "data": [data]}
        self._publish(topic, orjson.dumps(frame))

    def _flush_price_limit(self, symbol: str) -> None:
        topic = f"priceLimit.{symbol}"
        if not self._hub.listeners(topic):
            return
        highest, lowest = self._markets[symbol].price_band()
        data = {"symbol": symbol, "buyLmt": format(highest, "f"), "sellLmt": format(lowest, "f")}
        self._publish(topic, orjson.dumps({"topic": topic, "ts": self._now_ms(), "data": data}))


def _difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str]]:
    """Rows of a book delta: size 0 deletes, anything else replaces."""
    changed = [(price, size) for price, size in new.items() if old.get(price) != size]
    return changed + [(price, "0") for price in old if price not in new]
