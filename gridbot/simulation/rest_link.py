"""REST without threads: pybit builds the request, the network carries it, the venue answers, pybit reads the answer.

pybit's method is called twice, because it waits in the middle: the first call ends where it would send, the second gets
the answer that came meanwhile. Building is the same both times but for the time of signing.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from datetime import timedelta
from typing import Any

import orjson
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from gridbot.bybit.clocks import wall_ms
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.http_client import Answer, HttpClient, Outgoing
from gridbot.bybit.session import ORDER_ENDPOINTS, TIME_EXPIRED, Reply, RestTransport
from gridbot.exchange.failures import ExchangeError
from gridbot.simulation.network import Network, RequestFate
from gridbot.simulation.venue import CREATES, Venue
from gridbot.simulation.virtual_loop import VirtualLoop

__all__ = ["RestLink", "refusal_text"]

TEXTS = {10000: "Server Timeout", 10006: "Too many visits! Exceeded the API Rate Limit.", 10018: "access too frequent"}
TEXTS |= {
    10001: "params error: the price is not a multiple of the tick",
    110003: "Order price is out of permissible range",
    110017: "Reduce-only rule not satisfied",
    110094: "Order does not meet minimum order value 5USDT",
    170193: "Buy order price cannot be higher than 60000",
    181001: "category only support linear or option",
}
BREAKS_S = 0.05


class _Leaves(BaseException):
    """The request is ready to leave; not an Exception, so that pybit passes it on."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing


class _Client(HttpClient):
    """Gives the answer or failure that is there, and stops the call when there is none yet."""

    outcome: Answer | Exception | None = None

    def send(self, request: Outgoing, *, timeout: float) -> Answer:
        if self.outcome is None:
            raise _Leaves(request)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class _Call:
    """A request under way; `of_ours` is false for one that pybit's thread would send by itself."""

    def __init__(
        self, endpoint: str, params: dict[str, Any], answer: asyncio.Future[Any], *, of_ours: bool = True
    ) -> None:
        self.endpoint = endpoint
        self.of_ours = of_ours
        self.is_order = endpoint in ORDER_ENDPOINTS
        self.params = params
        self.answer = answer
        self.sent_ms = 0
        self.sent_s = 0.0


