"""Bybit's public mainnet stream as the market: its trades and tickers move our prices. Needs a network, no keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import aiohttp
import orjson

from gridbot.core.strict_numbers import amount_or_none
from gridbot.core.vocabulary import Side
from gridbot.doors.bounded_json import LONGEST, read_json
from gridbot.doors.plain_text import one_line
from gridbot.paper.feed.market_feed import MarketFeed
from gridbot.paper.market.synthetic import MarketTrade

__all__ = ["LiveSource"]

PING_S = 20.0
SILENCE_S = 45.0
MAX_BACKOFF_S = 30.0
log = logging.getLogger("gridbot.paper")


class LiveSource:
    """Follows publicTrade of the symbols; their tickers give the first price, mark, index, and the funding."""

    def __init__(self, url: str, symbols: list[str], market: MarketFeed) -> None:
        self._url = url
        self._market = market
        self._waiting = set(symbols)
        self._topics = [f"{kind}.{symbol}" for symbol in symbols for kind in ("publicTrade", "tickers")]
        self.opened = asyncio.Event()
        """Set when every symbol has had a price."""

    async def run(self) -> None:
        """Follow until cancelled; connect again after a loss, waiting 1 s and twice as long each time."""
        backoff_s = 1.0
        while True:
            try:
                await self._follow()
                backoff_s = 1.0
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                log.warning("live market %s: %r; next try in %.0f s", self._url, error, backoff_s)
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)

    async def _follow(self) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(self._url, max_msg_size=LONGEST) as socket:
            await socket.send_str(orjson.dumps({"op": "subscribe", "args": self._topics}).decode())
            ping = asyncio.create_task(self._ping(socket))
            try:
                while True:
                    message = await asyncio.wait_for(socket.receive(), SILENCE_S)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return
                    self._take(message.data)
            finally:
                ping.cancel()

    @staticmethod
    async def _ping(socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(PING_S)
            await socket.send_str('{"op": "ping"}')

    def _take(self, text: str) -> None:
        topic = ""
        try:
            frame: Mapping[str, Any] = read_json(text)
            topic = one_line(str(frame.get("topic", "")))
            if topic.startswith("publicTrade."):
                for row in frame["data"]:
                    if row["s"] not in self._waiting:
                        price = self._market.possible(row["s"], _above_zero(row["p"]))
                        trade = MarketTrade(row["s"], Side(row["S"]), price, _above_zero(row["v"]))
                        self._market.feed(trade)
                self._market.flush_trades(topic.partition(".")[2])
            elif topic.startswith("tickers."):
                symbol = frame["data"]["symbol"]
                if "lastPrice" in frame["data"]:
                    self._open(symbol, self._market.possible(symbol, _above_zero(frame["data"]["lastPrice"])))
                if symbol not in self._waiting:
                    self._market.follow(symbol, frame["data"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("live market: a frame of %s was not understood: %s", topic, one_line(repr(error)))

    def _open(self, symbol: str, price: Decimal) -> None:
        if symbol in self._waiting:
            self._waiting.discard(symbol)
            self._market.reopen(symbol, price)
            if not self._waiting:
                self.opened.set()


def _above_zero(value: object) -> Decimal:
    number = amount_or_none(value)
    if not number:
        raise ValueError(f"expected a number above 0, got {one_line(repr(value), 40)}")
    return number
