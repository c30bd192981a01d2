"""Transport: signatures, time window, envelopes, limits, public endpoints, account settings."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError

from gridbot.paper.api.auth import sign
from gridbot.paper.api.dispatch import ROUTES
from tests.paper.streams.test_trade_channel import ask
from tests.paper.support import ALICE, Venue, limit_order, manual_config, venue_of


def signed(venue: Venue, verb: str, path: str, payload: str, **changes: Any) -> requests.Response:
    """A signed request made by hand; `changes` replaces headers. `session` is one whose connection is used."""
    session: requests.Session = changes.pop("session", requests)
    stamp = str(int(time.time() * 1000))
    window = "5000"
    text = f"{changes.get('X-BAPI-TIMESTAMP', stamp)}{ALICE.api_key}{window}{payload}"
    signature = hmac.new(ALICE.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {
        "X-BAPI-API-KEY": ALICE.api_key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": window,
        "X-BAPI-SIGN": signature,
    } | changes
    url = venue.url + path + ("?" + payload if verb == "GET" else "")
    return session.request(verb, url, headers=headers, data=payload if verb == "POST" else None, timeout=5)


def test_known_signatures() -> None:
    prefix = b"1760000000000SIMKEY00000000015000"
    secret = "SIMSECRET00000000000000000000001"
    query = b"category=linear&limit=50&settleCoin=USDT"
    assert sign(secret, prefix + query) == "72a919bd698c6c1b1a91237caaeeddd45184108237dd8b3e555f6a9468f0f63c"
    stream = "4d6b06764888edd1eb0672411f54eef95b1d755b7f297b23a7b557fbc401a98a"
    assert sign(secret, b"GET/realtime1760000001000") == stream


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_the_body_is_verified_as_it_came(venue: Venue, separators: tuple[str, str]) -> None:
    body = json.dumps(limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1), separators=separators)
    assert signed(venue, "POST", "/v5/order/create", body).json()["retCode"] == 0


def test_a_query_in_any_order_and_encoding_is_verified_as_it_came(venue: Venue) -> None:
    query = "symbol=BTCUSDT&category=linear&cursor=page_args%3D9%26"
    assert signed(venue, "GET", "/v5/order/realtime", query).json()["retCode"] == 0


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (10003, {"X-BAPI-API-KEY": "nobody"}),
        (10004, {"X-BAPI-SIGN": "00"}),
        (10001, {"X-BAPI-SIGN": ""}),
        (10002, {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000) + 3_600_000)}),
        (10002, {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000) - 3_600_000)}),
    ],
)
def test_who_is_refused(venue: Venue, code: int, changes: dict[str, str]) -> None:
    reply = signed(venue, "GET", "/v5/account/info", "", **changes)
    assert reply.status_code == 200
    assert reply.json()["retCode"] == code
    assert ALICE.api_secret not in reply.text


def test_unknown_path_and_wrong_verb(venue: Venue) -> None:
    assert requests.get(venue.url + "/v5/nothing", timeout=5).status_code == 404
    assert requests.post(venue.url + "/v5/market/time", timeout=5).status_code == 400


def test_a_fault_of_our_own_is_answered_and_the_connection_stays(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client saw a connection that ended without an answer; the fault is in the log with its traceback."""

    def fails(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError("ours")

    path = "/v5/order/cancel"
    monkeypatch.setitem(ROUTES, path, replace(ROUTES[path], signed=fails))
    with requests.Session() as session:
        for _ in range(2):
            answer = signed(venue, "POST", path, '{"symbol": "BTCUSDT"}', session=session).json()
            assert (answer["retCode"], answer["result"]) == (10016, {})
        assert session.get(venue.url + "/v5/market/time", timeout=5).json()["retCode"] == 0
    socket = venue.trading_socket()
    wish = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "x"}
    assert ask(socket.cancel_order, **wish)["retCode"] == 10016
    assert ask(socket.place_order, **limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))["retCode"] == 0
    socket.exit()
    assert caplog.text.count("a fault of the exchange") == caplog.text.count("ZeroDivisionError: ours") == 3


def test_the_answer_leaves_in_one_piece(venue: Venue) -> None:
    """Header and body in one send: with two, Nagle and delayed acknowledgements cost 40 ms a call."""
    with socket.create_connection((venue.server.host, venue.server.port), timeout=5) as raw:
        raw.sendall(b"GET /v5/market/time HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = raw.recv(65536)
    head, _, body = first.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert json.loads(body)["retCode"] == 0


@pytest.fixture
def limited() -> Iterator[Venue]:
    with venue_of(manual_config(limits={"orders_per_second": 3, "queries_per_second": 50, "ip_requests": 0})) as venue:
        yield venue


def test_quota_headers_and_10006_with_a_reset_in_the_future(limited: Venue) -> None:
    http = limited.http(return_response_headers=True)
    order = limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1)
    _, _, headers = http.place_order(**order)
    assert (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"]) == ("3", "2")

    def storm() -> None:
        for _ in range(20):
            http.place_order(**order)

    with pytest.raises(InvalidRequestError) as caught:
        storm()
    assert caught.value.status_code == 10006
    assert int(caught.value.resp_headers["X-Bapi-Limit-Reset-Timestamp"]) > time.time() * 1000


def test_a_batch_beyond_the_quota_fails_for_its_rest(limited: Venue) -> None:
    order = limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1)
    reply = limited.http().place_batch_order(category="linear", request=[order] * 5)
    assert [item["code"] for item in reply["retExtInfo"]["list"]] == [0, 0, 0, 10006, 10006]


