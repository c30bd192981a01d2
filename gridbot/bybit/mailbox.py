"""Where pybit's threads leave frames and the loop finds them.

Private frames queue up in order and are never dropped. Tickers coalesce: only the newest state of a symbol is kept.
The market's trades are for the records only: they do not wake the loop, and the oldest are dropped when the queue is
full. However many frames arrive, the loop is woken once until it looks. A thread appends first and then tests the flag;
the loop clears the flag before it takes anything out. So no frame is missed between the two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gridbot.bybit.event_times import Horizon
from gridbot.bybit.parse_market import TICKER_FIELDS
from gridbot.bybit.raw_fields import FieldError
from gridbot.doors.plain_text import shown

MAX_TRADES = 20_000
"""Most rows of the market's trades to keep: a few seconds of all symbols in a busy market."""

__all__ = ["Mailbox", "PrivateFrame", "Ticker", "TickerMerger"]


@dataclass(frozen=True, slots=True)
class PrivateFrame:
    """A message of a private topic as it came: `rows` is its `data`, `sent_ms` its creationTime (UTC)."""

    topic: str
    rows: Any
    sent_ms: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """Merged fields of a symbol after a frame; never changed afterwards."""

    fields: dict[str, Any]
    sent_ms: int
    received_ns: int


class TickerMerger:
    """Snapshots and deltas of one connection to whole tickers (incident L28). Used by one thread.

    A field that a delta leaves out is unchanged. A new connection starts with a new merger, without any old state.
    Deltas before the first snapshot, and messages older than what is known, are counted in `ignored`.
    """

    def __init__(self, horizon: Horizon) -> None:
        self.ignored = 0
        self._horizon = horizon
        self._known: dict[str, Ticker] = {}

    def merge(self, symbol: str, frame: Mapping[str, Any], received_ns: int) -> Ticker | None:
        """The symbol's ticker after `frame`; None when the frame is ignored.

        FieldError for a frame that cannot be read; what is known stays as it was.
        """
        data, sent_ms = frame.get("data"), self._horizon.frame_time(frame.get("ts"))
        if type(data) is not dict:
            raise FieldError(f"expected an object in the ticker of {symbol}, got {shown(data)}")
        known = self._known.get(symbol)
        if known is not None and sent_ms < known.sent_ms:
            self.ignored += 1
            return None
        if frame.get("type") == "snapshot":
            fields = _told(data)
            fields["symbol"] = symbol
        elif known is None:
            self.ignored += 1
            return None
        else:
            fields = known.fields | _told(data)
        ticker = self._known[symbol] = Ticker(fields, sent_ms, received_ns)
        return ticker


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a frame tells: null takes nothing back."""
    get = data.get
    return {name: value for name in TICKER_FIELDS if (value := get(name)) is not None}


class Mailbox:
    """`put_*` from any thread, `open` and `take_trades` on the loop. `on_wake` runs on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_wake: Callable[[], None]) -> None:
        self._loop = loop
        self._on_wake = on_wake
        self._woken = False
        self._private: deque[PrivateFrame] = deque()
        self._tickers: dict[str, Ticker] = {}
        self._trades: deque[Any] = deque(maxlen=MAX_TRADES)

    def put_private(self, frame: PrivateFrame) -> None:
        """Queue a message of a private topic."""
        self._private.append(frame)
        self.wake()

    def put_ticker(self, symbol: str, ticker: Ticker) -> None:
        """Replace a symbol's ticker."""
        self._tickers[symbol] = ticker
        self.wake()

    def put_trades(self, rows: Iterable[Any]) -> None:
        """Queue the rows of a `publicTrade` message."""
        self._trades.extend(rows)

    def take_trades(self) -> list[Any]:
        """The rows that came since the last call, oldest first."""
        taken = []
        while self._trades:
            taken.append(self._trades.popleft())
        return taken

    def wake(self) -> None:
        """Have `on_wake` called on the loop, once until the next `open`."""
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._on_wake)
        except RuntimeError:  # the loop is closed
            return

    def open(self) -> tuple[list[Ticker], list[PrivateFrame]]:
        """Take out everything: newest ticker per symbol, and private frames in the order they came."""
        self._woken = False
        private: list[PrivateFrame] = []
        while self._private:
            private.append(self._private.popleft())
        tickers: list[Ticker] = []
        while self._tickers:
            # popitem is one step under the interpreter's lock; a thread may put the same symbol right after it.
            tickers.append(self._tickers.popitem()[1])
        return tickers, private
