"""`orderbook.N.SYMBOL` and `orderbook.rpi.SYMBOL`: the modelled book (docs/bybit_streams.md 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.market_rows import book_rows, with_rpi_size
from gridbot.paper.streams.frame_sender import FrameSender

__all__ = ["BOOK_DEPTHS", "BookTopics"]

BOOK_DEPTHS = {"1": 1, "50": 50, "200": 200, "1000": 1000, "rpi": 50}
DEEPEST, RPI = "1000", "rpi"
Rows = Sequence[tuple[str, ...]]


class BookTopics:
    """Deltas are against what was published last, to everybody alike. Level 1 has snapshots only.

    The last frame of a contract that is over is an empty snapshot, with `u` 1.
    """

    def __init__(self, markets: Mapping[str, SymbolMarket], sender: FrameSender, now_ms: Callable[[], int]) -> None:
        self._markets = markets
        self._sender = sender
        self._now_ms = now_ms
        self._books: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._update_ids: dict[str, int] = {}

    def snapshot(self, topic: str, symbol: str) -> bytes:
        """First frame of a new listener: what was published last."""
        if topic not in self._books:
            self._take(topic, symbol)
        return self._whole(topic, symbol)

    def flush(self, symbol: str) -> None:
        """Publish what changed since the last call."""
        for depth in BOOK_DEPTHS:
            self._flush(f"orderbook.{depth}.{symbol}", symbol)

    def repeat_best(self) -> None:
        """Level 1 is sent again with the same `u` when nothing changed; call it every three seconds."""
        for topic in self._books:
            symbol = topic.rpartition(".")[2]
            is_best = topic.startswith("orderbook.1.") and not self._markets[symbol].listing.is_over
            if is_best and self._sender.has_listeners(topic):
                self._sender.send(topic, self._whole(topic, symbol))

    def restart(self) -> None:
        """Forget what was published: books begin again with `u` 1."""
        self._books.clear()
        self._update_ids.clear()
        for market in self._markets.values():
            market.updates = 1

    def _flush(self, topic: str, symbol: str) -> None:
        if not self._sender.has_listeners(topic):
            self._books.pop(topic, None)
            return
        old_bids, old_asks = self._books.get(topic, ({}, {}))
        if not self._take(topic, symbol):
            return
        if topic.startswith("orderbook.1.") or self._markets[symbol].listing.is_over:
            frame = self._whole(topic, symbol)
        else:
            bids, asks = self._books[topic]
            frame = self._frame(topic, symbol, "delta", _difference(old_bids, bids), _difference(old_asks, asks))
        self._sender.send(topic, frame)

    def _take(self, topic: str, symbol: str) -> bool:
        """Take the present book; False when nothing changed. The deepest one has the update id of REST."""
        kind, market = topic.split(".")[1], self._markets[symbol]
        bids, asks = book_rows(market, BOOK_DEPTHS[kind])
        book = dict(bids), dict(asks)
        if self._books.get(topic) == book:
            return False
        self._books[topic] = book
        next_id = 1 if market.listing.is_over else self._update_ids.get(topic, 0) + 1
        self._update_ids[topic] = market.updates if kind == DEEPEST else next_id
        return True

    def _whole(self, topic: str, symbol: str) -> bytes:
        bids, asks = self._books[topic]
        return self._frame(topic, symbol, "snapshot", list(bids.items()), list(asks.items()))

    def _frame(self, topic: str, symbol: str, kind: str, bids: Rows, asks: Rows) -> bytes:
        market = self._markets[symbol]
        if topic.startswith(f"orderbook.{RPI}."):  # two sizes a level; two zeros delete it
            bids, asks = with_rpi_size(bids), with_rpi_size(asks)
        return orjson.dumps(
            {
                "topic": topic,
                "type": kind,
                "ts": self._now_ms(),
                "data": {"s": symbol, "b": bids, "a": asks, "u": self._update_ids[topic], "seq": market.seq},
                "cts": market.updated_ms,
            }
        )


def _difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str]]:
    """Rows of a book delta: size 0 deletes, anything else replaces."""
    changed = [(price, size) for price, size in new.items() if old.get(price) != size]
    return changed + [(price, "0") for price in old if price not in new]
