"""pybit's HTTP client as the protocol: which path, what payload, the signature, what an answer means. It sends nothing.

What is done about pybit 5.17 (docs/platform.md 1):

* Its methods send with `requests`, in their caller's thread, and try again in ways that block for seconds and lose the
  retCode. Here they end where they would send, and give what would leave (`Outgoing`). Reading an `Answer` is pybit's
  again. Its set of codes to try again for is emptied after construction (an empty argument means the default set).
* It adds a log handler per instance when the root logger has none. These are removed again.
* Bodies and signatures are made by faster means, to the same text (`tests/bybit/test_pybit_client.py`).
* It stamps requests with the local clock. `_signed` adds the measured offset, or 10002 could not be cured.
* Its exceptions carry request bodies and what the exchange echoed. They end here, as `ExchangeError` without a chain.
"""

from __future__ import annotations

import logging
from typing import Any

import orjson
from pybit.unified_trading import HTTP

from gridbot.bybit.carrier import ORDER_ENDPOINTS, Answer, Outgoing
from gridbot.bybit.clocks import ExchangeClock
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.error_mapping import classify
from gridbot.bybit.signing import Signer, signer_of
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.lease.anchored_clock import AnchoredClock

__all__ = ["METHODS", "NO_ENVELOPE", "PybitClient"]

# Endpoint (the path after /v5/, also the key of `limits`) -> pybit's method.
METHODS = {
    "market/time": "get_server_time",
    "market/instruments-info": "get_instruments_info",
    "market/risk-limit": "get_risk_limit",
    "market/tickers": "get_tickers",
    "account/fee-rate": "get_fee_rates",
    "account/wallet-balance": "get_wallet_balance",
    "account/info": "get_account_info",
    "account/query-dcp-info": "query_dcp_info",
    "account/transaction-log": "get_transaction_log",
    "position/list": "get_positions",
    "position/set-leverage": "set_leverage",
    "position/switch-mode": "switch_position_mode",
    "order/create": "place_order",
    "order/create-batch": "place_batch_order",
    "order/cancel": "cancel_order",
    "order/cancel-batch": "cancel_batch_order",
    "order/disconnected-cancel-all": "set_dcp",
    "order/realtime": "get_open_orders",
    "order/history": "get_order_history",
    "execution/list": "get_executions",
    "user/query-api": "get_api_key_information",
    "system/status": "get_system_status",
    "announcements/index": "get_announcement",
}


NO_ENVELOPE = "expected an object with retCode, got something else"
_ORDER_PATHS = frozenset(f"/v5/{endpoint}" for endpoint in ORDER_ENDPOINTS)


class _Http(HTTP):  # type: ignore[misc]  # pybit has no types
    """Its methods return an `Outgoing`."""

    clock: ExchangeClock | AnchoredClock
    sign: Signer
    """pybit hashes, or reads, the key anew for each request."""
    begins: str
    """The headers that all signed requests begin with."""
    signs_for: str
    """What is signed between time and payload: key and window."""

    def _submit_request(
        self, method: str = "", path: str = "", query: dict[str, Any] | None = None, auth: bool = False
    ) -> Outgoing:
        if method == "GET":
            payload = self.prepare_payload(method, self._clean_query(query))
            headers = self._signed(payload.encode()) if auth else ""
            return Outgoing(method, f"{path}?{payload}" if payload else path, headers, None)
        return self.post(path, query)

    def post(self, path: str, query: dict[str, Any] | None) -> Outgoing:
        """As pybit's, sooner: what it leaves out is not there, and what it makes a text is one (`order_gateway`)."""
        body = orjson.dumps(query)
        return Outgoing("POST", path, self._signed(body), body, path in _ORDER_PATHS)

    def _signed(self, payload: bytes) -> str:
        """The headers of a request. Of these lines only time and signature differ, which are digits and letters."""
        stamp = str(self.clock.now_ms())
        signature = self.sign(f"{stamp}{self.signs_for}".encode() + payload)
        return f"{self.begins}X-BAPI-SIGN: {signature}\r\nX-BAPI-TIMESTAMP: {stamp}\r\n"


class PybitClient:
    """Builds the requests of an account and reads their answers. Does no I/O; the time is `clock`'s.

    With a key that no header can hold no request is built.
    """

    def __init__(self, credentials: Credentials, clock: ExchangeClock | AnchoredClock, *, recv_window: int) -> None:
        self._secrets = (credentials.api_secret, credentials.api_key)
        pybit_log = logging.getLogger("pybit._http_manager")
        handlers = list(pybit_log.handlers)
        self._http = _Http(api_key=credentials.api_key, api_secret=credentials.api_secret, recv_window=recv_window)
        pybit_log.handlers[:] = handlers
        self._http.clock = clock
        self._http.sign = signer_of(credentials.api_secret)
        self._http.begins = _begins(credentials.api_key, recv_window)
        self._http.signs_for = f"{credentials.api_key}{recv_window}"
        self._key_fits = credentials.api_key.isascii() and credentials.api_key.isprintable()
        self._http.endpoint = ""
        self._http.retry_codes = set()
        self._order_paths: dict[str, str] = {}
        """What pybit's methods for orders add to the parameters, as they told it the first time."""

    def build(self, endpoint: str, params: dict[str, Any]) -> Outgoing | ExchangeError:
        """The request as it will leave, signed as of now."""
        if not self._key_fits:  # one with a line end in it would be another header
            return make_error("expected an API key of one line of ASCII, got other signs in it", ErrorKind.PARAM)
        path = self._order_paths.get(endpoint)
        try:
            if path is not None:
                return self._http.post(path, params)
            outgoing: Outgoing = getattr(self._http, METHODS[endpoint])(**params)
        except Exception as exc:  # noqa: BLE001 - the border to pybit, which also raises KeyError and ValueError
            return classify(exc, secrets=self._secrets)
        if endpoint in ORDER_ENDPOINTS:
            self._order_paths[endpoint] = outgoing.target
        return outgoing

    def read(self, answer: Answer) -> dict[str, Any] | ExchangeError:
        """The envelope of an answer with retCode 0.

        Errors are returned, not raised: a raised one would carry pybit's exception, with its request, as context.
        """
        try:
            self._http._check_status_code(answer, "", "", "")
            payload = self._http._handle_response(answer, "", "", "", 0, 0)
        except (AttributeError, KeyError, TypeError):  # pybit takes the answer for an envelope before it has looked
            return make_error(NO_ENVELOPE, ErrorKind.AMBIGUOUS)
        except Exception as exc:  # noqa: BLE001 - the border to pybit, which also raises ValueError
            return classify(exc, secrets=self._secrets)
        # pybit takes whatever is false for success: null, false, 0.0.
        if not isinstance(payload, dict) or type(payload.get("retCode")) is not int:
            return make_error(NO_ENVELOPE, ErrorKind.AMBIGUOUS)
        return payload


def _begins(api_key: str, recv_window: int) -> str:
    return (
        f"Content-Type: application/json\r\nX-BAPI-API-KEY: {api_key}\r\nX-BAPI-SIGN-TYPE: 2\r\n"
        f"X-BAPI-RECV-WINDOW: {recv_window}\r\n"
    )
