"""The worker's end of the pipe: what arrives, and what counts as the end of the supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from gridbot import background
from gridbot.worker.supervisor_pipe import SupervisorPipe


class Ends:
    """Both ends: a `SupervisorPipe` that listens, and the supervisor's connection."""

    def __init__(self) -> None:
        ours, self.supervisor = Pipe()
        self.connection: Connection[Any, Any] = ours
        self.pipe = SupervisorPipe(ours)
        self.messages: list[dict[str, Any]] = []
        self.ended = 0
        self.fault: Exception | None = None
        self.pipe.listen(asyncio.get_running_loop(), self._on_message, self._on_end)

    def _on_message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if self.fault is not None:
            raise self.fault

    def _on_end(self) -> None:
        self.ended += 1


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0.005)


@asynccontextmanager
async def open_ends() -> AsyncIterator[Ends]:
    both = Ends()
    yield both
    both.pipe.close()
    both.connection.close()
    both.supervisor.close()


async def test_messages_arrive_in_order() -> None:
    async with open_ends() as ends:
        for number in range(3):
            ends.supervisor.send({"type": "ack", "seq": number})
        await settle()
        assert [message["seq"] for message in ends.messages] == [0, 1, 2]


async def test_the_supervisor_is_gone_when_its_end_is_closed() -> None:
    async with open_ends() as ends:
        ends.supervisor.send({"type": "stop"})
        ends.supervisor.close()
        await settle()
        assert [message["type"] for message in ends.messages] == ["stop"]
        assert ends.ended == 1


async def test_a_full_disk_during_a_command_does_not_mean_that_the_supervisor_is_gone() -> None:
    """The worker would stop as an orphan."""
    async with open_ends() as ends:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context.get("exception")))
        ends.fault = OSError("no space left on device")
        for _ in range(2):  # the second is not held up by the first
            ends.supervisor.send({"type": "command"})
        await settle()
        assert faults == [ends.fault] * 2
        ends.fault = None
        ends.supervisor.send({"type": "ack"})
        await settle()
        assert len(ends.messages) == 3
        assert ends.ended == 0


async def test_what_is_sent_reaches_the_supervisor() -> None:
    async with open_ends() as ends:
        ends.pipe.send({"type": "ready"})
        await settle()
        assert ends.supervisor.recv() == {"type": "ready"}


async def test_a_message_that_cannot_be_sent_is_told_of_and_the_next_one_arrives() -> None:
    """The thread died of it: no report came any more, and the worker was killed for its silence."""
    told: list[str] = []
    with background.watch(asyncio.get_running_loop(), lambda part, error: told.append(str(error))):
        async with open_ends() as ends:
            ends.pipe.send({"type": "health", "figure": lambda: None})
            ends.pipe.send({"type": "health", "figure": 1})
            while not ends.supervisor.poll() or not told:
                await asyncio.sleep(0.001)
            assert ends.supervisor.recv() == {"type": "health", "figure": 1}
    assert "a message of type 'health' cannot be sent" in told[0]


async def test_messages_larger_than_the_pipe_arrive_and_so_do_those_behind_them() -> None:
    """A fleet's worker sends its ledger: the thread died of the first that was larger, and the worker was killed for
    its silence, again and again. The other way half a message looked like the end of the supervisor."""
    large = "x" * (1 << 20)
    async with open_ends() as ends:
        for number in range(2):
            ends.pipe.send({"type": "document", "number": number, "text": large})
        await settle()  # the pipe is full, and nobody reads
        read = asyncio.get_running_loop().run_in_executor
        for number in range(2):
            assert await read(None, ends.supervisor.recv) == {"type": "document", "number": number, "text": large}
        sending = read(None, ends.supervisor.send, {"type": "reload", "text": large})
        while not ends.messages and not ends.ended:
            await asyncio.sleep(0.001)
        await sending
        assert (ends.messages, ends.ended) == ([{"type": "reload", "text": large}], 0)
