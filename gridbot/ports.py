"""What a worker needs from outside, as small protocols. Each can be replaced: by virtual time, by another transport,
by files in memory.

    Clock             monotonic and wall time, sleeping, timers
    Ids               randomness for names that must be unique
    OrderGateway      create and cancel orders
    ExchangeQueries   listings, facts and settings of the account
    OrderSocket       the trade socket's life, where there is one
    Streams           pushed prices of the market and events of the account
    Files             small documents that survive a restart

`gridbot.bybit` implements the exchange's side, `gridbot.state` the files, `gridbot.system_ports` the clock and
the randomness of a real process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence, Set
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.core.instrument import Instrument
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.listing import Listing
from gridbot.exchange.notices import Notices
from gridbot.exchange.order_entry import EntryHealth
from gridbot.exchange.requests import (
    AccountInfo,
    ApiKeyInfo,
    CancelRef,
    FeeRate,
    OrderAck,
    OrderRequest,
    RateLimit,
    Transaction,
)
from gridbot.exchange.stream_news import Drained, StreamHealth

__all__ = ["Clock", "ExchangeQueries", "Files", "Ids", "OpenStreams", "OrderGateway", "OrderSocket", "Streams", "Timer"]


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time. `monotonic_*` only grows and has no meaning outside this machine; `wall_*` is UTC since 1970."""

    def monotonic_s(self) -> float: ...
    def monotonic_ns(self) -> int: ...
    def wall_ms(self) -> int: ...
    def wall_us(self) -> int: ...

    async def sleep(self, seconds: float) -> None:
        """Suspend this task for `seconds`."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running loop after `delay_s` seconds, unless cancelled before."""


class Ids(Protocol):
    """Randomness, for names that must be unique."""

    def token(self, digits: int) -> str:
        """`digits` random hex digits."""


class OrderGateway(Protocol):
    """Creates and cancels orders. Awaiting an answer raises ExchangeError and nothing else.

    A request has left when the call returns, not only when its answer is awaited: so requests leave in the order of the
    calls. The batch calls take at most ten orders and answer with one result per order, in their order; they raise when
    the whole call failed.
    """

    @property
    def limits(self) -> dict[str, RateLimit]:
        """The exchange's newest quota by endpoint, such as `order/create`."""

    @property
    def by_http(self) -> bool:
        """Whether the next request goes by HTTP: of those an address may send so many, for all its accounts."""

    def place_order(self, order: OrderRequest) -> Awaitable[OrderAck]: ...
    def place_orders(self, orders: Sequence[OrderRequest]) -> Awaitable[list[OrderAck | ExchangeError]]: ...
    def cancel_order(self, symbol: str, *, order_id: str = "", order_link_id: str = "") -> Awaitable[OrderAck]: ...
    def cancel_orders(self, symbol: str, refs: Sequence[CancelRef]) -> Awaitable[list[OrderAck | ExchangeError]]: ...


class OrderSocket(Protocol):
    """The trade socket, by which the `OrderGateway` sends while it is up. It reconnects by itself."""

    def start(self) -> None:
        """Connect, in the background."""

    async def stop(self) -> None:
        """Close it; what is under way is unresolved."""

    def health(self) -> EntryHealth:
        """By which way orders leave now."""


