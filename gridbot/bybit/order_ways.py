"""Orders by HTTP or over the trade socket: the choice for each request, and the same answers by either.

A request goes over the socket while that is ready, and by HTTP otherwise: an order that does not leave can lose money,
so this is so with `order_entry: websocket` as well. The choice is made before a byte of it leaves, and never again:
what was given to the socket is settled by its answer or is *unresolved*, and is not sent by the other way.

A ban of our address (403) is about HTTP: over the socket orders go on, unless the exchange has said it there, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from gridbot.bybit.calls import Calls
from gridbot.bybit.raw_fields import whole_or_none
from gridbot.bybit.session import TIME_EXPIRED
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import RateLimit

__all__ = ["Begun", "OrderCalls", "OrderWays", "Way"]

CREATES = frozenset({"order/create", "order/create-batch"})

Begun = Awaitable[dict[str, Any]] | ExchangeError
"""The pending answer to a request, or why it was not sent."""


class OrderCalls(Protocol):
    """What sends requests for orders (`Calls`, `OrderWays`)."""

    @property
    def limits(self) -> dict[str, RateLimit]: ...
    @property
    def by_http(self) -> bool: ...
    def begin(self, endpoint: str, params: dict[str, Any]) -> Begun: ...
    async def answer(self, begun: Begun) -> dict[str, Any]: ...
    def refusal(self, ret_code: int, text: str) -> ExchangeError: ...


class Way(Protocol):
    """The socket, as far as requests need it (`TradeSocket`)."""

    @property
    def is_ready(self) -> bool: ...
    def send(self, endpoint: str, params: dict[str, Any]) -> asyncio.Future[dict[str, Any] | ExchangeError]: ...


class OrderWays:
    """`OrderCalls` by both ways.

    `measure_clock` is awaited after a request was refused for its time. `acknowledged` hears how many creates an answer
    over the socket has acknowledged.
    """

    def __init__(
        self,
        calls: Calls,
        socket: Way,
        *,
        measure_clock: Callable[[], Awaitable[object]],
        acknowledged: Callable[[int], None],
    ) -> None:
        self._calls = calls
        self._socket = socket
        self._measure_clock = measure_clock
        self._acknowledged = acknowledged
        self._refused = False
        """The newest ban was told over the socket."""

    @property
    def limits(self) -> dict[str, RateLimit]:
        """The newest quotas, by endpoint."""
        return self._calls.limits

    @property
    def by_http(self) -> bool:
        """Whether the next one goes by HTTP."""
        return not self._socket.is_ready or self._is_banned

    def begin(self, endpoint: str, params: dict[str, Any]) -> Begun:
        """Start a request now."""
        if self.by_http:
            return self._calls.begin(endpoint, params)
        return self._answered(endpoint, self._socket.send(endpoint, params))

    async def answer(self, begun: Begun) -> dict[str, Any]:
        """The envelope of its answer. Raises ExchangeError."""
        return await self._calls.answer(begun)

    def refusal(self, ret_code: int, text: str) -> ExchangeError:
        """The error for a code inside an answer."""
        return self._calls.refusal(ret_code, text)

    @property
    def _is_banned(self) -> bool:
        """Whether a ban is on that was told over the socket: then neither way is used."""
        if self._refused:
            self._refused = self._calls.silence() is not None
        return self._refused

    async def _answered(self, endpoint: str, pending: asyncio.Future[dict[str, Any] | ExchangeError]) -> dict[str, Any]:
        outcome = await pending
        if isinstance(outcome, ExchangeError):
            self._refused = self._refused or outcome.kind is ErrorKind.IP_BAN
            if outcome.ret_code == TIME_EXPIRED:
                await self._measure()
            raise outcome
        if endpoint in CREATES:
            self._acknowledged(_accepted(outcome))
        return outcome

    async def _measure(self) -> None:
        """Before the request is tried again. That it fails changes nothing: the next one is refused, and measures."""
        try:
            await self._measure_clock()
        except ExchangeError:
            return


def _accepted(envelope: dict[str, Any]) -> int:
    """Orders that an answer acknowledges."""
    extra = envelope.get("retExtInfo")
    codes = extra.get("list") if isinstance(extra, dict) else None
    if not isinstance(codes, list):
        return 1
    return sum(isinstance(item, dict) and whole_or_none(item.get("code")) == 0 for item in codes)
