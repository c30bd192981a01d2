"""pybit's HTTP client as we use it: one per thread, no retries of its own, our clock offset, our errors.

What is done about pybit 5.17 (docs/platform.md 1):

* Its retry loop blocks for seconds, sleeps a negative time on 10006 and loses the retCode when it gives up. Its set of
  codes is emptied after construction (an empty argument would mean the default set).
* It adds a log handler per instance when the root logger has none. These are removed again.
* `requests` costs more than everything else on the path of an order, and looks up proxies and netrc for every call.
  pybit's `client` is replaced by an `HttpClient`.
* It stamps requests with the local clock. `_prepare_headers` adds the measured offset, or 10002 could not be cured.
* Its exceptions carry request bodies and what the exchange echoed. They end here, as `ExchangeError` without a chain.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any

from pybit.unified_trading import HTTP

from gridbot.bybit.call_pool import DaemonPool
from gridbot.bybit.clocks import DEAD_BAND_MS, ExchangeClock, wall_ms
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.error_mapping import classify
from gridbot.bybit.http_client import HttpClient
from gridbot.bybit.raw_fields import time_or_none, whole_or_none
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import ORDERS_AT_ONCE, RateLimit

__all__ = ["ORDER_ENDPOINTS", "Reply", "RestTransport", "server_ms_of"]

log = logging.getLogger(__name__)

TIME_EXPIRED = 10002

# Endpoint (the path after /v5/, also the key of `limits`) -> pybit's method.
METHODS = {
    "market/time": "get_server_time",
    "market/instruments-info": "get_instruments_info",
    "market/risk-limit": "get_risk_limit",
    "market/tickers": "get_tickers",
    "account/fee-rate": "get_fee_rates",
    "account/wallet-balance": "get_wallet_balance",
    "account/info": "get_account_info",
    "account/transaction-log": "get_transaction_log",
    "position/list": "get_positions",
    "position/set-leverage": "set_leverage",
    "position/switch-mode": "switch_position_mode",
    "order/create": "place_order",
    "order/create-batch": "place_batch_order",
    "order/cancel": "cancel_order",
    "order/cancel-batch": "cancel_batch_order",
    "order/realtime": "get_open_orders",
    "order/history": "get_order_history",
    "execution/list": "get_executions",
    "user/query-api": "get_api_key_information",
    "system/status": "get_system_status",
    "announcements/index": "get_announcement",
}


ORDER_ENDPOINTS = frozenset({"order/create", "order/create-batch", "order/cancel", "order/cancel-batch"})


class _Http(HTTP):  # type: ignore[misc]  # pybit has no types
    """pybit's client with the exchange's time in its signatures."""

    clock: ExchangeClock

    def _prepare_headers(
        self, payload: str, recv_window: int, content_type: str = "application/json"
    ) -> dict[str, str]:
        timestamp = self.clock.now_ms()
        return {
            "Content-Type": content_type,
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-SIGN": self._auth(payload=payload, recv_window=recv_window, timestamp=timestamp),
            "X-BAPI-SIGN-TYPE": "2",
            "X-BAPI-TIMESTAMP": str(timestamp),
            "X-BAPI-RECV-WINDOW": str(recv_window),
        }


_making = threading.Lock()


def make_session(
    endpoints: Endpoints, credentials: Credentials, clock: ExchangeClock, *, timeout: float, recv_window: int
) -> _Http:
    """One pybit client for one thread. `timeout` in seconds, for the connection and for each wait for bytes."""
    with _making:
        pybit_log = logging.getLogger("pybit._http_manager")
        handlers = list(pybit_log.handlers)
        session = _Http(
            api_key=credentials.api_key,
            api_secret=credentials.api_secret,
            timeout=timeout,
            recv_window=recv_window,
            return_response_headers=True,
        )
        pybit_log.handlers[:] = handlers
    session.clock = clock
    session.endpoint = endpoints.rest
    session.retry_codes = set()
    session.client = HttpClient(endpoints.rest, {**session.client.headers})
    return session


class Reply:
    """The pending answer to a request that was started. Await it, once, for the envelope.

    Awaiting raises ExchangeError and nothing else. Cancelling does not recall the request, which runs to its end in its
    thread.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: asyncio.Future[dict[str, Any] | ExchangeError]) -> None:
        self._answer = answer

    def when_over(self, over: Callable[[bool], None]) -> None:
        """Have `over` called on the loop when the request is over, with whether the exchange has answered it."""
        self._answer.add_done_callback(lambda answer: over(_is_answered(answer)))

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        try:
            answer = yield from self._answer.__await__()
        except RuntimeError:  # of the closed pool; the work itself raises nothing
            raise make_error("the connection to the exchange is closed", ErrorKind.RETRY) from None
        if isinstance(answer, ExchangeError):
            raise answer
        return answer


