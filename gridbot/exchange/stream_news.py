"""What an account's streams report: events, gaps and their own health. Values only, independent of the transport."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, PositionEvent, TickerEvent, WalletEvent
from gridbot.core.quick_values import quick_value
from gridbot.exchange.requests import PublicTrade

__all__ = [
    "ConnectionHealth",
    "ConnectionState",
    "Drained",
    "Gap",
    "OneWayPosition",
    "PrivateEvent",
    "StreamHealth",
    "StreamKind",
]


@quick_value(frozen=True, slots=True)
class OneWayPosition:
    """The exchange speaks of a one-way position of the symbol: it is not, or no longer, in hedge mode."""

    symbol: str


PrivateEvent = OrderUpdateEvent | ExecutionEvent | PositionEvent | WalletEvent | OneWayPosition
StreamKind = Literal["public", "private"]


class ConnectionState(StrEnum):
    """The state of one connection. LOST is final: a new connection is made.

    SIGNING_IN is the trade socket's: its requests need no subscription.
    """

    CONNECTING = "connecting"
    SIGNING_IN = "signing in"
    SUBSCRIBING = "subscribing"
    READY = "ready"
    LOST = "lost"


@quick_value(frozen=True, slots=True)
class Gap:
    """A stream was not received from `started_ts_ms` to `ended_ts_ms` (UTC, our clock).

    The start is the last sign of life of the old connection, so the gap is never reported shorter than it was.
    """

    kind: StreamKind
    started_ts_ms: int
    ended_ts_ms: int


@quick_value(frozen=True, slots=True)
class Drained:
    """What arrived since the last call.

    `private` is complete and in order of arrival. `tickers` holds the newest ticker of each symbol that has one. `gaps`
    are of streams that work again; an unreadable private message counts as a gap too, since something was missed.
    `trades` are the market's public trades, if subscribed.
    """

    tickers: list[TickerEvent]
    private: list[PrivateEvent]
    gaps: list[Gap]
    trades: list[PublicTrade]


@quick_value(frozen=True, slots=True)
class ConnectionHealth:
    """Health of one stream. Ages in seconds, None before the first message; `error` says why the last one ended."""

    is_ready: bool
    state: ConnectionState
    message_age_s: float | None
    alive_age_s: float | None
    reconnects: int
    down_s: float
    error: str


@quick_value(frozen=True, slots=True)
class StreamHealth:
    """Health of both streams. Ages in seconds. `ticker_age_s` by symbol, None before a symbol's first ticker."""

    public: ConnectionHealth
    private: ConnectionHealth
    ticker_age_s: dict[str, float | None]

    @property
    def last_tick_age_s(self) -> float | None:
        """Age of the newest ticker of any symbol."""
        return min((age for age in self.ticker_age_s.values() if age is not None), default=None)

    @property
    def private_age_s(self) -> float | None:
        """Since the last message or pong of the private stream; None while it is down."""
        return self.private.alive_age_s

    @property
    def reconnects(self) -> int:
        """Of both streams together."""
        return self.public.reconnects + self.private.reconnects