def test_too_many_requests_from_one_address_are_banned() -> None:
    with venue_of(manual_config(limits={"ip_requests": 5})) as venue:
        http = venue.http(None)
        for _ in range(5):
            http.get_server_time()
        with pytest.raises(FailedRequestError) as caught:
            http.get_server_time()
    assert caught.value.status_code == 403


def test_public_endpoints(venue: Venue) -> None:
    http = venue.http(None)
    venue.trade("BTCUSDT", "60010.00", "0.5", "Buy")
    assert abs(int(http.get_server_time()["time"]) - time.time() * 1000) < 60_000
    instruments = http.get_instruments_info(category="linear")["result"]["list"]
    assert [row["symbol"] for row in instruments] == ["BTCUSDT", "ETHUSDT", "LTCUSDT"]
    assert instruments[0]["priceFilter"]["tickSize"] == "0.10"
    assert http.get_instruments_info(category="spot")["result"]["list"] == []
    ticker = http.get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert (ticker["lastPrice"], ticker["ask1Price"], ticker["bid1Price"]) == ("60010.00", "60010.00", "60009.90")
    book = http.get_orderbook(category="linear", symbol="BTCUSDT")["result"]
    assert (len(book["b"]), book["b"][0][0], book["a"][0][0]) == (25, "60009.90", "60010.00")
    trade = http.get_public_trade_history(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert (trade["price"], trade["size"], trade["side"]) == ("60010.00", "0.5", "Buy")
    candle = http.get_kline(category="linear", symbol="BTCUSDT", interval="5")["result"]["list"][0]
    assert candle[1:6] == ["60010.00", "60010.00", "60010.00", "60010.00", "0.5"]
    tiers = http.get_risk_limit(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert (tiers[0]["maintenanceMargin"], tiers[0]["mmDeduction"], tiers[1]["mmDeduction"]) == ("0.005", "", "10000")
    band = http.get_price_limit(category="linear", symbol="BTCUSDT")["result"]
    assert float(band["sellLmt"]) < 60010 < float(band["buyLmt"])


def test_instruments_page_by_their_cursor(venue: Venue) -> None:
    http = venue.http(None)
    first = http.get_instruments_info(category="linear", limit=2)["result"]
    second = http.get_instruments_info(category="linear", limit=2, cursor=first["nextPageCursor"])["result"]
    assert [row["symbol"] for row in first["list"] + second["list"]] == ["BTCUSDT", "ETHUSDT", "LTCUSDT"]
    assert second["nextPageCursor"] == ""


def test_account_endpoints(venue: Venue) -> None:
    http = venue.http()
    assert http.get_account_info()["result"]["marginMode"] == "REGULAR_MARGIN"
    key = http.get_api_key_information()["result"]
    assert (key["readOnly"], key["uta"]) == (0, 1)
    assert key["permissions"]["ContractTrade"] == ["Order", "Position"]
    assert "Withdraw" not in key["permissions"]["Wallet"]
    rates = http.get_fee_rates(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert (rates["takerFeeRate"], rates["makerFeeRate"]) == ("0.00055", "0.0002")
    flat = http.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert [(row["positionIdx"], row["side"], row["size"]) for row in flat] == [(1, "", "0"), (2, "", "0")]
    assert http.get_positions(category="linear", settleCoin="USDT")["result"]["list"] == []


def refused(call: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


def test_leverage(venue: Venue) -> None:
    http = venue.http()
    target = {"category": "linear", "symbol": "BTCUSDT"}
    http.set_leverage(**target, buyLeverage="20", sellLeverage="20")
    assert refused(http.set_leverage, **target, buyLeverage="20", sellLeverage="20") == 110043
    assert refused(http.set_leverage, **target, buyLeverage="101", sellLeverage="101") == 110013
    assert http.get_positions(**target)["result"]["list"][0]["leverage"] == "20"


def test_position_mode() -> None:
    with venue_of(manual_config(position_mode="one_way")) as venue:
        http = venue.http()
        target = {"category": "linear", "symbol": "BTCUSDT"}
        hedge_order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)
        assert refused(http.place_order, **hedge_order) == 10001
        http.switch_position_mode(**target, mode=3)
        assert refused(http.switch_position_mode, **target, mode=3) == 110025
        http.place_order(**hedge_order)
        assert refused(http.switch_position_mode, **target, mode=0) == 110028
        venue.set_price("BTCUSDT", "59000")
        assert refused(http.switch_position_mode, **target, mode=0) == 110024
        http.switch_position_mode(category="linear", coin="USDT", mode=3)
        assert len(http.get_positions(category="linear", symbol="ETHUSDT")["result"]["list"]) == 2