def _is_answered(answer: asyncio.Future[dict[str, Any] | ExchangeError]) -> bool:
    if answer.cancelled() or answer.exception() is not None:
        return False
    found = answer.result()
    return not (isinstance(found, ExchangeError) and found.ret_code is None and found.http_status is None)


class RestTransport:
    """Runs pybit calls in threads of its own. `limits` holds the newest rate-limit headers by endpoint.

    At most `pool_size` queries run at a time. Orders do not wait for them: there are `ORDERS_AT_ONCE` more threads.
    """

    def __init__(
        self, endpoints: Endpoints, credentials: Credentials, *, pool_size: int, timeout: float, recv_window: int
    ) -> None:
        self.clock = ExchangeClock()
        self.limits: dict[str, RateLimit] = {}
        self._endpoints = endpoints
        self._credentials = credentials
        self._secrets = (credentials.api_secret, credentials.api_key)
        self._timeout = timeout
        self._recv_window = recv_window
        self._pool = DaemonPool(pool_size, "bybit-rest", urgent=ORDERS_AT_ONCE)
        self._local = threading.local()

    def call(self, endpoint: str, **params: Any) -> Reply:
        """Start a request in a thread now; awaiting gives the envelope of an answer with retCode 0."""
        loop = asyncio.get_running_loop()
        try:
            submit = self._pool.submit_urgent if endpoint in ORDER_ENDPOINTS else self._pool.submit
            return Reply(asyncio.wrap_future(submit(self._run, endpoint, params), loop=loop))
        except RuntimeError as closed:
            refused: asyncio.Future[dict[str, Any] | ExchangeError] = loop.create_future()
            refused.set_exception(closed)
            return Reply(refused)

    def close(self) -> None:
        """Take no more requests."""
        self._pool.shutdown()

    # ------------------------------------------------------------------ in a thread of the pool

    def _run(self, endpoint: str, params: dict[str, Any]) -> dict[str, Any] | ExchangeError:
        """Errors are returned, not raised: a raised one would carry pybit's exception, with its request, as context."""
        answer = self._submit(endpoint, params)
        if isinstance(answer, ExchangeError) and answer.ret_code == TIME_EXPIRED:
            self._submit("market/time", {})
        return answer

    def _submit(self, endpoint: str, params: dict[str, Any]) -> dict[str, Any] | ExchangeError:
        sent_ms = wall_ms()
        try:
            session = self._session()
            payload, _, headers = getattr(session, METHODS[endpoint])(**params)
        except Exception as exc:  # noqa: BLE001 - the border to pybit, which also raises KeyError and ValueError
            self._note_limit(endpoint, getattr(exc, "resp_headers", None))
            return classify(exc, secrets=self._secrets)
        self._note_limit(endpoint, headers)
        if not isinstance(payload, dict) or "retCode" not in payload:
            return make_error("expected an object with retCode, got something else", ErrorKind.AMBIGUOUS)
        if endpoint == "market/time":
            server_ms = server_ms_of(payload)
            if server_ms is not None:
                self._learn_time(server_ms, sent_ms)
        return payload

    def _session(self) -> _Http:
        session: _Http | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = make_session(
                self._endpoints, self._credentials, self.clock, timeout=self._timeout, recv_window=self._recv_window
            )
        return session

    def _learn_time(self, server_ms: int, sent_ms: int) -> None:
        before = self.clock.offset_ms
        self.clock.learn(server_ms, sent_ms, wall_ms())
        if abs(self.clock.offset_ms - before) > DEAD_BAND_MS:
            log.warning("the exchange's clock is %+d ms from ours; requests are stamped with it", self.clock.offset_ms)

    def _note_limit(self, endpoint: str, headers: Mapping[str, str] | None) -> None:
        if not headers:
            return
        limit = whole_or_none(headers.get("X-Bapi-Limit"))
        remaining = whole_or_none(headers.get("X-Bapi-Limit-Status"))
        if limit is not None and remaining is not None:
            reset_ms = time_or_none(headers.get("X-Bapi-Limit-Reset-Timestamp"))
            self.limits[endpoint] = RateLimit(limit, remaining, reset_ms or 0)


def server_ms_of(payload: dict[str, Any]) -> int | None:
    """Milliseconds from market/time, from the envelope where the result has none."""
    result = payload.get("result")
    nanos = whole_or_none(result.get("timeNano")) if isinstance(result, dict) else None
    return time_or_none(nanos // 1_000_000 if nanos else payload.get("time"))
