"""TCP proxies that cut, delay, hold back and lose what passes, each direction by itself: trouble for real connections.

::

    with Proxies() as proxies:
        proxy = proxies.to("127.0.0.1", 5432)     # clients connect to proxy.port
        proxy.cut()                               # all connections end; new ones are refused
        proxy.hold()                              # a silent partition: nothing passes, nothing ends; new connections
                                                  # are accepted and lead nowhere (half-open)
        proxy.delay(0.3, TO_CLIENT)               # what is answered comes later
        proxy.lose(TO_CLIENT)                     # what is answered is thrown away
        proxy.lose_answer_to(b"UPDATE gridbot")   # once: the request arrives, its answer does not
        proxy.mend()                              # all is well again; connections that have lost bytes end

All proxies of one `Proxies` live on one loop in a thread of its own. Every method may be called from any other thread.
A connection to the server has the source address of its client, so that limits by address stay what they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from gridbot import background

__all__ = ["TO_CLIENT", "TO_SERVER", "Proxies", "TcpProxy"]

TO_SERVER: Final = "to the server"
TO_CLIENT: Final = "to the client"
BOTH: Final = (TO_SERVER, TO_CLIENT)
CHUNK: Final = 65536
CALL_S: Final = 60.0


@dataclass(slots=True)
class _Way:
    """What becomes of bytes in one direction. `passes` is clear while they are held back."""

    passes: asyncio.Event = field(default_factory=asyncio.Event)
    delay_s: float = 0.0
    loses: bool = False

    def __post_init__(self) -> None:
        self.passes.set()


@dataclass(slots=True, eq=False)
class _Line:
    """One connection through the proxy. `broken`: bytes of it are lost, so it can only end."""

    writers: list[asyncio.StreamWriter]
    broken: bool = False
    deaf: bool = False
    """The next answer is thrown away."""

    def end(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class TcpProxy:
    """One port that leads to one server. `server` may be set to another one, for new connections."""

    def __init__(self, server: tuple[str, int], call: Callable[[Callable[[], None]], None]) -> None:
        self.server = server
        self.port = 0
        self.lost_answers = 0
        """How many answers were thrown away by `lose_answer_to`."""
        self._call = call
        self._ways = {way: _Way() for way in BOTH}
        self._lines: dict[_Line, None] = {}
        self._refuses = False
        self._needle = b""
        self._listening: asyncio.Server | None = None

    # ------------------------------------------------------------------ trouble, from any thread

    def cut(self) -> None:
        """End all connections, and refuse new ones."""

        def cut() -> None:
            self._refuses = True
            self._end_lines()

        self._call(cut)

    def hold(self, *ways: str) -> None:
        """Hold bytes back, in these directions (none named: both). What is held back passes after `mend`."""

        def hold() -> None:
            for way in ways or BOTH:
                self._ways[way].passes.clear()

        self._call(hold)

    def delay(self, seconds: float, *ways: str) -> None:
        """Let bytes wait so long on their way."""

        def delay() -> None:
            for way in ways or BOTH:
                self._ways[way].delay_s = seconds

        self._call(delay)

    def lose(self, *ways: str) -> None:
        """Read bytes and throw them away."""

        def lose() -> None:
            for way in ways or BOTH:
                self._ways[way].loses = True

        self._call(lose)

    def lose_answer_to(self, needle: bytes) -> None:
        """Let the next request that contains these bytes arrive, throw its answer away, and end that connection."""

        def arm() -> None:
            self._needle = needle

        self._call(arm)

    def mend(self) -> None:
        """All passes again."""

        def mend() -> None:
            self._refuses, self._needle = False, b""
            for line in [line for line in self._lines if line.broken]:
                line.end()
            for way in self._ways.values():
                way.delay_s, way.loses = 0.0, False
                way.passes.set()

        self._call(mend)

    # ------------------------------------------------------------------ on the loop

    async def open(self) -> None:
        """Listen on a free port of loopback."""
        self._listening = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = int(self._listening.sockets[0].getsockname()[1])

    def close(self) -> None:
        """End everything."""
        if self._listening is not None:
            self._listening.close()
        self._end_lines()

    def _end_lines(self) -> None:
        for line in list(self._lines):
            line.end()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line([writer])
        self._lines[line] = None
        try:
            if self._refuses:
                return
            await self._ways[TO_SERVER].passes.wait()
            await self._ways[TO_CLIENT].passes.wait()
            source = writer.get_extra_info("peername")[0]
            there, away = await asyncio.open_connection(*self.server, local_addr=(source, 0))
            line.writers.append(away)
            works = (self._pump(line, reader, away, TO_SERVER), self._pump(line, there, writer, TO_CLIENT))
            tasks = [background.start(work, name="a way through a proxy") for work in works]
            await asyncio.wait(tasks)
        except OSError:
            pass  # nobody listens there: the client's connection ends
        finally:
            self._lines.pop(line, None)
            line.end()

    async def _pump(
        self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        way = self._ways[direction]
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if direction == TO_SERVER and self._needle and self._needle in chunk:
                    self._needle, line.deaf = b"", True
                if way.delay_s:
                    await asyncio.sleep(way.delay_s)
                await way.passes.wait()
                if direction == TO_CLIENT and line.deaf:
                    self.lost_answers += 1
                    line.end()
                    return
                if way.loses:
                    line.broken = True
                    continue
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


class Proxies:
    """The thread and the loop of some proxies; `with` ends them all."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._proxies: list[TcpProxy] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def to(self, host: str, port: int) -> TcpProxy:
        """A new proxy of that server, which listens already."""
        proxy = TcpProxy((host, port), self._call)
        asyncio.run_coroutine_threadsafe(proxy.open(), self._loop).result(CALL_S)
        self._proxies.append(proxy)
        return proxy

    def _call(self, work: Callable[[], None]) -> None:
        async def on_the_loop() -> None:
            work()

        asyncio.run_coroutine_threadsafe(on_the_loop(), self._loop).result(CALL_S)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in self._proxies:
            self._call(proxy.close)
        asyncio.run_coroutine_threadsafe(_settled(), self._loop).result(CALL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()


async def _settled() -> None:
    """Until no connection has work left. Their ends were brought about just before."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for each in others:
            each.cancel()
        await asyncio.wait(others)
