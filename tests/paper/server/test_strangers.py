"""What a web page and a stranger on this machine can do to the exchange: nothing that anybody else would feel."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.exchange.environment import Environment
from gridbot.paper.api.auth import sign
from gridbot.paper.server.fast_http import IN_A_TURN
from gridbot.paper.streams import connections
from gridbot.paper.streams.connections import Hub
from tests.paper.support import ALICE, Venue, eventually, manual_config, venue_of

STATUS = b"HTTP/1.1 200"
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def asked(venue: Venue, *headers: str, target: str = "/v5/market/time", more: str = "") -> int:
    """The status of a raw request with these headers."""
    head = "".join(f"{each}\r\n" for each in headers)
    with socket.create_connection((venue.server.host, venue.server.port), timeout=5) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\n{head}{more}\r\n".encode())
        return int(raw.recv(65536).split(b" ")[1])


@pytest.mark.parametrize(
    ("target", "more", "passes"),
    [
        ("/v5/market/time", "", 200),
        ("/v5/market/time", "Connection: close\r\n", 200),
        *((f"/v5/{channel}", UPGRADE, 101) for channel in ("public/linear", "private", "trade")),
    ],
)
def test_a_web_page_is_refused_on_every_way_in(venue: Venue, target: str, more: str, passes: int) -> None:
    ours = f"Host: 127.0.0.1:{venue.server.port}"

    def status(*headers: str) -> int:
        return asked(venue, *headers, target=target, more=more)

    assert status(ours) == passes
    assert status("Host: localhost:1", "Origin: http://localhost:1") == passes
    assert status("Host: evil.example") == 403
    assert status(ours, "Origin: https://evil.example") == 403
    assert status(ours, "Origin: null") == 403
    assert status(ours, "Sec-Fetch-Site: cross-site") == 403
    for first, second in ((ours, "Host: evil.example"), ("Host: evil.example", ours)):
        assert status(first, second) in (400, 403), "which one counts is nobody's to choose"
    for first, second in (
        ("http://localhost:1", "https://evil.example"),
        ("https://evil.example", "http://localhost:1"),
    ):
        assert status("Host: localhost:1", f"Origin: {first}", f"Origin: {second}") in (400, 403)


@pytest.fixture
def commanded() -> Iterator[Venue]:
    with venue_of(manual_config(control=True)) as venue:
        yield venue


def test_the_control_endpoint_takes_a_post_of_json_with_the_token_only(commanded: Venue) -> None:
    url, body = f"{commanded.url}/paper/control", json.dumps({"action": "list"})
    json_type = {"Content-Type": "application/json"}
    token = {"Authorization": f"Bearer {commanded.server.control_token}"}

    def status(verb: str = "POST", **headers: str) -> int:
        return requests.request(verb, url, data=body, headers=headers, timeout=5).status_code

    assert status(**json_type, **token) == 200
    assert status("PUT", **json_type, **token) == 405
    assert status(**token) == 415
    assert status(**token, **{"Content-Type": "text/plain"}) == 415
    assert status(**json_type) == 401
    assert status(**json_type, Authorization="Bearer ") == 401
    assert status(**json_type, **token, Origin="https://evil.example") == 403
    with venue_of(manual_config(control=True)) as other:
        assert other.server.control_token != commanded.server.control_token


def test_a_flood_of_a_stranger_costs_the_accounts_of_its_address_nothing() -> None:
    """It was six hundred unsigned requests, and every account was degraded for ten minutes."""
    with venue_of(manual_config(limits={"ip_requests": 20})) as venue:
        trader, stranger = venue.http(), requests.Session()
        trader.get_account_info()
        flood = [stranger.get(f"{venue.url}/v5/order/realtime", timeout=5).status_code for _ in range(40)]
        assert flood == [200] * 20 + [403] * 20
        trader.get_account_info()
        venue.http().get_server_time()  # a new one, that has signed nothing yet, as at the start of a worker


def test_answers_that_nobody_reads_stop_the_reading_and_none_is_lost(venue: Venue) -> None:
    """8,500 requests in one go held 170 MB."""
    count = 8500
    data = b"GET /v5/market/instruments-info?category=linear HTTP/1.1\r\nHost: localhost\r\n\r\n" * count
    callers: Any = venue.server.callers
    with socket.create_connection((venue.server.host, venue.server.port), timeout=20) as raw:
        sending = threading.Thread(target=raw.sendall, args=(data,))
        sending.start()
        [(transport, seen)] = eventually(lambda: list(callers._open.items()))
        eventually(lambda: seen.caller.unfinished and transport.get_write_buffer_size())
        assert seen.caller.requests < count
        assert transport.get_write_buffer_size() < 1_000_000
        answered, tail = 0, b""
        while answered < count:
            tail += raw.recv(1 << 20)
            answered += tail.count(STATUS)
            tail = tail[-len(STATUS) + 1 :]
        sending.join()
    assert answered == count


def test_a_head_without_an_end_is_refused(venue: Venue) -> None:
    with socket.create_connection((venue.server.host, venue.server.port), timeout=5) as raw:
        raw.sendall(b"GET /v5/market/time HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000)
        assert b" 400 " in raw.recv(65536).partition(b"\r\n")[0]


def test_sockets_that_do_not_sign_in_give_way_and_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of new sockets of an address is for those who listen: a stranger could use it up."""
    monkeypatch.setattr(connections, "MOST_STRANGERS", 3)
    with venue_of(manual_config(limits={"ws_connections": 2})) as venue:
        hub: Hub = venue.server.hub

        async def run() -> None:
            async with aiohttp.ClientSession() as session:
                strangers = [await session.ws_connect(f"{venue.ws_url}/v5/public/linear") for _ in range(6)]
                eventually(lambda: len(hub.connections) == 3)  # those that give way go on the server's own loop
                first = await strangers[0].receive(timeout=5)
                assert first.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
                await strangers[-1].send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
                assert (await strangers[-1].receive_json(timeout=5))["success"] is True

        asyncio.run(run())


