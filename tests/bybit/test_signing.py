"""Signatures: as hmac and pybit make them, RSA by either library; an account that trades with such a key."""

from __future__ import annotations

import functools
import hashlib
import hmac
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pybit._http_manager import generate_signature  # type: ignore[import-not-found, unused-ignore]

from gridbot.bybit import signing
from gridbot.bybit.carrier import Outgoing
from gridbot.bybit.clocks import ExchangeClock
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.pybit_client import PybitClient
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.signing import rsa_by_cryptography, rsa_by_pycryptodome, signer_of
from gridbot.bybit.stream_talk import sign_in
from gridbot.doors.bounded_json import read_json
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.rsa_keys import public_half
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from tests.bybit.support import Ears, eventually, run
from tests.bybit.test_over_paper import SYMBOL, manual_paper, order

TEXT = "1700000000000KEY5000category=linear&symbol=BTCUSDT"


@functools.cache
def pem(number: int = 1) -> str:
    """A private key; made when a test needs it."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_each_library_signs_as_pybit_does() -> None:
    theirs = generate_signature(True, pem(), TEXT)
    assert rsa_by_cryptography(pem())(TEXT.encode()) == theirs
    assert rsa_by_pycryptodome(pem())(TEXT.encode()) == theirs
    assert signer_of("a-shared-secret")(TEXT.encode()) == generate_signature(False, "a-shared-secret", TEXT)


@pytest.mark.parametrize("length", [6, 63, 64, 200])
def test_a_shared_secret_of_any_length_signs_as_hmac_does(length: int) -> None:
    secret = "s\u00e9cret".ljust(length, "!")
    for text in (b"", TEXT.encode(), bytes(1000)):
        assert signer_of(secret)(text) == hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("has_cryptography", [True, False])
def test_requests_and_sign_ins_carry_that_signature(monkeypatch: pytest.MonkeyPatch, has_cryptography: bool) -> None:
    monkeypatch.setattr(signing, "has_cryptography", lambda: has_cryptography)
    signer_of.cache_clear()
    client = PybitClient(Credentials("KEY", pem()), ExchangeClock(), recv_window=5000)
    for endpoint, params in (
        ("order/realtime", {"category": "linear", "symbol": "BTCUSDT"}),
        ("order/create", {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1"}),
    ):
        sent = client.build(endpoint, params)
        assert isinstance(sent, Outgoing)
        payload = sent.body.decode() if sent.body is not None else sent.target.partition("?")[2]
        headers = sent.named_headers()
        text = f"{headers['X-BAPI-TIMESTAMP']}KEY5000{payload}"
        assert headers["X-BAPI-SIGN"] == generate_signature(True, pem(), text)
    key, expires_ms, signature = read_json(sign_in("KEY", pem(), 123).encode())["args"]
    assert (key, expires_ms, signature) == ("KEY", 123, generate_signature(True, pem(), "GET/realtime123"))


def test_an_account_with_such_a_key_trades_and_another_key_is_refused() -> None:
    alice = PaperAccount("alice", "paper-alice", "", Decimal(10000), rsa_public_key=public_half(pem()))

    async def scene() -> None:
        async with PaperServer(PaperSpec(config=manual_paper(), accounts=(alice,))) as server:
            credentials = Credentials(alice.api_key, pem())
            endpoints = endpoints_for(Environment.PAPER, server.url, credentials)
            rest, stranger = (BybitRest(endpoints, each) for each in (credentials, Credentials(alice.api_key, pem(2))))
            try:
                await rest.ensure_hedge_mode(SYMBOL)
                async with Ears(endpoints, (SYMBOL,), credentials=credentials) as ears:
                    ack = await rest.orders.place_order(order("g1"))
                    assert [each.order_id for each in await rest.open_orders()] == [ack.order_id]
                    await eventually(lambda: any(getattr(e, "order_link_id", "") == "g1" for e in ears.heard.private))
                with pytest.raises(ExchangeError) as refused:
                    await stranger.open_orders()
                assert refused.value.kind is ErrorKind.AUTH
                assert refused.value.ret_code == 10004
            finally:
                rest.close()
                stranger.close()

    run(scene())
