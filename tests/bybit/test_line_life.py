"""The life of a line, with each library: connecting, pings, sending, leaving, and peers that keep to none of it."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace

import pytest

from gridbot.bybit.line_base import LineBase
from gridbot.bybit.line_choice import name_of_lines
from gridbot.exchange.failures import ErrorKind
from tests.bybit.line_scenes import Make, over, quietly, scene_of
from tests.bybit.raw_peer import CLOSE, PING, PONG, QUICK, TEXT, Call, Hearer, RawPeer, dial, frame
from tests.bybit.support import eventually, run

# ---------------------------------------------------------------------- pings


def test_pings_leave_at_their_interval_and_a_peer_that_answers_lives(each_line: Make) -> None:
    async def script(call: Call) -> None:
        for _ in range(3):
            opcode, payload = await call.read_frame()
            assert opcode == PING
            call.writer.write(frame(PONG, payload))

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.pongs == 3)
        assert hearer.line.is_open

    scene_of(each_line, script, check, settings=replace(QUICK, ping_interval_s=0.05, ping_timeout_s=2))


def test_a_peer_that_talks_and_answers_no_ping_is_given_up(each_line: Make) -> None:
    async def script(call: Call) -> None:
        while True:
            call.writer.write(frame(TEXT, b"talk"))
            await asyncio.sleep(0.01)

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert "no pong" in str(hearer.error)
        assert hearer.messages

    scene_of(each_line, script, check, settings=replace(QUICK, ping_interval_s=0.05, ping_timeout_s=0.2))


def test_a_half_open_connection_is_given_up(each_line: Make) -> None:
    """Nothing comes, nothing is refused: as when a router has forgotten the connection."""

    async def script(call: Call) -> None:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert "no pong" in str(hearer.error)

    scene_of(each_line, script, check, settings=replace(QUICK, ping_interval_s=0.05, ping_timeout_s=0.2))


def test_our_own_standstill_is_not_the_peers(each_line: Make) -> None:
    """The loop is away for ten times the timeout while a pong is due."""

    async def script(call: Call) -> None:
        while True:
            opcode, payload = await call.read_frame()
            if opcode == PING:
                call.writer.write(frame(PONG, payload))

    async def check(hearer: Hearer) -> None:
        line = hearer.line
        await eventually(lambda: line._awaiting_s is not None)
        time.sleep(1.0)
        before = hearer.pongs
        await eventually(lambda: hearer.pongs > before + 2)
        assert hearer.ends == []

    scene_of(each_line, script, check, settings=replace(QUICK, ping_interval_s=0.05, ping_timeout_s=0.1))


def test_a_flood_of_pings_is_answered_and_a_peer_that_reads_no_answer_is_given_up(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        many = frame(PING, b"x" * 120) * 500
        while True:
            call.writer.write(many)
            await call.writer.drain()

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert "does not read" in str(hearer.error)

    scene_of(each_line, script, check)


# ---------------------------------------------------------------------- sending


@pytest.mark.parametrize("size", [1, 125, 126, 70_000])
def test_what_is_sent_arrives_in_its_order(each_line: Make, size: int) -> None:
    heard: list[tuple[int, bytes]] = []

    async def script(call: Call) -> None:
        while len(heard) < 3:
            heard.append(await call.read_frame())

    def on_opened(line: LineBase) -> None:
        for letter in "abc":
            line.send(letter * size)

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: len(heard) == 3)
        assert heard == [(TEXT, letter * size) for letter in (b"a", b"b", b"c")]

    scene_of(each_line, script, check, on_opened=on_opened)


def test_a_peer_that_does_not_read_is_given_up(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.opens)
        for _ in range(200):
            hearer.line.send("x" * 90_000)
        assert "does not read" in str(hearer.error)
        hearer.line.send("more")

    scene_of(each_line, script, check)


# ---------------------------------------------------------------------- connecting


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (b"401 Unauthorized", ErrorKind.AUTH),
        (b"403 Forbidden", ErrorKind.IP_BAN),
        (b"404 Not Found", ErrorKind.PARAM),
        (b"429 Too Many Requests", ErrorKind.RETRY),
        (b"500 Oops", ErrorKind.RETRY),
        (b"503 Service Unavailable", ErrorKind.RETRY),
        (b"599 Never heard of", ErrorKind.RETRY),
        (b"200 OK", ErrorKind.RETRY),
    ],
)
def test_a_refused_upgrade_has_the_kind_of_its_status(each_line: Make, status: bytes, kind: ErrorKind) -> None:
    async def script(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\nbody")

    async def scene() -> None:
        async with quietly(), RawPeer(script) as peer:
            hearer = dial(each_line, peer.url)
            await over(hearer)
            assert (hearer.opens, hearer.error.kind, hearer.error.http_status) == (0, kind, int(status[:3]))

    run(scene())


def test_a_redirect_is_not_followed(each_line: Make) -> None:
    """A sign-in goes to nobody but who was asked for."""

    async def elsewhere(call: Call) -> None:
        call.accept()

    async def scene() -> None:
        async with quietly(), RawPeer(elsewhere) as other:

            async def script(call: Call) -> None:
                call.writer.write(
                    b"HTTP/1.1 302 Found\r\nLocation: " + other.url.encode() + b"\r\nContent-Length: 0\r\n\r\n"
                )

            async with RawPeer(script) as peer:
                hearer = dial(each_line, peer.url)
                await over(hearer)
                assert hearer.opens == 0
                assert hearer.error
                assert other.calls == []

    run(scene())


GARBAGE = {
    "nothing": b"",
    "noise": os.urandom(100),
    "noise without end": b"x" * 100_000,
    "a header without end": b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 200_000,
    "the wrong proof": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    "no upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_an_answer_that_is_no_upgrade_ends_the_line(each_line: Make, what: str) -> None:
    async def script(call: Call) -> None:
        call.writer.write(GARBAGE[what])
        await asyncio.sleep(0.05)
        call.writer.close()

    async def scene() -> None:
        async with quietly(), RawPeer(script) as peer:
            hearer = dial(each_line, peer.url)
            await over(hearer)
            assert (hearer.opens, hearer.error.kind) == (0, ErrorKind.RETRY)

    run(scene())


@pytest.mark.parametrize("reads_head", [True, False])
def test_an_upgrade_that_never_ends_is_given_up_and_leaves_nothing(each_line: Make, reads_head: bool) -> None:
    async def script(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            call.writer.write(b"X: y\r\n")
            await asyncio.sleep(0.02)

    async def scene() -> None:
        async with quietly(), RawPeer(script, reads_head=reads_head) as peer:
            hearer = dial(each_line, peer.url, replace(QUICK, connect_s=0.2))
            await over(hearer)
            assert "no connection in time" in str(hearer.error)
            await eventually(lambda: peer.calls[0].reader.at_eof() or peer.calls[0].writer.transport.is_closing())

    run(scene())


def test_a_slow_upgrade_is_waited_for(each_line: Make) -> None:
    async def script(call: Call) -> None:
        await asyncio.sleep(0.3)
        call.accept()
        call.writer.write(frame(TEXT, b"hello"))
        await asyncio.sleep(60)

    async def scene() -> None:
        async with quietly(), RawPeer(script) as peer:
            hearer = dial(each_line, peer.url)
            await eventually(lambda: hearer.messages == [b"hello"])
            hearer.line.abandon()
            await over(hearer)

    run(scene())


def test_an_extension_that_nobody_asked_for_changes_nothing(each_line: Make) -> None:
    async def script(call: Call) -> None:
        assert b"permessage-deflate" not in call.head
        call.accept(b"Sec-WebSocket-Extensions: permessage-deflate")
        call.writer.write(frame(TEXT, b"plain"))
        await asyncio.sleep(0.05)
        call.writer.write(frame(TEXT, b"\xaa\x56\x4a\x01\x00", rsv=4))

    async def scene() -> None:
        async with quietly(), RawPeer(script) as peer:
            hearer = dial(each_line, peer.url)
            await over(hearer)
            assert hearer.messages == [b"plain"]
            assert hearer.error.kind is ErrorKind.RETRY

    run(scene())


def test_a_name_that_nobody_has_is_an_end_like_any_other(each_line: Make) -> None:
    async def scene() -> None:
        async with quietly():
            hearer = dial(each_line, "wss://nobody.invalid/v5/private")
            await over(hearer)
            assert hearer.error.kind is ErrorKind.RETRY

    run(scene())


# ---------------------------------------------------------------------- leaving


def test_leaving_says_goodbye_and_hears_nothing_more(each_line: Make) -> None:
    goodbyes: list[tuple[int, bytes]] = []

    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"hello"))
        goodbyes.append(await call.read_frame())
        call.writer.write(frame(TEXT, b"late") + frame(CLOSE, (1000).to_bytes(2, "big")))
        await call.writer.drain()
        call.writer.close()

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.messages)
        hearer.line.leave()
        assert not hearer.line.is_open
        await over(hearer)
        assert goodbyes == [(CLOSE, (1000).to_bytes(2, "big"))]
        assert (hearer.messages, hearer.ends) == ([b"hello"], [])

    scene_of(each_line, script, check)


def test_leaving_a_peer_that_hangs_takes_the_time_of_a_goodbye(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.opens)
        hearer.line.send("x" * 100_000)
        hearer.line.leave()
        await over(hearer)
        assert hearer.ends == []

    scene_of(each_line, script, check)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("how", ["leave", "abandon"])
def test_it_may_be_left_at_any_moment_of_connecting(each_line: Make, how: str, turns: int) -> None:
    async def script(call: Call) -> None:
        call.accept()
        await call.reader.read()

    async def scene() -> None:
        async with quietly(), RawPeer(script) as peer:
            hearer = dial(each_line, peer.url)
            for _ in range(turns):
                await asyncio.sleep(0)
            getattr(hearer.line, how)()
            await over(hearer)
            assert hearer.ends == []
            await eventually(lambda: all(call.reader.at_eof() for call in peer.calls))

    run(scene())


def test_what_the_log_calls_it_is_the_library_that_makes_it(each_line: Make) -> None:
    assert f"gridbot.bybit.{name_of_lines()}_line" == each_line.__module__
