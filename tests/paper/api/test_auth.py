"""Keys bound to addresses, and RSA keys, with pybit's own signing."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from Crypto.PublicKey import RSA
from pybit.exceptions import InvalidRequestError

from gridbot.paper.api.auth import check_ws_auth, sign
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config

BOUND = PaperAccount("bound", "key-bound", "secret", Decimal(1000), ips=("10.1.2.3", "127.0.0.1"))
ELSEWHERE = PaperAccount("elsewhere", "key-elsewhere", "secret", Decimal(1000), ips=("10.1.2.3",))


@functools.cache
def key(number: int) -> RSA.RsaKey:
    """Made when a test needs it: that takes a while, and each worker of xdist imports all tests."""
    return RSA.generate(1024)


@functools.cache
def signer() -> PaperAccount:
    public = key(1).public_key().export_key().decode()
    return PaperAccount("signer", "key-signer", "", Decimal(1000), rsa_public_key=public)


@pytest.fixture
def venue() -> Iterator[Venue]:
    with Venue(PaperSpec(config=manual_config(), accounts=(BOUND, ELSEWHERE, signer()))) as running:
        yield running


def refusal(http: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        http.get_wallet_balance(accountType="UNIFIED")
    return int(caught.value.status_code)


def signing(venue: Venue, key: RSA.RsaKey) -> Any:
    http = venue.http(signer(), rsa_authentication=True)
    http.api_secret = key.export_key().decode()
    return http


def test_a_key_works_from_its_addresses_only(venue: Venue) -> None:
    assert venue.http(BOUND).get_wallet_balance(accountType="UNIFIED")["retCode"] == 0
    assert venue.http(BOUND).get_api_key_information()["result"]["ips"] == ["10.1.2.3", "127.0.0.1"]
    assert refusal(venue.http(ELSEWHERE)) == 10010
    assert venue.http(None).get_server_time()["retCode"] == 0  # public data has no key


KEYS = {
    "reader": {"read_only": True},
    "positions": {"contract_trade": ["Position"], "wallet": ["Withdraw"], "expires_in_days": 7},
    "orders": {"contract_trade": ["Order"], "ips": ["127.0.0.1"]},
    "unbound": {"ips": ["*"]},
    "elsewhere": {"ips": ["10.1.2.3"]},
    "over": {"expires_in_days": -1},
}


def test_a_key_may_what_the_configuration_says_and_says_so_itself() -> None:
    accounts = {name: PaperAccount(name, f"key-{name}", "secret", Decimal(1000)) for name in KEYS}
    order = limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1)
    with Venue(PaperSpec(config=manual_config(keys=KEYS), accounts=tuple(accounts.values()))) as venue:

        def code(name: str, call: str, **params: Any) -> int:
            try:
                return int(getattr(venue.http(accounts[name]), call)(**params)["retCode"])
            except InvalidRequestError as refused:
                return int(refused.status_code)

        def told(name: str) -> dict[str, Any]:
            return venue.http(accounts[name]).get_api_key_information()["result"]  # type: ignore[no-any-return]

        listed = {"category": "linear", "symbol": "BTCUSDT"}
        assert [code(name, "place_order", **order) for name in KEYS] == [10005, 10005, 0, 0, 10010, 33004]
        assert [code(name, "get_positions", **listed) for name in KEYS] == [0, 0, 10005, 0, 10010, 33004]
        assert [code(name, "get_executions", **listed) for name in ("reader", "positions")] == [0, 10005]
        assert (told("reader")["readOnly"], told("orders")["readOnly"]) == (1, 0)
        assert told("positions")["permissions"]["Wallet"] == ["Withdraw"]
        assert told("positions")["permissions"]["ContractTrade"] == ["Position"]
        assert (told("positions")["deadlineDay"], told("positions")["ips"]) == (6, ["127.0.0.1"])
        assert (told("unbound")["deadlineDay"], told("unbound")["ips"]) == (89, ["*"])
        assert (told("orders")["deadlineDay"], told("orders")["expiredAt"][:4]) == (-2, "1970")
        until_ms = 4_000_000_000_000
        proof = sign("secret", f"GET/realtime{until_ms}".encode())
        for name, known in (("orders", True), ("over", False)):
            asked = [f"key-{name}", until_ms, proof]
            found = check_ws_auth(venue.server.exchange.by_key, asked, venue.server.now_ms(), "127.0.0.1")
            assert (found is not None) is known, name


def test_requests_signed_with_an_rsa_key(venue: Venue) -> None:
    http = signing(venue, key(1))
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1))
    assert len(http.get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]) == 1
    assert http.get_api_key_information()["result"]["rsaPublicKey"].startswith("-----BEGIN PUBLIC KEY")
    assert refusal(signing(venue, key(2))) == 10004
    assert refusal(venue.http(signer(), rsa_authentication=False)) == 10004  # an HMAC is no RSA signature


def test_a_stream_signed_with_an_rsa_key(venue: Venue) -> None:
    inbox = Inbox()
    pem = key(1).export_key().decode()
    stream = venue.websocket("private", PaperAccount("signer", signer().api_key, pem), rsa_authentication=True)
    stream.order_stream(inbox)
    eventually(lambda: venue.server.exchange.accounts["signer"].listening == {"order"})
    signing(venue, key(1)).place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, orderLinkId="signed"))
    inbox.wait(lambda row: row["orderLinkId"] == "signed", "order")
    stream.exit()


def test_what_comes_back_of_a_request_that_is_signed_wrongly_is_short_and_harmless(venue: Venue) -> None:
    """The whole body came back, a megabyte of it, with whatever moves a cursor."""
    stamp = str(int(time.time() * 1000))
    headers = {"X-BAPI-API-KEY": BOUND.api_key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-SIGN": "0" * 64}
    bodies = (b"\xc2\x9b31m\x1b[2J\n" * 10, b"x" * 900_000, b"\xff\xed\xa0\x80")
    for body in bodies:
        answer = requests.post(f"{venue.url}/v5/order/create", data=body, headers=headers, timeout=5)
        assert answer.json()["retCode"] == 10004
        text = answer.json()["retMsg"]
        assert text.startswith(f"error sign! origin_string[{stamp}{BOUND.api_key}")
        assert text.isprintable()
        assert len(text) < 1500
    empty = {**headers, "X-BAPI-SIGN": "", "X-BAPI-API-KEY": "k" * 10_000}
    answer = requests.get(f"{venue.url}/v5/position/list", headers=empty, timeout=5)
    assert (answer.json()["retCode"], len(answer.json()["retMsg"]) < 400) == (10001, True)
