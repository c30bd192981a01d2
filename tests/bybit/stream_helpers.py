"""Short names for the tests of streams."""

from __future__ import annotations

from decimal import Decimal

from gridbot.bybit.watchdog import Limits
from gridbot.exchange.stream_news import Gap
from tests.bybit.support import (
    PUBLIC,
    QUICK,
    Ears,
    FakeExchange,
    eventually,
    ticker_frame,
)

D = Decimal


def limits(**changes: float) -> Limits:
    names = ("connect_s", "pong_s", "silence_s", "check_s", "backoff_first_s", "backoff_max_s", "settled_s")
    return Limits(**({name: getattr(QUICK, name) for name in names} | changes))


async def send_price(exchange: FakeExchange, ts: int, price: str, *, kind: str = "snapshot") -> None:
    await exchange.send(PUBLIC, ticker_frame("BTCUSDT", ts, kind=kind, lastPrice=price))


async def first_gap(ears: Ears) -> Gap:
    await eventually(lambda: ears.heard.gaps)
    return ears.heard.gaps[0]


def prices(ears: Ears) -> list[Decimal]:
    return [ticker.last_price for ticker in ears.heard.tickers]