class RestLink(RestTransport):
    """As many queries at a time as the real one lets into its threads, in the order they came; orders do not wait.

    The real one has a thread for each order, since the executor has no more under way than that.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        network: Network,
        venue: Venue,
        endpoints: Endpoints,
        credentials: Credentials,
        *,
        pool_size: int,
        timeout: float,
        recv_window: int,
    ) -> None:
        super().__init__(endpoints, credentials, pool_size=pool_size, timeout=timeout, recv_window=recv_window)
        self._loop, self._network, self._venue = loop, network, venue
        self._context = contextvars.copy_context()
        self._outside = contextvars.Context()
        self._free = pool_size
        self._waiting: deque[_Call] = deque()
        """Queries."""
        self._under_way = 0
        self._closed = False
        self._learns_from: _Call | None = None
        self._client = _Client(endpoints.rest, {})

    def call(self, endpoint: str, **params: Any) -> Reply:
        """Start a request now."""
        call = _Call(endpoint, params, self._loop.create_future())
        if self._closed:
            call.answer.set_exception(RuntimeError("closed"))
        else:
            self._start(call)
        return Reply(call.answer)

    @property
    def is_idle(self) -> bool:
        """Whether every request has been answered."""
        return not (self._under_way or self._waiting)

    def close(self) -> None:
        """Take no more requests; those that wait fail."""
        self._closed = True
        super().close()
        for call in self._waiting:
            if not call.answer.done():
                call.answer.set_exception(RuntimeError("closed"))
                call.answer.exception()  # whoever wanted it may be gone
        self._waiting.clear()

    # ------------------------------------------------------------------ inside

    def _start(self, call: _Call) -> None:
        if call.is_order:
            self._send(call)
        else:
            self._waiting.append(call)
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._free:
            self._free -= 1
            self._send(self._waiting.popleft())

    def _send(self, call: _Call) -> None:
        self._under_way += 1
        call.sent_ms, call.sent_s = wall_ms(), self._loop.now_s
        self._client.outcome = None
        try:
            failure = self._submit(call.endpoint, dict(call.params))
        except _Leaves as leaves:
            self._carry(call, leaves.outgoing)
            return
        self._finish(call, failure)

    def _session(self) -> Any:
        session = super()._session()
        session.client = self._client
        return session

    def _carry(self, call: _Call, outgoing: Outgoing) -> None:
        path = outgoing.target.partition("?")[0]
        fate = self._network.request(path)
        later = self._loop.call_later
        if fate.before:
            later(self._breaks_s(fate.before), self._arrived, call, _failure(fate.before), context=self._context)
            return
        later(fate.there_s, self._at_the_exchange, call, outgoing, fate, context=self._outside)

    def _breaks_s(self, how: str) -> float:
        return self._timeout if how == "silent" else BREAKS_S

    def _at_the_exchange(self, call: _Call, outgoing: Outgoing, fate: RequestFate) -> None:
        answer: Answer | Exception
        if fate.code and not fate.code_after:
            answer = _refusal(fate, self._venue.now_ms())
        else:
            reply = self._venue.handle(outgoing, call.sent_s)
            answer = Answer(reply.status, reply.headers, reply.body, timedelta(0))
            if fate.code:
                answer = _refusal(fate, self._venue.now_ms())
        path = outgoing.target.partition("?")[0]
        if path in CREATES:
            self._venue.note_answer(path, orjson.loads(outgoing.body or b"{}"), orjson.loads(answer.content))
        back_s = fate.back_s
        if fate.after:
            answer, back_s = _failure(fate.after), self._breaks_s(fate.after)
        timeout_s = call.sent_s + self._timeout - self._loop.now_s
        if back_s > timeout_s:
            answer, back_s = _failure("silent"), max(0.0, timeout_s)
        self._loop.call_later(back_s, self._arrived, call, answer, context=self._context)

    def _arrived(self, call: _Call, answer: Answer | Exception) -> None:
        self._client.outcome, self._learns_from = answer, call
        try:
            outcome = self._submit(call.endpoint, dict(call.params))
        finally:
            self._learns_from = None
        if isinstance(outcome, ExchangeError) and outcome.ret_code == TIME_EXPIRED and call.of_ours:
            clock = _Call("market/time", {}, self._loop.create_future(), of_ours=False)
            clock.answer.add_done_callback(lambda _: self._finish(call, outcome))
            self._send(clock)
            return
        self._finish(call, outcome)

    def _finish(self, call: _Call, outcome: dict[str, Any] | ExchangeError) -> None:
        self._under_way -= 1
        if call.of_ours and not call.is_order:
            self._free += 1
        if not call.answer.done():
            call.answer.set_result(outcome)
        self._send_waiting()

    def _learn_time(self, server_ms: int, sent_ms: int) -> None:
        call = self._learns_from
        super()._learn_time(server_ms, sent_ms if call is None else call.sent_ms)


def _failure(how: str) -> Exception:
    if how == "refused":
        return NewConnectionError(None, "refused")  # type: ignore[arg-type]
    if how == "silent":
        return ReadTimeoutError(None, "", "no answer")  # type: ignore[arg-type]
    return ProtocolError("the connection broke")


def refusal_text(code: int) -> str:
    """What the exchange says with a code that a fault makes it answer."""
    return TEXTS.get(code, "System error. Please try again later.")


def _refusal(fate: RequestFate, now_ms: int) -> Answer:
    headers = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(now_ms + 1000)}
    text = refusal_text(fate.code)
    body = orjson.dumps({"retCode": fate.code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": now_ms})
    return Answer(fate.http_status, headers if fate.code == 10006 else {}, body, timedelta(0))
