"""A line against peers that keep to nothing, with each library: it ends or goes on, says why, and the loop lives."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from gridbot import background
from gridbot.bybit.aiohttp_line import AiohttpLine
from gridbot.bybit.line_base import LineBase, TurnBudget
from gridbot.bybit.line_choice import name_of_lines
from gridbot.bybit.line_route import RECEIVE_BYTES
from gridbot.exchange.failures import ErrorKind
from tests.bybit.raw_peer import BINARY, CLOSE, MORE, PING, PONG, QUICK, TEXT, Call, Hearer, RawPeer, dial, frame
from tests.bybit.support import eventually, run

Make = Callable[..., LineBase]


@contextlib.asynccontextmanager
async def quietly() -> AsyncIterator[None]:
    """Nothing may reach the loop's exception handler, and every line is over at the end."""
    told: list[str] = []
    with background.watch(asyncio.get_running_loop(), lambda part, error: told.append(f"{part}: {error!r}")):
        yield
        gc.collect()
        await asyncio.sleep(0.01)
    assert told == []


async def over(hearer: Hearer) -> None:
    await eventually(lambda: hearer.line.is_over)
    assert not hearer.line.is_open


def call_accepted(script: Callable[[Call], Awaitable[None]]) -> Callable[[Call], Awaitable[None]]:
    """`script` after the upgrade was accepted."""

    async def accepted(call: Call) -> None:
        call.accept()
        await script(call)

    return accepted


def scene_of(
    each_line: Make, script: Callable[[Call], Awaitable[None]], check: Callable[[Hearer], Awaitable[None]], **options
) -> None:
    """`script` after the upgrade was accepted; `check` is awaited with what was heard."""

    async def scene() -> None:
        async with quietly(), RawPeer(call_accepted(script)) as peer:
            hearer = dial(each_line, peer.url, **options)
            await check(hearer)
            hearer.line.abandon()
            await over(hearer)
            if isinstance(hearer.line, AiohttpLine) and hearer.opens:
                assert hearer.line._socket is not None
                assert hearer.line._socket._response.connection is None, "it would complain when it is collected"

    run(scene())


# ---------------------------------------------------------------------- what arrives


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 99_999])
def test_a_message_of_any_size_arrives_as_it_is(each_line: Make, size: int) -> None:
    payload = os.urandom(size)

    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, payload) + frame(BINARY, payload))

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: len(hearer.messages) == 2)
        assert hearer.messages == [payload, payload]
        assert hearer.line.is_open

    scene_of(each_line, script, check)


def test_the_first_message_may_come_with_the_answer_to_the_upgrade(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"one") + frame(PING, b"?") + frame(TEXT, b"two"))
        assert await call.read_frame() == (PONG, b"?")

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.messages == [b"one", b"two"])

    scene_of(each_line, script, check)


def test_a_message_in_pieces_is_one_message_and_pings_may_come_between(each_line: Make) -> None:
    async def script(call: Call) -> None:
        pieces = [frame(TEXT, b"a", fin=False), frame(PING, b"1"), frame(MORE, b"b", fin=False), frame(MORE, b"c")]
        for piece in pieces:
            for byte in piece:
                call.writer.write(bytes((byte,)))
                await asyncio.sleep(0)
        call.writer.write(frame(TEXT, b"next"))
        assert await call.read_frame() == (PONG, b"1")

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.messages == [b"abc", b"next"])

    scene_of(each_line, script, check)


def test_a_text_that_is_no_utf_8_is_the_listeners_to_judge(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"\xff\xfe") + frame(TEXT, b"after"))

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.messages == [b"\xff\xfe", b"after"])

    scene_of(each_line, script, check)


def test_what_a_listener_raises_is_told_and_the_line_goes_on(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"bad") + frame(TEXT, b"good"))

    def on_each(data: bytes) -> None:
        if data == b"bad":
            raise ZeroDivisionError

    async def accepted(call: Call) -> None:
        call.accept()
        await script(call)

    async def scene() -> None:
        told: list[str] = []
        loop = asyncio.get_running_loop()
        with background.watch(loop, lambda part, error: told.append(type(error).__name__)):
            async with RawPeer(accepted) as peer:
                hearer = dial(each_line, peer.url, on_each=on_each)
                await eventually(lambda: hearer.messages == [b"bad", b"good"])
                hearer.line.abandon()
                await over(hearer)
        assert told == ["ZeroDivisionError"]

    run(scene())


def test_messages_say_whether_another_one_is_at_hand(each_line: Make) -> None:
    more: list[bool] = []

    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))

    async def check(hearer: Hearer) -> None:
        hearer.on_each = lambda data: more.append(hearer.line.has_more)
        await eventually(lambda: len(more) == 3)
        assert more == [True, True, False]

    scene_of(each_line, script, check)


# ---------------------------------------------------------------------- what breaks the protocol

