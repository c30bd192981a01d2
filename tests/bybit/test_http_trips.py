"""Requests, and answers of a server that says what no good one would: nobody gets another's, each end has a name."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from gridbot.bybit.carrier import Broken, CarrierError, NoAnswer, Unusable
from gridbot.bybit.http_pool import HttpPool
from tests.bybit.raw_server import GET, ORDER, Peer, answer, failure, polite, raw
from tests.bybit.support import eventually, run
from tests.case_table import case_table

# ---------------------------------------------------------------------- a request


def test_head_and_body_leave_in_one_write_before_carry_returns() -> None:
    heard: list[bytes] = []

    async def scene() -> None:
        async def reads(peer: Peer) -> None:
            while data := await peer.reader.read(65536):
                heard.append(data)
                await peer.say(answer())

        async with raw(reads) as exchange:
            await exchange.ask()
            (connection,) = exchange.pool._idle
            transport = connection._transport
            assert transport is not None
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            asked = exchange.begin(ORDER, 5.0)
            assert transport.get_write_buffer_size() == 0, "it has left"
            await asked
            port = exchange.url.rpartition(":")[2]
            assert heard[1].decode() == (
                f"POST /v5/order/create HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: gridbot/0.1.0\r\n"
                "Accept: application/json\r\nAccept-Encoding: identity\r\nX-BAPI-SIGN: s\r\nContent-Length: 11\r\n\r\n"
                '{"qty":"1"}'
            )

    run(scene())


def test_what_an_address_may_not_hold_is_quoted() -> None:
    """A cursor of the exchange goes back to it as it came; one with a line end would be a request of its own."""

    async def scene() -> None:
        async with raw() as exchange:
            await exchange.ask(GET._replace(target="/v5/order/realtime?cursor=a b\r\nX: y#\u00e9%3A"))
            assert exchange.requests[0].split(b"\r\n")[0] == (
                b"GET /v5/order/realtime?cursor=a%20b%0D%0AX:%20y%23%C3%A9%3A HTTP/1.1"
            )

    run(scene())


@case_table("url", ["ftp://a", "http://", "127.0.0.1:80", "https://a/b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected an address like"):
        HttpPool(url, timeout_s=1, most=1)


# ---------------------------------------------------------------------- what comes back


def once(*parts: bytes, close: bool = False) -> Any:
    """The first connection hears this for its first request; all else is polite."""

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.request()
            await peer.say(*parts)
            if close:
                return
        await polite(peer)

    return script


KEEP = answer(b"a")
CLOSE = answer(b"a", "Connection: close")
OLD = answer(b"a", start="HTTP/1.0 200 OK")
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\na"


@pytest.mark.parametrize(
    ("parts", "close", "connections"),
    [
        ((KEEP,), False, 1),
        ((answer(b"a", "Connection: keep-alive", start="HTTP/1.0 200 OK"),), False, 1),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" + KEEP,), False, 1),
        ((CLOSE,), False, 2),
        ((OLD,), False, 2),
        ((ENDLESS,), True, 2),
        ((KEEP + answer(b"other"),), False, 2),
        ((KEEP + b"garbage",), False, 2),
        (tuple(KEEP[n : n + 1] for n in range(len(KEEP))), False, 1),
    ],
)
def test_answers_and_what_becomes_of_their_connection(parts: tuple[bytes, ...], close: bool, connections: int) -> None:
    async def scene() -> None:
        async with raw(once(*parts, close=close)) as exchange:
            assert (await exchange.ask()).content == b"a"
            assert (await exchange.ask()).content == b"{}"
            assert len(exchange.peers) == connections

    run(scene())


@pytest.mark.parametrize(
    ("parts", "close", "kind"),
    [
        ((b"garbage",), False, Unusable),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",), False, Unusable),
        ((answer(b"a", "Content-Encoding: br"),), False, Unusable),
        ((b"HTTP/1.1 101 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",), False, Unusable),
        ((), True, Broken),
        ((KEEP[:-1],), True, Broken),
        ((KEEP[:5],), True, Broken),
    ],
)
def test_what_is_no_answer_costs_its_connection_and_no_other(
    parts: tuple[bytes, ...], close: bool, kind: type[CarrierError]
) -> None:
    async def scene() -> None:
        async with raw(once(*parts, close=close)) as exchange:
            error = await failure(exchange.ask(ORDER))
            assert type(error) is kind
            assert error.has_left
            assert (await exchange.ask()).content == b"{}"
            assert exchange.requests[0].startswith(b"POST")
            assert [request[:3] for request in exchange.requests[1:]] == [b"GET"], "the order was not sent again"

    run(scene())


def test_a_reset_in_the_middle_of_an_answer_without_a_length_is_no_end() -> None:
    async def scene() -> None:
        begun = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(ENDLESS)
            begun.set()
            await asyncio.sleep(3600)

        async with raw(script) as exchange:
            asked = exchange.begin(GET, 5.0)
            await begun.wait()
            sock = exchange.peers[0].writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            exchange.peers[0].cut()
            assert type(await failure(asked)) is Broken

    run(scene())


def test_silence_ends_in_time_and_the_late_answer_is_nobodys() -> None:
    async def scene() -> None:
        late = asyncio.Event()

        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await peer.request()
                await late.wait()
                await peer.say(answer(b"late"))
            await polite(peer)

        async with raw(script) as exchange:
            error = await failure(exchange.ask(ORDER, timeout_s=1.0))
            assert (type(error), str(error)) == (NoAnswer, "no answer in time")
            late.set()
            assert [(await exchange.ask()).content for _ in range(3)] == [b"{}"] * 3
            assert len(exchange.requests) == 4

    run(scene())


def test_an_answer_that_comes_byte_by_byte_has_an_end() -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            while True:
                await peer.say(b"HTTP/1.1 200 OK\r\n" if peer.number == 0 else b"")
                for _ in range(10_000):
                    await peer.say(b"A")
                    await asyncio.sleep(0.01)

        async with raw(script) as exchange:
            error = await failure(exchange.ask(timeout_s=0.1))  # the script would go on for a hundred seconds
            assert (type(error), str(error)) == (NoAnswer, "no whole answer in time")

    run(scene())


def test_bytes_that_keep_coming_are_waited_for_longer_than_silence() -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            for part in (KEEP[:10], KEEP[10:30], KEEP[30:]):
                await asyncio.sleep(0.3)
                await peer.say(part)

        async with raw(script) as exchange:
            assert (await exchange.ask(timeout_s=0.5)).content == b"a"

    run(scene())


def test_an_answer_before_any_request_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await peer.request()
                await peer.say(KEEP)
                await spoken.wait()
                await peer.say(answer(b"unasked"))
            await polite(peer)

        spoken = asyncio.Event()
        async with raw(script) as exchange:
            await exchange.ask()
            spoken.set()
            await eventually(lambda: not exchange.pool._idle)
            assert (await exchange.ask()).content == b"{}"

    with caplog.at_level(logging.INFO, "gridbot"):
        run(scene())
    assert "nobody had asked for" in caplog.text


def test_an_unasked_answer_that_the_loop_has_not_seen_yet_is_noticed_before_use() -> None:
    async def scene() -> None:
        async with raw() as exchange:
            await exchange.ask()
            (peer,) = exchange.peers
            (used,) = exchange.pool._idle
            os_socket = peer.writer.get_extra_info("socket")
            assert os_socket.fileno() >= 0
            peer.writer.write(answer(b"unasked"))  # leaves at once; our side's loop has not run since
            assert not used.is_usable
            assert (await exchange.ask()).content == b"{}"

    run(scene())
