"""Messages cut out of a byte stream, and a channel that neither a slow nor a rude child can block."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.pipe_frames import FrameReader, frame
from supervisor.children.pipe import ChildPipe
from tests.case_table import case_table
from tests.examples import examples

MESSAGES = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=50)), max_size=6)


@settings(max_examples=examples(60), deadline=None)
@given(MESSAGES, st.data())
def test_messages_survive_any_cutting(messages, data):
    stream = b"".join(frame(message) for message in messages)
    reader = FrameReader()
    got: list[dict[str, object]] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:size])
        stream = stream[size:]
    assert got == messages


def test_reads_what_a_connection_sends():
    parent, child = multiprocessing.Pipe()
    child.send({"type": "health", "text": "x" * 40_000})
    reader = FrameReader()
    got: list[dict[str, object]] = []
    while not got:
        got += reader.feed(os.read(parent.fileno(), 1 << 16))
    assert got == [{"type": "health", "text": "x" * 40_000}]


@case_table(
    "rubbish",
    [
        struct.pack("!i", -7),
        struct.pack("!iQ", -1, 1 << 40),
        struct.pack("!i", 3) + b"abc",
        struct.pack("!i", len(pickle.dumps([1]))) + pickle.dumps([1]),
    ],
)
def test_rubbish_is_an_error(rubbish):
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        list(FrameReader().feed(rubbish))


class Ends:
    """A channel on one end of a duplex pipe; the test plays the child on the other."""

    def __init__(self):
        ours, self.child = multiprocessing.Pipe()
        self.messages: list[dict[str, object]] = []
        self.closed = asyncio.Event()
        self.reason = ""
        self.got = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.channel = ChildPipe(loop, ours, ours, self._message, self._end)

    def _end(self, reason):
        self.reason = reason
        self.closed.set()

    def _message(self, message):
        self.messages.append(message)
        self.got.set()


def test_a_child_that_does_not_read_never_blocks_us():
    async def scenario():
        ends = Ends()
        sent = 0
        while ends.channel.send({"type": "ack", "seq": sent, "text": "x" * 1000}):
            sent += 1
            assert sent < 10_000
        loop = asyncio.get_running_loop()
        received = 0
        while received < sent:
            assert (await loop.run_in_executor(None, ends.child.recv))["seq"] == received
            received += 1
        assert ends.channel.send({"type": "stop"})
        assert (await loop.run_in_executor(None, ends.child.recv)) == {"type": "stop"}
        ends.channel.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_half_a_message_waits_and_the_end_is_told_once():
    async def scenario():
        ends = Ends()
        whole = frame({"type": "ready"})
        os.write(ends.child.fileno(), whole[:7])
        await asyncio.sleep(0)
        assert ends.messages == []
        os.write(ends.child.fileno(), whole[7:])
        await ends.got.wait()
        assert ends.messages == [{"type": "ready"}]
        ends.child.close()
        await ends.closed.wait()
        assert ends.channel.send({"type": "stop"}) is False
        ends.channel.close()
        ends.channel.close()
        assert ends.channel.send({"type": "stop"}) is False

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_a_dead_child_left_is_drained():
    async def scenario():
        ends = Ends()
        for number in range(100):
            ends.child.send({"n": number})
        ends.child.close()
        ends.channel.drain()
        assert [message["n"] for message in ends.messages] == list(range(100))
        ends.channel.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_child_that_dies_with_our_messages_unread_has_closed_its_end_and_no_more():
    async def scenario():
        ends = Ends()
        ends.child.send({"n": 1})
        assert ends.channel.send({"type": "ack"})
        ends.child.close()
        await ends.closed.wait()
        assert (ends.messages, ends.reason) == ([{"n": 1}], ""), "the reset that follows is the end, not a fault"
        ends.channel.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))
