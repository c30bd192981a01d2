"""Requests as pybit itself would send them, though it sends none; answers as it reads them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pybit._http_manager import generate_signature  # type: ignore[import-not-found, unused-ignore]
from pybit.unified_trading import HTTP

from gridbot.bybit.carrier import ORDER_ENDPOINTS, Answer, Outgoing
from gridbot.bybit.clocks import ExchangeClock
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.order_gateway import _order_params
from gridbot.bybit.pybit_client import METHODS, NO_ENVELOPE, PybitClient
from gridbot.exchange.failures import ExchangeError
from tests.bybit.rest_session import order
from tests.bybit.support import CREDENTIALS, KEY, SECRET
from tests.case_table import case_table

ORDER = {"category": "linear", **_order_params(order(qty=Decimal("1E-7")))}
POSTS: dict[str, dict[str, Any]] = {
    "order/create": ORDER,
    "order/create-batch": {"category": "linear", "request": [_order_params(order()), _order_params(order("g2"))]},
    "order/cancel": {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "\u00fc\u20ac"},
    "order/cancel-batch": {"category": "linear", "request": [{"symbol": "BTCUSDT", "orderId": "o"}]},
    "position/set-leverage": {"category": "linear", "symbol": "A", "buyLeverage": "10", "sellLeverage": "10"},
    "position/switch-mode": {"category": "linear", "symbol": "A", "mode": 3},
    "order/disconnected-cancel-all": {"product": "DERIVATIVES", "timeWindow": 30},
}


class _Sent(BaseException):
    """What pybit was about to send."""


class _Catches:
    def prepare_request(self, request: Any) -> Any:
        raise _Sent(request)


def as_pybit(endpoint: str, params: dict[str, Any]) -> Any:
    """The request that pybit, as published, makes of this."""
    http = HTTP(api_key=KEY, api_secret=SECRET, recv_window=4321)
    http.endpoint = ""
    http.client = _Catches()
    with pytest.raises(_Sent) as caught:
        getattr(http, METHODS[endpoint])(**params)
    return caught.value.args[0]


def built(endpoint: str, params: dict[str, Any]) -> Outgoing:
    outgoing = PybitClient(CREDENTIALS, ExchangeClock(), recv_window=4321).build(endpoint, dict(params))
    assert isinstance(outgoing, Outgoing)
    return outgoing


def signature(outgoing: Outgoing, payload: str) -> str:
    text = f"{outgoing.named_headers()['X-BAPI-TIMESTAMP']}{KEY}4321{payload}"
    return str(generate_signature(False, SECRET, text))


@case_table("endpoint", POSTS)
def test_bodies_say_what_pybits_own_do_and_are_signed_as_they_leave(endpoint: str) -> None:
    ours, theirs = built(endpoint, POSTS[endpoint]), as_pybit(endpoint, POSTS[endpoint])
    assert ours.body is not None
    assert json.loads(ours.body) == json.loads(theirs.data)
    assert (ours.method, ours.target) == (theirs.method, theirs.url)
    assert ours.named_headers().keys() == theirs.headers.keys()
    assert ours.named_headers()["X-BAPI-SIGN"] == signature(ours, ours.body.decode())
    assert ours.is_order is (endpoint in ORDER_ENDPOINTS)


@case_table("endpoint", sorted(METHODS.keys() - POSTS.keys()))
def test_queries_ask_what_pybits_own_do(endpoint: str) -> None:
    takes_none = endpoint in ("market/time", "system/status")
    params = {} if takes_none else {"category": "linear", "symbol": "BTCUSDT", "cursor": "a%3Ab&c", "limit": 50}
    ours, theirs = built(endpoint, params), as_pybit(endpoint, params)
    assert (ours.method, ours.target, ours.body, ours.is_order) == ("GET", theirs.url, None, False)
    assert ours.named_headers().keys() == theirs.headers.keys()
    if ours.headers:
        assert ours.named_headers()["X-BAPI-SIGN"] == signature(ours, ours.target.partition("?")[2])


def test_all_endpoints_that_change_something_are_compared_here() -> None:
    assert {endpoint for endpoint in METHODS if built(endpoint, {}).method == "POST"} == POSTS.keys()


def test_what_pybit_cannot_make_is_told_and_not_raised() -> None:
    client = PybitClient(CREDENTIALS, ExchangeClock(), recv_window=5000)
    error = client.build("order/create", {"qty": Decimal(1)})
    assert isinstance(error, ExchangeError)
    assert error.message == "TypeError during a request"
    assert error.__context__ is None


NONE = [b"\xff", b"", b"[" * 2000, b'{"retCode": "x", "retMsg": "y"}', b'{"ret_code": 0}']
NO_ENVELOPES = [
    *(b"[]", b"5", b"null", b'"x"', b'{"retCode": "0"}', b'{"retCode": null, "result": {}}'),
    *(b'{"retCode": false, "result": {}}', b'{"retCode": 0.0, "result": {}}', b'{"retCode": "", "result": {}}'),
]


@case_table("body", [*NONE, *NO_ENVELOPES])
def test_an_answer_that_is_none_is_told_and_not_raised(body: bytes) -> None:
    found = PybitClient(CREDENTIALS, ExchangeClock(), recv_window=5000).read(Answer(200, {}, body))
    assert isinstance(found, ExchangeError)
    assert "during a request" not in found.message, "the name of an exception tells an operator nothing"
    assert found.message == NO_ENVELOPE or body not in NO_ENVELOPES
    assert found.__context__ is None


@case_table("key", ["a\r\nEvil: b", "a\nEvil: b", "a\rb", "a\u20ac"])
def test_with_a_key_that_would_be_two_headers_or_none_nothing_is_built(key: str) -> None:
    client = PybitClient(Credentials(key, SECRET), ExchangeClock(), recv_window=5000)
    for endpoint in ("order/create", "position/list", "market/time"):
        error = client.build(endpoint, {})
        assert isinstance(error, ExchangeError)
        assert error.message == "expected an API key of one line of ASCII, got other signs in it"
