"""The connections of a pool: which one a request takes, how many there are, and what becomes of those that are gone."""

from __future__ import annotations

import asyncio
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
from gridbot.bybit.carrier import Answer, NoAnswer, NotSent
from gridbot.bybit.http_connection import HttpConnection
from gridbot.bybit.http_pool import SPARE, WARM, HttpPool
from tests.bybit.raw_server import GET, ORDER, Peer, answer, carried, failure, polite, raw
from tests.bybit.support import eventually, run


def shut(of_a_loop: Any, how: int) -> None:
    """Shut down a socket behind the back of its loop."""
    with socket.socket(fileno=os.dup(of_a_loop.fileno())) as twin:
        twin.shutdown(how)


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
