"""An exchange that cannot show a certificate for its name hears nothing: no request, no sign-in, no key."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gridbot.bybit.carrier import NotSent
from gridbot.bybit.dialling import tls_context
from gridbot.bybit.endpoints import Credentials, Endpoints, endpoints_for
from gridbot.bybit.http_pool import SPARE, HttpPool
from gridbot.bybit.rest import BybitRest
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from tests.bybit.raw_server import GET, ORDER, Peer, answer, carried, raw
from tests.bybit.support import KEY, SECRET, Ears, eventually, run

pytestmark = pytest.mark.usefixtures("each_line")


def false_certificate(directory: Path) -> Path:
    """Key and certificate for 127.0.0.1, signed by nobody but itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stream.bybit.com")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = directory / "false.pem"
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def false_exchange(directory: Path, heard: list[bytes]) -> AsyncIterator[Endpoints]:
    """A TLS server that notes every byte it is trusted with."""

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(false_certificate(directory))
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # handshakes that the client ends
    async with await asyncio.start_server(note, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        yield endpoints_for(Environment.PAPER, f"https://127.0.0.1:{port}")


def test_a_false_certificate_ends_streams_and_requests_before_a_word_is_said(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def scene() -> None:
        async with false_exchange(tmp_path, heard) as endpoints:
            with pytest.raises(ExchangeError) as refused:
                await Ears(endpoints).streams.start()
            assert refused.value.kind is ErrorKind.RETRY
            rest = BybitRest(endpoints, Credentials(KEY, SECRET), pool_size=1)
            with pytest.raises(ExchangeError):
                await rest.server_time_ms()
            rest.close()

    run(scene())
    assert heard == []


def test_the_same_exchange_is_heard_by_who_trusts_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would also pass with a server that is broken."""
    heard: list[bytes] = []

    async def scene() -> None:
        async with false_exchange(tmp_path, heard) as endpoints:
            monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "false.pem"))
            rest = BybitRest(endpoints, Credentials(KEY, SECRET), pool_size=1)
            with pytest.raises(ExchangeError):
                await rest.server_time_ms()
            rest.close()

    run(scene())
    assert heard
    assert heard[0].startswith(b"GET /v5/market/time")


def server_context(directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(false_certificate(directory))
    return context


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server shows, and clients trust."""
    context = server_context(tmp_path)
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "false.pem"))
    return context


def test_one_connection_for_many_requests_each_in_one_record(trusted: ssl.SSLContext) -> None:
    heard: list[bytes] = []

    async def scene() -> None:
        async def reads(peer: Peer) -> None:
            while data := await peer.reader.read(65536):
                heard.append(data)
                await peer.say(answer())

        async with raw(reads, tls=trusted) as exchange:
            for _ in range(5):
                await exchange.ask(GET)
            assert len(exchange.peers) == 1
            (connection,) = exchange.pool._idle
            asked = exchange.begin(ORDER)
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() == 0, "it has left"
            await asked
            assert heard[-1].endswith(b'{"qty":"1"}')
            assert heard[-1].startswith(b"POST")

    run(scene())


def test_a_tls_connection_that_was_closed_is_not_used_and_its_tickets_are_no_reason_not_to(
    trusted: ssl.SSLContext,
) -> None:
    async def scene() -> None:
        async with raw(tls=trusted) as exchange:
            await exchange.ask(ORDER)
            await eventually(lambda: len(exchange.pool._idle) == SPARE)
            before = len(exchange.peers)
            for _ in range(5):  # also over those that have carried nothing yet: tickets came after their handshake
                await asyncio.gather(*(exchange.ask(ORDER) for _ in range(SPARE)))
            assert len(exchange.peers) == before
            for peer in exchange.peers:
                peer.close()
            assert (await exchange.ask(ORDER)).content == b"{}"

    run(scene())


def test_an_answer_that_ends_with_its_tls_connection(trusted: ssl.SSLContext) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\n\r\nall of it")

        async with raw(script, tls=trusted) as exchange:
            assert (await exchange.ask()).content == b"all of it"

    run(scene())


def test_a_good_certificate_of_another_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = server_context(tmp_path)
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "false.pem"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))])

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with raw(tls=context) as exchange:
            pool = HttpPool(f"https://elsewhere.invalid:{exchange.url.rpartition(':')[2]}", timeout_s=5, most=2)
            with pytest.raises(NotSent, match="its certificate is not to be trusted: Hostname mismatch"):
                await carried(pool, ORDER, 5)
            assert exchange.requests == []
            pool.close()

    run(scene())


def test_one_context_for_all_connections_of_a_process() -> None:
    assert tls_context() is tls_context()
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    assert tls_context().check_hostname