class ExchangeQueries(Protocol):
    """Reads the account and sets up its symbols. Every call raises ExchangeError and nothing else.

    A listing is complete but for the rows that it names as unreadable, or raises TruncatedListing. A question about one
    order raises UnreadableRows. Times are UTC milliseconds.
    """

    @property
    def clock_offset_ms(self) -> int:
        """How far the exchange's clock is ahead of ours, as measured last."""

    async def server_time_ms(self, *, max_age_s: float = 0.0) -> int:
        """The exchange's clock. Also measures its offset from ours, or takes one that another account measured then."""

    async def instrument(self, symbol: str, *, max_age_s: float = 0.0) -> Instrument:
        """Trading rules and risk tiers of a symbol, as they are now or as another account has read them then."""

    async def notices(self, *, max_age_s: float = 0.0) -> Notices:
        """Maintenance and announcements of the exchange."""

    async def open_orders(self, symbol: str | None = None) -> Listing[OrderUpdateEvent]:
        """All open orders of a symbol, or of the account."""

    async def closed_orders(self, wanted: Set[str] = frozenset()) -> Listing[OrderUpdateEvent]:
        """The orders of the account that ended last, as many as the exchange keeps at hand: hundreds, or none.

        With `wanted` (ids, ours or the exchange's) only so many as have all of these.
        """

    async def find_order(self, symbol: str, *, order_link_id: str = "", order_id: str = "") -> OrderUpdateEvent | None:
        """One order, open or closed; None when the exchange does not know it."""

    async def executions(
        self,
        start_ms: int,
        end_ms: int | None = None,
        symbol: str | None = None,
        *,
        is_new: Callable[[str, int], bool] | None = None,
    ) -> Listing[ExecutionEvent]:
        """Executions from `start_ms` to `end_ms` or now, each once, oldest first.

        With `is_new`, asked with an id and a time (ms), it may leave out those that are not, but for the newest row.
        """

    async def executions_of(self, symbol: str, *, order_link_id: str = "", order_id: str = "") -> list[ExecutionEvent]:
        """All executions of one order, whenever they were, each once, oldest first."""

    async def positions(self, symbol: str | None = None) -> Listing[PositionEvent]:
        """With `symbol` both legs, flat ones included; without it only legs that are open."""

    async def wallet(self) -> WalletEvent:
        """The USDT wallet and the account's totals."""

    async def transactions(self, start_ms: int, end_ms: int) -> Listing[Transaction]:
        """Every movement of the USDT wallet, oldest first; the symbol of an unreadable one may be empty."""

    async def api_key_info(self) -> ApiKeyInfo:
        """What the key may do."""

    async def account_info(self) -> AccountInfo:
        """The account's margin mode."""

    async def leverage(self, symbol: str) -> Decimal | None:
        """The account's leverage for a symbol; None when the exchange does not tell."""

    async def fee_rate(self, symbol: str) -> FeeRate:
        """The account's fees for a symbol."""

    async def ensure_hedge_mode(self, symbol: str) -> bool:
        """Two legs for the symbol; False when it was so. RESYNC when a position or order prevents the switch."""

    async def set_leverage(self, symbol: str, leverage: Decimal) -> bool:
        """The same leverage for both legs; False when it was so."""

    async def cancel_when_gone(self, after_s: int) -> None:
        """Have the exchange cancel all orders when the private stream has been gone for `after_s` seconds.

        AUTH where the account may not use it.
        """


class Streams(Protocol):
    """The market's public stream and the account's private one. They reconnect by themselves.

    One object for both, because `drain` must deliver the account's events before the prices that came after them.
    """

    async def start(self) -> None:
        """Returns when every topic is confirmed. Raises ExchangeError, with everything closed again."""

    async def stop(self) -> None:
        """Close both, within two seconds."""

    def follow(self, symbol: str) -> None:
        """Hear of one more symbol; the other topics go on."""

    def forget(self, symbol: str) -> None:
        """Hear of it no more."""

    def drain(self) -> Drained:
        """Take everything that has arrived since the last call."""

    @property
    def health(self) -> StreamHealth: ...

    @property
    def private_alive(self) -> bool:
        """Whether private events reach us now."""

    @property
    def dead_man_refused(self) -> str:
        """Why the exchange does not take the topic of its disconnect-cancel-all; "" otherwise."""

    def problems(self) -> list[str]:
        """What is wrong with the streams, in sentences; empty when all is well."""


OpenStreams = Callable[[Sequence[str], Callable[[], None]], Streams]
"""Make the streams for some symbols, not started yet. The callback runs on the loop when there is something to drain,
once until it is drained."""


class Files(Protocol):
    """The small documents of one account, by name. A name may have a folder before it: "grids/btc.grid.json"."""

    def path(self, name: str) -> Path:
        """Where a document is, for messages."""

    def read(self, name: str) -> bytes | None:
        """The whole document; None when there is none. Raises OSError."""

    def write(self, name: str, data: bytes) -> None:
        """Replace a document now: after a crash it is the old one or the new one. Blocks. Raises OSError.

        What still waits for that name in `write_soon` is dropped.
        """

    def write_soon(self, name: str, encode: Callable[[], bytes], written: Callable[[], None] | None = None) -> None:
        """Replace a document by what `encode` returns, without blocking; of several waiting writes the newest wins.

        Tried again until it works. Both functions may be called in another thread, `written` when the document is safe.
        """

    def set_aside(self, name: str) -> str:
        """Rename a document that cannot be used, so that nothing reads it again; its new name. Raises OSError."""

    @property
    def failing(self) -> list[str]:
        """A sentence for each document that cannot be written at the moment; it is tried again. Never blocks."""

    def restore(self) -> list[str]:
        """Have the documents that somebody has removed written again, as they were last; their names. Never blocks."""
