"""Where the connections leave what has come, and the worker finds it. All on one loop.

Private frames queue up in order and are never dropped. Tickers coalesce: only the newest state of a symbol is kept.
The market's trades are for the records only: they wake nobody, and the oldest are dropped when the queue is full.

However much comes, the worker is woken once until it looks. While more is at hand it is woken in the next turn of the
loop, so that it sees the newest price and not each on the way there; what comes alone, or last, wakes it at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gridbot import background
from gridbot.core.events import TickerEvent

MAX_TRADES = 20_000
"""Most rows of the market's trades to keep: a few seconds of all symbols in a busy market."""

WOKEN = "what was woken by the streams"

__all__ = ["Mailbox", "PrivateFrame"]


@dataclass(frozen=True, slots=True)
class PrivateFrame:
    """A message of a private topic as it came: `rows` is its `data`, `sent_ms` its creationTime (UTC)."""

    topic: str
    rows: Any
    sent_ms: int
    received_ns: int


class Mailbox:
    """Call on `loop`. `on_wake` looks by `open` and `take_trades`; what it raises is reported."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_wake: Callable[[], None]) -> None:
        self._loop = loop
        self._on_wake = on_wake
        self._is_woken = False
        self._later: asyncio.Handle | None = None
        self._private: list[PrivateFrame] = []
        self._tickers: dict[str, TickerEvent] = {}
        self.trades: deque[Any] = deque(maxlen=MAX_TRADES)
        """What `take_trades` would give."""

    def put_private(self, frame: PrivateFrame, has_more: bool = True) -> None:
        """Queue a message of a private topic."""
        self._private.append(frame)
        self.wake(has_more)

    def put_ticker(self, ticker: TickerEvent, has_more: bool = True) -> None:
        """Replace a symbol's ticker."""
        self._tickers[ticker.symbol] = ticker
        if has_more or self._is_woken:
            self.wake(has_more)
            return
        self._is_woken = True  # the usual case: it comes alone
        try:
            self._on_wake()
        except Exception as error:  # noqa: BLE001 - reported; the connection that brought it goes on
            background.report(WOKEN, error)

    def put_trades(self, rows: Iterable[Any]) -> None:
        """Queue the rows of a `publicTrade` message."""
        self.trades.extend(rows)

    def take_trades(self) -> list[Any]:
        """The rows that came since the last call, oldest first."""
        taken = list(self.trades)
        self.trades.clear()
        return taken

    def wake(self, has_more: bool = True) -> None:
        """Have `on_wake` called, once until the next `open`: now, or in the next turn of the loop when more comes."""
        if has_more:
            if not self._is_woken:
                self._is_woken = True
                self._later = self._loop.call_soon(self._wake_now)
        elif not self._is_woken or self._later is not None:
            self._is_woken = True
            self._wake_now()

    def open(self) -> tuple[list[TickerEvent], list[PrivateFrame]]:
        """Take out everything: newest ticker per symbol, and private frames in the order they came."""
        self._is_woken = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        private, self._private = self._private, []
        tickers = list(self._tickers.values())
        self._tickers.clear()
        return tickers, private

    def _wake_now(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        try:
            self._on_wake()
        except Exception as error:  # noqa: BLE001 - reported; the connection that brought it goes on
            background.report(WOKEN, error)
