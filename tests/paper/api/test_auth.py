"""Keys bound to addresses, and RSA keys, with pybit's own signing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from Crypto.PublicKey import RSA
from pybit.exceptions import InvalidRequestError

from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config

KEY = RSA.generate(1024)
OTHER = RSA.generate(1024)
BOUND = PaperAccount("bound", "key-bound", "secret", Decimal(1000), ips=("10.1.2.3", "127.0.0.1"))
ELSEWHERE = PaperAccount("elsewhere", "key-elsewhere", "secret", Decimal(1000), ips=("10.1.2.3",))
SIGNER = PaperAccount("signer", "key-signer", "", Decimal(1000), rsa_public_key=KEY.public_key().export_key().decode())


@pytest.fixture
def venue() -> Iterator[Venue]:
    with Venue(PaperSpec(config=manual_config(), accounts=(BOUND, ELSEWHERE, SIGNER))) as running:
        yield running


def refusal(http: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        http.get_wallet_balance(accountType="UNIFIED")
    return int(caught.value.status_code)


def signing(venue: Venue, key: RSA.RsaKey) -> Any:
    http = venue.http(SIGNER, rsa_authentication=True)
    http.api_secret = key.export_key().decode()
    return http


def test_a_key_works_from_its_addresses_only(venue: Venue) -> None:
    assert venue.http(BOUND).get_wallet_balance(accountType="UNIFIED")["retCode"] == 0
    assert venue.http(BOUND).get_api_key_information()["result"]["ips"] == ["10.1.2.3", "127.0.0.1"]
    assert refusal(venue.http(ELSEWHERE)) == 10010
    assert venue.http(None).get_server_time()["retCode"] == 0  # public data has no key


def test_requests_signed_with_an_rsa_key(venue: Venue) -> None:
    http = signing(venue, KEY)
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1))
    assert len(http.get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]) == 1
    assert http.get_api_key_information()["result"]["rsaPublicKey"].startswith("-----BEGIN PUBLIC KEY")
    assert refusal(signing(venue, OTHER)) == 10004
    assert refusal(venue.http(SIGNER, rsa_authentication=False)) == 10004  # an HMAC is no RSA signature


def test_a_stream_signed_with_an_rsa_key(venue: Venue) -> None:
    inbox = Inbox()
    pem = KEY.export_key().decode()
    stream = venue.websocket("private", PaperAccount("signer", SIGNER.api_key, pem), rsa_authentication=True)
    stream.order_stream(inbox)
    eventually(lambda: venue.server.exchange.accounts["signer"].listening == {"order"})
    signing(venue, KEY).place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, orderLinkId="signed"))
    inbox.wait(lambda row: row["orderLinkId"] == "signed", "order")
    stream.exit()