def test_five_hundred_strangers_do_not_keep_the_accounts_streams_out() -> None:
    """They listen, so they count: for themselves. An account that comes back, as a worker does, gets in at once."""
    with venue_of(manual_config()) as venue:
        ours = endpoints_for(Environment.PAPER, venue.url, Credentials(ALICE.api_key, ALICE.api_secret)).ws_public
        forged = endpoints_for(Environment.PAPER, venue.url, Credentials(ALICE.api_key, "a guess")).ws_public
        anybody = f"{venue.ws_url}/v5/public/linear"
        hub: Hub = venue.server.hub

        async def listening(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
            socket = await session.ws_connect(url)
            await socket.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
            assert (await socket.receive_json(timeout=10))["success"] is True
            return socket

        async def run() -> None:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                first = await listening(session, ours)
                crowd: list[Any] = []
                for _ in range(10):
                    crowd += await asyncio.gather(*(listening(session, anybody) for _ in range(50)))
                for url in (anybody, forged):
                    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                        await listening(session, url)
                    assert refused.value.status == 403
                await first.close()
                again = await listening(session, ours)
                more = [await session.ws_connect(f"{venue.ws_url}/v5/private") for _ in range(3)]
                eventually(lambda: len(hub.connections) <= 501)
                eventually(lambda: [each.named for each in list(hub.connections)].count(True) == 1)  # ours does not
                assert not again.closed
                assert not more[-1].closed

        asyncio.run(run())


def test_what_nobody_reads_of_all_sockets_together_is_bounded(monkeypatch: pytest.MonkeyPatch, venue: Venue) -> None:
    monkeypatch.setattr(connections, "MAX_UNSENT_OF_ALL", 100_000)

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            sockets = [await session.ws_connect(f"{venue.ws_url}/v5/public/linear") for _ in range(2)]
            for number, each in enumerate(sockets):
                await each.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
                await each.receive_json(timeout=5)
                size = 80_000 if number == 0 else 60_000
                one = list(venue.server.hub.connections)[number]
                venue.call(one.send, b"x" * size, delay_s=3600)
            venue.call(venue.server.hub.shed)
            left = [each.unsent for each in venue.server.hub.connections if not each.muted]
            assert left == [60_000], "the one that held the most is cut"

    asyncio.run(run())


@pytest.mark.parametrize("way", ["short", "long"])
def test_requests_in_one_piece_leave_the_others_their_turn_whoever_has_signed_them(venue: Venue, way: str) -> None:
    """Of who has signed in, only the request limits stood against thousands at once, if there were any."""
    count, callers = 3000, venue.server.callers
    steps: list[int] = []
    stamp, target = str(int(time.time() * 1000)), "category=linear&symbol=BTCUSDT"
    signed = sign(ALICE.api_secret, f"{stamp}{ALICE.api_key}60000{target}".encode())
    head = f"X-BAPI-API-KEY: {ALICE.api_key}\r\nX-BAPI-TIMESTAMP: {stamp}\r\nX-BAPI-RECV-WINDOW: 60000\r\n"
    head += f"X-BAPI-SIGN: {signed}\r\nHost: localhost\r\n"
    request = f"GET /v5/position/list?{target} HTTP/1.1\r\n{head}\r\n".encode()
    first = request if way == "short" else request.replace(b"\r\nHost", b"\r\nExpect: 100-continue\r\nHost")

    def watch(before: int = 0) -> None:
        seen: Any = next(iter(callers._open.values()), None)
        now = seen.caller.requests if seen is not None else 0
        steps.append(now - before)
        if now < count + 1:
            asyncio.get_running_loop().call_soon(watch, now)

    with socket.create_connection((venue.server.host, venue.server.port), timeout=20) as raw:
        raw.sendall(first)
        while b'"retCode":0' not in raw.recv(65536):
            pass
        venue.call(watch)
        sending = threading.Thread(target=raw.sendall, args=(request * count,))
        sending.start()
        answered, tail = 0, b""
        while answered < count:
            tail += raw.recv(1 << 20)
            answered += tail.count(STATUS)
            tail = tail[-len(STATUS) + 1 :]
        sending.join()
    assert max(steps[1:]) <= 2 * IN_A_TURN
