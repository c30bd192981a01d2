"""The one reader of the records: a process that is there while somebody looks, asked one question at a time.

The same question within `FRESH_S` gets the same answer, and so does everybody who waits for it. No more than
`MOST_WAITING` questions wait: the pages of others are told to come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gridbot import background
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.private_files import make_directory
from supervisor.web.web_spec import FLEET, downloads_directory

__all__ = ["Busy", "NoReader", "RecordReader", "RecordReply"]

log = logging.getLogger("supervisor.web")

FRESH_S: Final = 2.0
KEPT_S: Final = 20.0
MOST_KEPT_BYTES: Final = 4_000_000
"""Of questions and answers; older ones than `KEPT_S` are good for nobody."""
MOST_WAITING: Final = 24
ANSWER_S: Final = 90.0
"""A reader that needs longer is ended. Pages are answered earlier (408), and find it done the next time."""
IDLE_S: Final = 60.0
"""So long without a question, and its process ends: a page that nobody looks at costs nothing."""
LONGEST_LINE: Final = 1 << 16


class Busy(Exception):
    """Too many questions wait."""


class NoReader(Exception):
    """The reader's process ended, or did not answer in time; the next question starts another."""


@dataclass(frozen=True, slots=True)
class RecordReply:
    """As `record_desk.Reply`."""

    status: int
    body: bytes
    file: str


class RecordReader:
    """Owns the reader's process. `hold_s`: how long it may hold the records' file at a time. `dsn`: of a host of a
    fleet where PostgreSQL is, as it is now; the process gets it as its first line. Raises ValueError.
    `history`: the place of its files as this machine sees it; "": as its hosts call it."""

    def __init__(
        self,
        data_dir: Path,
        clock: Callable[[], float],
        *,
        hold_s: float = 0.2,
        dsn: Callable[[], str] | None = None,
        history: str = "",
    ) -> None:
        self._data_dir = data_dir
        self._dsn = dsn
        self._history = history
        self._of_dsn = ""
        self._clock = clock
        self._hold_s = hold_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._asked_s = clock()
        self._sweeper: asyncio.Task[None] | None = None
        self._kept: OrderedDict[bytes, tuple[float, RecordReply]] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """Of its process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def kept(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    async def ask(self, request: Mapping[str, Any], *, fresh_s: float = FRESH_S) -> RecordReply:
        """The reply, `fresh_s` old at most. Raises Busy, NoReader, and OSError where no process can be started."""
        line = orjson.dumps(request, option=orjson.OPT_SORT_KEYS) + b"\n"
        if (known := self._known(line, fresh_s)) is not None:
            return known
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        task = background.awaited(self._in_turn(line, fresh_s), name="a question to the records")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:  # half an answer must not stay in the pipe, and no file on the disk
            task.add_done_callback(_unwanted)
            raise

    async def close(self) -> None:
        """End its process."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._end()

    def _known(self, line: bytes, fresh_s: float) -> RecordReply | None:
        kept = self._kept.get(line)
        return kept[1] if kept is not None and self._clock() - kept[0] < fresh_s else None

    def _keep(self, line: bytes, reply: RecordReply) -> None:
        now_s = self._clock()
        self._kept.pop(line, None)
        self._kept[line] = now_s, reply
        left = sum(len(each) + len(answer.body) for each, (_, answer) in self._kept.items())
        for each, (came_s, answer) in list(self._kept.items()):
            if left <= MOST_KEPT_BYTES and now_s - came_s <= KEPT_S:
                break
            left -= len(each) + len(answer.body)
            del self._kept[each]

    async def _in_turn(self, line: bytes, fresh_s: float) -> RecordReply:
        try:
            async with self._turn:
                if (known := self._known(line, fresh_s)) is not None:
                    return known
                reply = await self._exchange(line)
                if not reply.file:
                    self._keep(line, reply)
                return reply
        finally:
            self._waiting -= 1

    async def _exchange(self, line: bytes) -> RecordReply:
        self._asked_s = self._clock()
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_S):
                process.stdin.write(line)
                head = read_json(await process.stdout.readline())
                body = await process.stdout.readexactly(int(head["size"]))
        except (OSError, TimeoutError, JsonMistake, asyncio.IncompleteReadError, ValueError) as error:
            await self._end()
            late = isinstance(error, TimeoutError)
            log.warning("the reader of the records %s; it is started again", "took too long" if late else "has ended")
            raise NoReader("it took too long" if late else "the reader of the records has ended; ask again") from error
        self._asked_s = self._clock()
        return RecordReply(int(head["status"]), body, str(head["file"]))

    async def _started(self) -> asyncio.subprocess.Process:
        try:
            dsn = "" if self._dsn is None else await asyncio.to_thread(self._dsn)
        except ValueError as error:
            raise NoReader(str(error)) from None
        if self._process is not None and self._process.returncode is None:
            if dsn == self._of_dsn:
                return self._process
            await self._end()
        downloads = downloads_directory(self._data_dir)
        make_directory(downloads)
        for path in downloads.iterdir():  # of a process that was killed
            path.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "supervisor.web.record_process", str(self._data_dir), str(self._hold_s)),
            *(() if self._dsn is None else (FLEET,)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )
        self._of_dsn = dsn
        if self._dsn is not None:
            assert self._process.stdin is not None
            self._process.stdin.write(orjson.dumps({"dsn": dsn, "history": self._history}) + b"\n")
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = background.start(self._end_when_idle(), name="the watch over the reader of the records")
        return self._process

    async def _end_when_idle(self) -> None:
        while self._process is not None:
            await asyncio.sleep(max(1.0, self._asked_s + IDLE_S - self._clock()))
            if not self._waiting and self._clock() - self._asked_s >= IDLE_S:
                async with self._turn:
                    await self._end()

    async def _end(self) -> None:
        """It only reads: nothing is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _unwanted(task: asyncio.Task[RecordReply]) -> None:
    if not task.cancelled() and task.exception() is None and (file := task.result().file):
        with contextlib.suppress(OSError):
            os.unlink(file)
