"""Connections to a server that says what no good one would: nobody gets another's answer, and each end has a name."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from gridbot.bybit import http_connection, http_pool
from gridbot.bybit.carrier import Answer, Broken, CarrierError, NoAnswer, NotSent, Outgoing, Unusable
from gridbot.bybit.http_connection import HttpConnection
from gridbot.bybit.http_pool import SPARE, WARM, HttpPool
from tests.bybit.raw_server import GET, ORDER, Peer, answer, carried, polite, raw
from tests.bybit.support import eventually, run


async def failure(asked: Any) -> CarrierError:
    with pytest.raises(CarrierError) as caught:
        await asked
    return caught.value


def shut(of_a_loop: Any, how: int) -> None:
    """Shut down a socket behind the back of its loop."""
    with socket.socket(fileno=os.dup(of_a_loop.fileno())) as twin:
        twin.shutdown(how)


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


@pytest.mark.parametrize(
    "outgoing",
    [
        GET._replace(headers={"A": "b\r\nEvil: c"}),
        GET._replace(headers={"A": "b\nEvil: c"}),
        GET._replace(headers={"A\r": "b"}),
        GET._replace(headers={"A": "\u20ac"}),
    ],
)
def test_a_header_that_would_be_two_never_leaves(outgoing: Outgoing) -> None:
    async def scene() -> None:
        async with raw() as exchange:
            with pytest.raises(ValueError):
                await exchange.ask(outgoing)
            assert not exchange.peers

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


@pytest.mark.parametrize("url", ["ftp://a", "http://", "127.0.0.1:80", "https://a/b"])
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
            error = await failure(exchange.ask(ORDER, timeout_s=0.05))
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


# ---------------------------------------------------------------------- connections that are gone


def test_a_connection_that_the_server_has_closed_is_noticed_before_it_is_used() -> None:
    async def scene() -> None:
        async with raw() as exchange:
            for number in range(1, 4):
                await exchange.ask()
                peer = exchange.peers[-1]
                shut(peer.writer.get_extra_info("socket"), socket.SHUT_RDWR)
                # Without a turn of the loop in between: it cannot know yet.
                assert (await exchange.ask()).content == b"{}"
                assert len(exchange.requests) == 2 * number
                assert len(exchange.peers) == number + 1

    run(scene())


def test_a_request_of_which_nothing_left_goes_out_once_more_on_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        async with raw() as exchange:
            await exchange.ask()
            (connection,) = exchange.pool._idle
            transport = connection._transport
            assert transport is not None
            shut(transport.get_extra_info("socket"), socket.SHUT_WR)  # our own way out is closed
            monkeypatch.setattr(HttpConnection, "is_usable", True)
            assert (await exchange.ask(ORDER)).content == b"{}"
            assert sorted(len(peer.heard) for peer in exchange.peers if peer.heard) == [1, 1]

    run(scene())


def test_a_request_of_which_nothing_left_twice_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with raw() as exchange:
            monkeypatch.setattr(HttpConnection, "send", lambda self, trip: False)
            error = await failure(exchange.ask(ORDER))
            assert type(error) is NotSent
            assert not error.has_left
            assert exchange.requests == []

    run(scene())


def test_nobody_there_means_that_nothing_left() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        pool = HttpPool(f"http://127.0.0.1:{port}", timeout_s=5, most=2)
        error = await failure(carried(pool, ORDER, 5))
        assert (type(error), str(error)) == (NotSent, "ConnectionRefusedError")
        pool.close()

    run(scene())


def test_a_handshake_that_does_not_end_is_given_up() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never says a word
            pool = HttpPool(f"https://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.1, most=2)
            error = await failure(carried(pool, ORDER, 5))
            assert (type(error), str(error)) == (NotSent, "none in time")
            pool.close()

    run(scene())


def test_a_request_that_gets_no_connection_in_time_is_given_up() -> None:
    async def scene() -> None:
        async def silent(peer: Peer) -> None:
            await asyncio.sleep(3600)

        async with raw(silent, most=1) as exchange:
            first = exchange.begin(GET, 5.0)
            await eventually(lambda: exchange.pool._open)
            error = await failure(exchange.ask(ORDER, timeout_s=0.1))
            assert (type(error), str(error)) == (NotSent, "none in time")
            assert not first.done()

    run(scene())


def test_a_name_is_looked_up_beside_the_loop_and_one_that_has_no_address_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        async with raw() as exchange:
            asked: list[str] = []
            port = exchange.url.rpartition(":")[2]
            pool = HttpPool(f"http://exchange.invalid:{port}", timeout_s=5, most=4)

            def found(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
                asked.append(threading.current_thread().name)
                if len(asked) == 1:
                    raise socket.gaierror(-2, "Name or service not known")
                nowhere = ("127.0.0.1", 1)  # the first address does not answer
                return [(0, 0, 0, "", (host, port)) for host, port in (("127.1.2.3", 1), ("127.0.0.1", 0), nowhere)]

            monkeypatch.setattr(socket, "getaddrinfo", found)
            assert str(await failure(carried(pool, GET, 5))) == "gaierror"
            answers = [carried(pool, GET, 5) for _ in range(3)]
            assert [(await each).status_code for each in answers] == [200] * 3
            assert asked == ["bybit-name"] * 2, "one look-up for all, that holds for a while"
            assert b"Host: exchange.invalid:" in exchange.requests[0]
            pool.close()

    run(scene())


# ---------------------------------------------------------------------- how many, and for whom


def test_orders_find_a_connection_whatever_queries_there_are() -> None:
    async def scene() -> None:
        release = asyncio.Event()

        async def script(peer: Peer) -> None:
            while request := await peer.request():
                if request.startswith(b"GET"):
                    await release.wait()
                await peer.say(answer())

        async with raw(script) as exchange:
            await exchange.ask(ORDER)
            await eventually(lambda: len(exchange.pool._idle) >= SPARE)
            queries = [exchange.begin(GET, 5.0) for _ in range(4)]
            await eventually(lambda: sum(len(peer.heard) for peer in exchange.peers) == 5)
            assert len(exchange.pool._idle) >= SPARE
            for _ in range(3):
                before = len(exchange.peers)
                orders = [exchange.begin(ORDER, 5.0) for _ in range(SPARE)]
                assert all(each.trip is not None for each in exchange.pool._open), "they have left"
                await asyncio.gather(*orders)
                assert len(exchange.peers) == before
            release.set()
            await asyncio.gather(*queries)
            assert len(exchange.pool._idle) <= WARM

    run(scene())


def test_queries_keep_all_connections_alive_and_an_order_takes_the_warmest() -> None:
    async def scene() -> None:
        async with raw() as exchange:
            await asyncio.gather(*(exchange.ask() for _ in range(3)))
            for _ in range(6):
                await exchange.ask()
            assert sorted(len(peer.heard) for peer in exchange.peers) == [3, 3, 3]
            for _ in range(6):
                await exchange.ask(ORDER)
            assert sorted(len(peer.heard) for peer in exchange.peers) == [3, 3, 9]

    run(scene())


def test_spare_connections_come_back_while_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with raw() as exchange:
            await exchange.ask()
            assert len(exchange.peers) == 1, "who only asks needs no spare ones"
            await exchange.ask(ORDER)
            await eventually(lambda: len(exchange.pool._idle) == SPARE)
            before = len(exchange.peers)
            for peer in exchange.peers:
                peer.close()
            await eventually(lambda: len(exchange.peers) == before + SPARE and len(exchange.pool._idle) == SPARE)
            monkeypatch.setattr(http_pool, "WARM_FOR_S", -1.0)
            for peer in exchange.peers:
                peer.close()
            await eventually(lambda: not exchange.pool._open)
            exchange.pool._look()
            assert not exchange.pool._dials

    run(scene())


def test_who_hangs_up_on_every_spare_connection_is_not_dialled_all_the_time() -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            if peer.number == 0:
                await polite(peer)

        async with raw(script) as exchange:
            await exchange.ask()
            asked = [await exchange.ask(ORDER) for _ in range(20)]
            assert len(asked) == 20
            await eventually(lambda: exchange.pool._dial_wait_s)
            assert len(exchange.peers) <= 1 + 2 * SPARE

    run(scene())


def test_idle_connections_are_closed_before_the_server_does() -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            while await peer.request():
                await peer.say(answer(b"", "Keep-Alive: timeout=3"))

        async with raw(script) as exchange:
            await exchange.ask()
            (connection,) = exchange.pool._idle
            loop = asyncio.get_running_loop()
            assert connection.idle_until_s - loop.time() <= 1.0
            await eventually(lambda: not exchange.pool._open)
            assert exchange.pool._timer is None, "nothing is open, and nothing is waited for"

    run(scene())


def test_a_connection_that_was_idle_too_long_is_not_used_even_when_the_loop_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        monkeypatch.setattr(http_connection, "IDLE_S", 0.05)
        async with raw() as exchange:
            await exchange.ask()
            time.sleep(0.1)
            await exchange.ask()
            assert [len(peer.heard) for peer in exchange.peers] == [1, 1]

    run(scene())


# ---------------------------------------------------------------------- cancelled, closed


def test_who_no_longer_waits_takes_nobody_elses_answer() -> None:
    async def scene() -> None:
        async def script(peer: Peer) -> None:
            while request := await peer.request():
                await peer.say(answer(request.split(b" ")[1]))

        async with raw(script) as exchange:
            for number in range(50):
                given_up = exchange.begin(GET._replace(target=f"/{number}/a"), 5.0)
                if number % 2:
                    await asyncio.sleep(0)
                given_up.cancel()
                found: Answer = await exchange.ask(GET._replace(target=f"/{number}/b"))
                assert found.content == f"/{number}/b".encode()
            await eventually(lambda: len(exchange.requests) == 100)

    run(scene())


def test_close_fails_who_waits_lets_the_rest_end_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(http_pool, "CLOSING_S", 0.3)
        release = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            if peer.number < 2:
                await release.wait() if peer.number == 0 else await asyncio.sleep(3600)
            await peer.say(answer())

        async with raw(script, most=2) as exchange:
            ends, hangs = exchange.begin(GET, 30.0), exchange.begin(GET, 30.0)
            await eventually(lambda: len(exchange.requests) == 2)
            waits = exchange.begin(ORDER, 30.0)
            exchange.pool.close()
            assert str(await failure(waits)) == "closed"
            assert str(await failure(exchange.ask())) == "closed"
            release.set()
            assert (await ends).content == b"{}"
            assert type(await failure(hangs)) is NoAnswer
            assert not exchange.pool._open
            assert {task.get_name() for task in asyncio.all_tasks()} & {"bybit-dial"} == set()

    run(scene())


def test_close_ends_dials_that_are_under_way() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            pool = HttpPool(f"https://127.0.0.1:{server.getsockname()[1]}", timeout_s=30, most=2)
            asked = carried(pool, ORDER, 30)
            await eventually(lambda: select.select([server], [], [], 0)[0])
            pool.close()
            assert str(await failure(asked)) == "closed"
            await eventually(lambda: not any(task.get_name() == "bybit-dial" for task in asyncio.all_tasks()))

    run(scene())


def test_a_pool_that_was_never_used_can_be_closed_anywhere() -> None:
    HttpPool("https://api.bybit.com", timeout_s=1, most=1).close()


def test_a_process_can_end_while_a_request_and_a_look_up_hang() -> None:
    """Threads of an executor are joined at exit: it waited for the request's ten minutes. The timeout is the proof."""
    code = """
import asyncio, socket, time
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.exchange.environment import Environment
from gridbot.bybit.rest import BybitRest
server = socket.create_server(("127.0.0.1", 0))
socket.getaddrinfo = lambda *_, **__: time.sleep(600)
async def main():
    for host in ("127.0.0.1", "hangs.invalid"):
        url = f"http://{host}:{server.getsockname()[1]}"
        rest = BybitRest(endpoints_for(Environment.PAPER, url), Credentials("k", "s"), timeout=600)
        call = asyncio.create_task(rest.open_orders())
        await asyncio.sleep(0.2)
        rest.close()
        call.cancel()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
