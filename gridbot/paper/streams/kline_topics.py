"""`kline.INTERVAL.SYMBOL`: the candle with each change, and once more when it is over (docs/bybit_streams.md 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.candle_rows import INTERVALS, candle_from, candle_span, kline_message
from gridbot.paper.streams.frame_sender import FrameSender

__all__ = ["KlineTopics"]


class KlineTopics:
    """Knows which candle of each topic was published last."""

    def __init__(self, markets: Mapping[str, SymbolMarket], sender: FrameSender, now_ms: Callable[[], int]) -> None:
        self._markets = markets
        self._sender = sender
        self._now_ms = now_ms
        self._starts: dict[str, int] = {}  # topic to the start of the candle published last

    def begin(self, topic: str, symbol: str) -> None:
        """Follow a topic from its first listener on, so that its present candle is confirmed when it ends."""
        candles = self._markets[symbol].candles
        if candles:
            self._starts.setdefault(topic, candle_span(topic.split(".")[1], candles[-1].start_ms)[0])

    def flush(self, symbol: str) -> None:
        """Publish the present candles of a symbol."""
        for interval in INTERVALS:
            self._flush(f"kline.{interval}.{symbol}", symbol, interval)

    def close_candles(self) -> None:
        """Publish the candles that are over, as confirmed; call it several times a second."""
        for topic in list(self._starts):
            _, interval, symbol = topic.split(".")
            if self._is_over(topic, interval, symbol):
                self._flush(topic, symbol, interval)

    def _is_over(self, topic: str, interval: str, symbol: str) -> bool:
        """True when the candle published last has ended."""
        candles = self._markets[symbol].candles
        return bool(candles) and candle_span(interval, candles[-1].start_ms)[0] != self._starts[topic]

    def _flush(self, topic: str, symbol: str, interval: str) -> None:
        candles = self._markets[symbol].candles
        if not self._sender.has_listeners(topic) or not candles:
            self._starts.pop(topic, None)
            return
        if topic in self._starts and self._is_over(topic, interval, symbol):
            self._publish(topic, symbol, interval, confirm=True)
        self._starts[topic], _ = candle_span(interval, candles[-1].start_ms)
        self._publish(topic, symbol, interval, confirm=False)

    def _publish(self, topic: str, symbol: str, interval: str, *, confirm: bool) -> None:
        market = self._markets[symbol]
        candle = candle_from(market.candles, interval, self._starts[topic])
        if candle is None:  # it is longer ago than minutes are kept
            return
        data = kline_message(candle, interval, confirm=confirm, updated_ms=market.updated_ms)
        frame = {"topic": topic, "type": "snapshot", "ts": self._now_ms(), "data": [data]}
        self._sender.send(topic, orjson.dumps(frame))
