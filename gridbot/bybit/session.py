"""The requests of an account, on the worker's loop: pybit builds and reads them, a `Carrier` brings them there."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from gridbot import background
from gridbot.bybit.carrier import ORDER_ENDPOINTS, Answer, Carrier, CarrierError
from gridbot.bybit.clocks import DEAD_BAND_MS, ExchangeClock
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.error_mapping import classify
from gridbot.bybit.http_pool import HttpPool
from gridbot.bybit.raw_fields import time_or_none, whole_or_none
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import ORDERS_AT_ONCE, RateLimit
from gridbot.lease.anchored_clock import AnchoredClock
from gridbot.lease.lease_watch import LeaseWatch

__all__ = ["Reply", "RestTransport", "server_ms_of"]

log = logging.getLogger(__name__)

TIME_EXPIRED = 10002
MARKET_TIME = "market/time"

_Outcome = dict[str, Any] | ExchangeError


class _Call:
    """A request that was asked for. `is_asked`: by somebody, and not by the transport itself, for the clock."""

    __slots__ = ("endpoint", "has_left", "is_asked", "params", "reply", "sent_ms")

    def __init__(
        self, endpoint: str, params: dict[str, Any], reply: asyncio.Future[_Outcome], *, is_asked: bool = True
    ) -> None:
        self.endpoint = endpoint
        self.params = params
        self.reply = reply
        self.is_asked = is_asked
        self.sent_ms = 0
        self.has_left = False
        """A byte of it may have reached the exchange, or may yet."""


class Reply:
    """The pending answer to a request that was started. Await it, once, for the envelope.

    Awaiting raises ExchangeError and nothing else. Cancelling does not recall the request, whose answer is read all the
    same; only a query that still waits for its turn is dropped.
    """

    __slots__ = ("_call",)

    def __init__(self, call: _Call) -> None:
        self._call = call

    def when_over(self, over: Callable[[bool], None], unsent: Callable[[], None]) -> None:
        """Have `over` called on the loop when the request is over, with whether the exchange has answered it.

        `unsent` is called instead when not one byte of it has left.
        """
        call = self._call
        call.reply.add_done_callback(lambda answer: over(_is_answered(answer)) if call.has_left else unsent())

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        answer = yield from self._call.reply.__await__()
        if isinstance(answer, ExchangeError):
            raise answer
        return answer


def _is_answered(answer: asyncio.Future[_Outcome]) -> bool:
    found = None if answer.cancelled() else answer.result()
    return found is not None and not (
        isinstance(found, ExchangeError) and found.ret_code is None and found.http_status is None
    )


class RestTransport:
    """Call from one loop. `limits` holds the newest rate-limit headers by endpoint.

    At most `pool_size` queries are under way at a time, in the order they came. Orders do not wait for them: the
    carrier has `ORDERS_AT_ONCE` connections more. `timeout` in s, for a connection and for each wait for bytes. With a
    `lease` what changes something leaves only while that holds, looked at after the request has its time.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        *,
        pool_size: int,
        timeout: float,
        recv_window: int,
        carrier: Carrier | None = None,
        lease: LeaseWatch | None = None,
    ) -> None:
        from gridbot.bybit.pybit_client import PybitClient  # 18 MB, and a backtest has a transport of its own

        self._lease = lease
        self.clock: ExchangeClock | AnchoredClock = ExchangeClock() if lease is None else lease.clock
        self.limits: dict[str, RateLimit] = {}
        self._pybit = PybitClient(credentials, self.clock, recv_window=recv_window)
        self._timeout_s = timeout
        self._carrier = carrier or HttpPool(endpoints.rest, timeout_s=timeout, most=pool_size + ORDERS_AT_ONCE)
        self._free = pool_size
        self._waiting: deque[_Call] = deque()
        """Queries."""
        self._is_sending = False
        self._closed = False
        self.silence: Callable[[], ExchangeError | None] = lambda: None
        """Why no query may leave now; asked again when its turn has come."""

    def call(self, endpoint: str, params: dict[str, Any]) -> Reply:
        """Start a request now; awaiting gives the envelope of an answer with retCode 0."""
        call = _Call(endpoint, params, asyncio.get_running_loop().create_future())
        if self._closed:
            call.reply.set_result(_closed())
        elif endpoint in ORDER_ENDPOINTS:
            self._send(call)
        else:
            self._waiting.append(call)
            self._send_waiting()
        return Reply(call)

    def close(self) -> None:
        """Take no more requests and fail those that wait; what is under way ends within two seconds."""
        self._closed = True
        for call in self._waiting:
            if not call.reply.done():
                call.reply.set_result(_closed())
        self._waiting.clear()
        self._carrier.close()

    # ------------------------------------------------------------------ inside

    def _send_waiting(self) -> None:
        if self._is_sending:  # what cannot be sent ends at once, and comes here again
            return
        self._is_sending = True
        try:
            while self._waiting and self._free:
                call = self._waiting.popleft()
                if call.reply.done():
                    continue  # nobody waits for it any more
                silenced = self.silence()
                if silenced is None:
                    self._free -= 1
                    self._send(call)
                else:
                    call.reply.set_result(silenced)
        finally:
            self._is_sending = False

    def _send(self, call: _Call) -> None:
        if call.endpoint == MARKET_TIME:
            call.sent_ms = self.clock.own_ms()
        outgoing = self._pybit.build(call.endpoint, call.params)
        if isinstance(outgoing, ExchangeError):
            self._finish(call, outgoing)
            return
        lease = self._lease
        if lease is not None and outgoing.method == "POST" and not lease.may_send():
            self._finish(call, lease.refusal())
            return
        call.has_left = True
        try:
            self._carrier.carry(outgoing, self._timeout_s, partial(self._arrived, call))
        except ValueError as error:
            call.has_left = False
            self._finish(call, classify(error))

    def _arrived(self, call: _Call, answer: Answer | CarrierError) -> None:
        try:
            outcome = self._outcome(call, answer)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave anybody waiting
            background.report("reading an answer of the exchange", error)
            outcome = classify(error)
        if isinstance(outcome, ExchangeError) and outcome.ret_code == TIME_EXPIRED and call.is_asked:
            clock = _Call(MARKET_TIME, {}, call.reply.get_loop().create_future(), is_asked=False)
            clock.reply.add_done_callback(lambda _: self._finish(call, outcome))
            self._send(clock)
        else:
            self._finish(call, outcome)

    def _outcome(self, call: _Call, answer: Answer | CarrierError) -> _Outcome:
        if isinstance(answer, CarrierError):
            call.has_left = answer.has_left
            return classify(answer)
        self._note_limit(call.endpoint, answer.headers)
        outcome = self._pybit.read(answer)
        if call.endpoint == MARKET_TIME and isinstance(outcome, dict):
            server_ms = server_ms_of(outcome)
            if server_ms is not None:
                self._learn_time(server_ms, call.sent_ms)
        return outcome

    def _finish(self, call: _Call, outcome: _Outcome) -> None:
        if call.is_asked and call.endpoint not in ORDER_ENDPOINTS:
            self._free += 1
        if not call.reply.done():
            call.reply.set_result(outcome)
        if isinstance(outcome, ExchangeError) and outcome.kind is ErrorKind.IP_BAN:
            call.reply.get_loop().call_soon(self._send_waiting)  # once who asked has heard of it: `silence` knows then
        else:
            self._send_waiting()

    def _learn_time(self, server_ms: int, sent_ms: int) -> None:
        before = self.clock.offset_ms
        self.clock.learn(server_ms, sent_ms, self.clock.own_ms())
        if abs(self.clock.offset_ms - before) > DEAD_BAND_MS:
            log.warning("the exchange's clock is %+d ms from ours; requests are stamped with it", self.clock.offset_ms)

    def _note_limit(self, endpoint: str, headers: Mapping[str, str]) -> None:
        limit = whole_or_none(headers.get("x-bapi-limit"))
        remaining = whole_or_none(headers.get("x-bapi-limit-status"))
        if limit is not None and remaining is not None:
            reset_ms = time_or_none(headers.get("x-bapi-limit-reset-timestamp"))
            self.limits[endpoint] = RateLimit(limit, remaining, reset_ms or 0)


def _closed() -> ExchangeError:
    return make_error("the connection to the exchange is closed", ErrorKind.RETRY)


def server_ms_of(payload: dict[str, Any]) -> int | None:
    """Milliseconds from market/time, from the envelope where the result has none."""
    result = payload.get("result")
    nanos = whole_or_none(result.get("timeNano")) if isinstance(result, dict) else None
    return time_or_none(nanos // 1_000_000 if nanos else payload.get("time"))
