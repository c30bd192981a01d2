"""Requests of the account to the exchange beside it: what `RestTransport` is to a real one, without bytes.

A request reaches the endpoint's own function after the way there, and its answer whoever waits for it after the way
back. Quotas of orders are counted as they are over the trade socket.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Generator
from typing import Any, Final, Generic, TypeVar

from gridbot.backtest.run_loop import RunLoop, Symbols
from gridbot.backtest.run_options import Latency, Options
from gridbot.bybit.error_mapping import from_ret_code
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import RateLimit
from gridbot.paper.accounts.account import Account
from gridbot.paper.api.dispatch import ROUTES, Api
from gridbot.paper.api.request_limits import EndpointLimiter, Quota
from gridbot.paper.api_error import ApiError

__all__ = ["DirectCalls"]

T = TypeVar("T")
OF_ORDERS: Final = frozenset({"order/create", "order/create-batch", "order/cancel", "order/cancel-batch"})
"""Requests whose answers change nothing but what they name."""


class _SameClock:
    """The exchange's clock, which is ours."""

    offset_ms = 0
    measured_ms = 0

    def __init__(self, loop: RunLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return self._loop.now_us // 1000

    def learn(self, server_ms: int, sent_ms: int, received_ms: int) -> None:
        """It is known."""

    def adopt(self, measured_ms: int) -> None:
        """It is known."""


class _Pending(Generic[T]):
    """The pending answer to a request. Await it, once, for what it says; that raises ExchangeError and nothing else."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[T | ExchangeError]) -> None:
        self._future = future

    def when_over(self, over: Callable[[bool], None], unsent: Callable[[], None]) -> None:
        """Have `over` called with True when it is answered."""
        self._future.add_done_callback(lambda _: over(True))

    def __await__(self) -> Generator[Any, None, T]:
        answer = yield from self._future.__await__()
        if isinstance(answer, ExchangeError):
            raise answer
        return answer


class DirectCalls:
    """One per account. `deliver` sends on what the exchange has to say. `takes_time` is False while the account starts:
    a worker has done so before the time that is looked at."""

    def __init__(
        self,
        api: Api,
        account: Account,
        loop: RunLoop,
        options: Options,
        draw: random.Random,
        deliver: Callable[[], None],
    ) -> None:
        self.clock = _SameClock(loop)
        self.takes_time = False
        self.limits: dict[str, RateLimit] = {}
        self._api = api
        self._account = account
        self._loop = loop
        self._options = options
        self._draw = draw
        self._deliver = deliver

    def call(self, endpoint: str, params: dict[str, Any]) -> _Pending[dict[str, Any]]:
        """Start a request now."""
        loop = self._loop
        future: asyncio.Future[dict[str, Any] | ExchangeError] = loop.create_future()
        about = _about(params) if endpoint in OF_ORDERS else None
        at_us = self._after(self._options.request)
        loop.at(at_us, self._arrive, endpoint, params, future, about, of_exchange=True, about=about)
        return _Pending(future)

    def ask(
        self, endpoint: str, units: int, work: Callable[[int, int], T | ExchangeError], about: Collection[str]
    ) -> _Pending[T]:
        """Start a request now, about orders of some symbols, that comes as values: `work` gets the exchange's time (ms)
        when it arrives, and how many of its units the request limit grants, and gives the answer."""
        loop = self._loop
        future: asyncio.Future[T | ExchangeError] = loop.create_future()
        loop.at(self._after(self._options.request), self._take, endpoint, units, work, future, about, of_exchange=True)
        return _Pending(future)

    def _take(
        self,
        endpoint: str,
        units: int,
        work: Callable[[int, int], T | ExchangeError],
        future: asyncio.Future[T | ExchangeError],
        about: Collection[str],
    ) -> None:
        loop, api, path = self._loop, self._api, f"/v5/{endpoint}"
        route, now_ms = ROUTES[path], loop.now_us // 1000
        limit: RateLimit | None = None
        answer: T | ExchangeError
        self._forget_crowd()
        quota = api.count(route, path, self._account, units, now_ms)
        try:
            api.check(route, path, self._account, quota)
            answer, limit = work(now_ms, quota.granted), _limit_of(quota)
        except ApiError as error:
            answer = from_ret_code(error.code, error.message)
        loop.at(self._after(self._options.answer), self._come_back, endpoint, answer, limit, future, about=about)
        self._deliver()

    @property
    def fixed_us(self) -> tuple[int, int] | None:
        """How long a request and an answer take (µs), where that is fixed and takes time at all."""
        ways = self._options.request, self._options.answer
        if not self.takes_time or any(way.least != way.most for way in ways):
            return None
        request_us, answer_us = (way.us(self._draw) for way in ways)
        return (request_us, answer_us) if request_us + answer_us else None

    async def read(self, reading: Callable[[], T], about: Collection[str]) -> T:
        """What `reading` gives when the question arrives, once the answer, about some symbols, is back; it changes
        nothing."""
        future: asyncio.Future[T] = self._loop.create_future()
        at_us = self._after(self._options.request)
        self._loop.at(at_us, self._read, reading, future, about, of_exchange=True, only_reads=True)
        return await future

    async def pass_time(self, questions: int) -> None:
        """Take as long as so many readings, one after the other, of what is of no interest."""
        if self.takes_time:
            ways = (self._options.request, self._options.answer) * questions
            us = sum(way.us(self._draw) for way in ways)
            future: asyncio.Future[None] = self._loop.create_future()
            self._loop.at(self._loop.now_us + us, self._told, None, future, about=())
            await future

    def _read(self, reading: Callable[[], T], future: asyncio.Future[T], about: Collection[str]) -> None:
        self._loop.at(self._after(self._options.answer), self._told, reading(), future, about=about)

    @staticmethod
    def _told(answer: T, future: asyncio.Future[T]) -> None:
        if not future.done():
            future.set_result(answer)

    def close(self) -> None:
        """Nothing is open."""

    def _arrive(
        self,
        endpoint: str,
        params: dict[str, Any],
        future: asyncio.Future[dict[str, Any] | ExchangeError],
        about: Symbols,
    ) -> None:
        loop = self._loop
        answer, limit = self._answer(endpoint, params, loop.now_us // 1000)
        loop.at(self._after(self._options.answer), self._come_back, endpoint, answer, limit, future, about=about)
        self._deliver()

    def _after(self, latency: Latency) -> int:
        return self._loop.now_us + (latency.us(self._draw) if self.takes_time else 0)

    def _come_back(
        self,
        endpoint: str,
        answer: T | ExchangeError,
        limit: RateLimit | None,
        future: asyncio.Future[T | ExchangeError],
    ) -> None:
        if limit is not None:
            self.limits[endpoint] = limit
        if not future.done():
            future.set_result(answer)

    def _answer(
        self, endpoint: str, params: dict[str, Any], now_ms: int
    ) -> tuple[dict[str, Any] | ExchangeError, RateLimit | None]:
        path = f"/v5/{endpoint}"
        route = ROUTES[path]
        limit: RateLimit | None = None
        extra: dict[str, Any] = {}
        try:
            if route.public is not None:
                result = route.public(self._api.exchange, params, now_ms)
            else:
                self._forget_crowd()
                result, extra, quota = self._api.call(route, path, self._account, params, now_ms)
                limit = _limit_of(quota)
        except ApiError as error:
            return from_ret_code(error.code, error.message), limit
        return {"retCode": 0, "retMsg": route.text, "result": result, "retExtInfo": extra, "time": now_ms}, limit

    def _forget_crowd(self) -> None:
        """All requests of a start come at one moment: they are no crowd."""
        if not self.takes_time:
            self._api.limiter = EndpointLimiter()


def _about(params: dict[str, Any]) -> frozenset[str]:
    """The symbols of the orders of a request."""
    return frozenset(each["symbol"] for each in params.get("request", (params,)))


def _limit_of(quota: Quota) -> RateLimit:
    return RateLimit(quota.limit, quota.remaining, quota.reset_ms)