BREAKS = {
    "a huge frame": frame(TEXT, b"")[:1] + b"\x7f" + (1 << 40).to_bytes(8, "big"),
    "longer than allowed": frame(TEXT, b"x" * 100_001),
    "longer than allowed, in pieces": frame(TEXT, b"x" * 60_000, fin=False) + frame(MORE, b"x" * 60_000),
    "compressed, unasked": frame(TEXT, b"\xaa\x56\x4a\x01\x00", rsv=4),
    "another reserved bit": frame(TEXT, b"x", rsv=2),
    "an unknown opcode": frame(5, b"x"),
    "a ping in pieces": frame(PING, b"x", fin=False),
    "a long ping": frame(PING, b"x" * 126),
    "a piece of nothing": frame(MORE, b"x"),
    "a message within another": frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    "a close frame of one byte": frame(CLOSE, b"x"),
    "a forbidden close code": frame(CLOSE, (1005).to_bytes(2, "big")),
    "HTTP instead of frames": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_breaks_the_protocol_ends_the_line(each_line: Make, what: str) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"before") + frame(PONG, b""))
        await call.writer.drain()
        await asyncio.sleep(0.02)
        call.writer.write(BREAKS[what])

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert hearer.messages == [b"before"]
        assert hearer.error.kind is ErrorKind.RETRY
        assert str(hearer.error).isprintable()

    scene_of(each_line, script, check)


def test_pieces_without_end_are_bounded(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"x", fin=False))
        while True:
            call.writer.write(frame(MORE, b"x" * 100, fin=False) * 100)
            await call.writer.drain()

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert hearer.messages == []

    scene_of(each_line, script, check)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 3000, 4999, None])
def test_a_close_is_answered_and_told_once(each_line: Make, code: int | None) -> None:
    answers: list[tuple[int, bytes]] = []

    async def script(call: Call) -> None:
        call.writer.write(
            frame(TEXT, b"last") + frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + b"bye")
        )
        answers.append(await call.read_frame())

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends and answers)
        assert hearer.messages == [b"last"]
        assert answers[0][0] == CLOSE
        assert "closed the connection" in str(hearer.error)

    scene_of(each_line, script, check)


@pytest.mark.parametrize("how", ["abort", "close"])
def test_a_connection_that_goes_is_told_once(each_line: Make, how: str) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"last"))
        await call.writer.drain()
        await asyncio.sleep(0.02)
        call.writer.transport.abort() if how == "abort" else call.writer.close()

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert hearer.messages == [b"last"]
        assert hearer.error.kind is ErrorKind.RETRY

    scene_of(each_line, script, check)


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


# ---------------------------------------------------------------------- too much at once


@pytest.mark.parametrize("payload", [b"", b"x" * 20, b"x" * 330], ids=["empty", "short", "a ticker"])
def test_a_million_messages_at_once_leave_the_loop_alive(each_line: Make, payload: bytes) -> None:
    """Between two turns of anything else a bounded number is told, and no more is taken in than the kernel holds."""
    count = 1_000_000 if not payload else 200_000
    many = frame(TEXT, payload) * 1_000
    most_told = 2 * (TurnBudget.FULL // (TurnBudget.EACH + len(payload)) + 1)  # what waited, and what comes
    most_taken = 2 * RECEIVE_BYTES // len(frame(TEXT, payload)) + most_told  # Linux doubles what is asked for

    async def script(call: Call) -> None:
        for _ in range(count // 1_000):
            call.writer.write(many)
            await call.writer.drain()
        call.writer.write(frame(TEXT, b"the last"))

    async def scene() -> None:
        async with quietly(), RawPeer(call_accepted(script)) as peer:
            hearer = dial(each_line, peer.url)
            told = worst_told = most_waiting = 0
            while hearer.messages[-1:] != [b"the last"]:
                await asyncio.sleep(0)
                told, before = len(hearer.messages), told
                worst_told = max(worst_told, told - before)
                most_waiting = max(most_waiting, len(getattr(hearer.line, "_left_over", ())))
            assert len(hearer.messages) == count + 1
            assert 0 < worst_told <= most_told
            assert most_waiting <= most_taken
            hearer.line.abandon()
            await over(hearer)

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_close_behind_a_flood_comes_after_it(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"x" * 50) * 5_000 + frame(CLOSE, (1001).to_bytes(2, "big")))
        await call.writer.drain()

    async def check(hearer: Hearer) -> None:
        await eventually(lambda: hearer.ends)
        assert len(hearer.messages) == 5_000

    scene_of(each_line, script, check)


def test_a_slow_listener_shares_the_loop(each_line: Make) -> None:
    async def script(call: Call) -> None:
        call.writer.write(frame(TEXT, b"x" * 330) * 2_000)

    async def check(hearer: Hearer) -> None:
        hearer.on_each = lambda data: time.sleep(0.0001)
        turns = 0
        while len(hearer.messages) < 2_000:
            await asyncio.sleep(0)
            turns += bool(hearer.messages)
        assert turns >= 5

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
