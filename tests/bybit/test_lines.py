"""What a peer sends on a line, with each library: it arrives or ends the line, says why, and the loop lives."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from gridbot import background
from gridbot.bybit.line_base import TurnBudget
from gridbot.bybit.line_route import RECEIVE_BYTES
from gridbot.exchange.failures import ErrorKind
from tests.bybit.line_scenes import Make, call_accepted, over, quietly, scene_of
from tests.bybit.raw_peer import BINARY, CLOSE, MORE, PING, PONG, TEXT, Call, Hearer, RawPeer, dial, frame
from tests.bybit.support import eventually, run

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


# ---------------------------------------------------------------------- too much at once


@pytest.mark.parametrize("payload", [b"", b"x" * 20, b"x" * 330], ids=["empty", "short", "a ticker"])
def test_half_a_million_messages_at_once_leave_the_loop_alive(each_line: Make, payload: bytes) -> None:
    """Between two turns of anything else a bounded number is told, and no more is taken in than the kernel holds."""
    count = {0: 600_000, 20: 50_000, 330: 10_000}[len(payload)]  # several times what the kernel holds
    many = frame(TEXT, payload) * 1_000
    most_told = 2 * (TurnBudget.FULL // (TurnBudget.EACH + len(payload)) + 1)  # what waited, and what comes
    most_taken = 2 * RECEIVE_BYTES // len(frame(TEXT, payload)) + most_told  # Linux doubles what is asked for
    assert count > 2 * most_taken

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
                assert hearer.ends == []
                await asyncio.sleep(0)
                told, before = len(hearer.messages), told
                worst_told = max(worst_told, told - before)
                most_waiting = max(most_waiting, len(getattr(hearer.line, "_left_over", ())))
            assert len(hearer.messages) == count + 1
            assert 0 < worst_told <= most_told
            assert most_waiting <= most_taken
            hearer.line.abandon()
            await over(hearer)

    asyncio.run(asyncio.wait_for(scene(), 600))  # it computes all the time, on whatever cores it gets


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
