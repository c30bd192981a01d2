"""Starts children by the fork server (`fork_server`), and that itself: when it ends, another one takes its place.

Owns the fork server and what has been asked of it. A launch is settled when its child was born, or when its pipe says
that it never will be: the descriptors of a child end with whoever had them. At most a few are under way at a time.

A worker computes first, by its settings, state and journal, and then waits for the exchange. Of twenty that compute at
once on two cores none is done before all are nearly done; so the next one is forked when one of a few has said that it
is assembled: half of twenty trade a third sooner then, and the last no later (`docs/fleet-figures.md`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from gridbot.process_guard import adopt_orphans, memory_is_closed
from supervisor.children.bootstrap import Boot
from supervisor.children.exit_text import exit_text
from supervisor.children.fork_server import COMMAND, MOST_AT_ONCE, REHEARSAL, send_descriptors
from supervisor.children.parcel import pack
from supervisor.children.program_files import are_changed, at_start

__all__ = ["ForkServer", "Launch", "Launcher"]

UNDER_WAY: Final = 8
"""Most children that are asked for and not born yet; others wait here."""
BEGINNING_PER_CORE: Final = 2
"""Most workers that compute at once, by core: so many that no core waits for the birth of the next one."""
BEGINS_S: Final = 1.0
"""One that has not said within this time that it is assembled, since it waits for a disk, keeps no other waiting."""
FROZEN_S: Final = 30.0
"""A fork server that has let a launch wait for so long is ended."""
GIVEN_UP_S: Final = 5.0
"""The same for one that is to be killed: somebody waits for its end."""
IMPORTING_S: Final = 120.0
"""The same before its first fork, whoever waits: it imports everything, which takes a second of CPU. A machine that has
none to spare gets there; another fork server would begin anew, and never get there either."""
SHORTEST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Between two starts of fork servers that nobody waits for, while they end before they have forked anything."""
OTHER_FILES: Final = (
    "expected the program's files as at the supervisor's start, got changed ones: what is started from now on is of "
    "another version than the supervisor, and no writer begins; stop the supervisor and start it again"
)


class ForkServer:
    """The process, and our end of its socket. One that is begun before there is a loop imports while we still do."""

    def __init__(self, crash_log: Path, preload: Sequence[str]) -> None:
        """Raises OSError. `preload`: what it imports or calls; what kills it is told in `crash_log`."""
        self.begun_s = time.monotonic()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        with theirs:
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", COMMAND, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    cwd="/",  # all our paths are absolute, and ours may be deleted
                    # glibc would give each thread of a child a heap of its own, none of which shrinks
                    env={"MALLOC_ARENA_MAX": "1", **os.environ},
                    process_group=0,  # Ctrl-C in the terminal is for the supervisor
                )
            except BaseException:
                ours.close()
                raise
        try:
            ours.setblocking(False)
            ours.send(json.dumps(_hello(crash_log, preload)).encode())
        except BaseException:
            self.end()
            raise

    def end(self) -> int:
        """Killed if it still runs; its exit code."""
        self.process.kill()  # first: at the end of its socket it would end by itself, and take every module apart
        self.control.close()
        return self.process.wait()


def _hello(crash_log: Path, preload: Sequence[str]) -> dict[str, Any]:
    path = [os.path.abspath(place) for place in sys.path]
    return {
        "path": path,
        "preload": list(preload),
        "supervisor": os.getpid(),
        "crash_log": str(crash_log),
        "closed": memory_is_closed(),
        "program": at_start(),
    }


@dataclass(eq=False, slots=True)
class Launch:
    """One child that was asked for. `asked_at`: monotonic seconds, None while it waits for its turn.

    `begins`: whether it computes first, and says when it is `assembled`.
    """

    value: Any
    ends: Sequence[Connection[Any, Any]]
    begins: bool = False
    asked_at: float | None = None
    problem: OSError | None = None
    """Why it could not even be asked for."""
    given_up: bool = False
    open: bool = field(default=True)

    def close(self) -> None:
        """Close the child's ends here: with a copy open we would never see its end of file."""
        if self.open:
            self.open = False
            for end in self.ends:
                end.close()


class Launcher:
    """One per supervisor. `on_lost(text)` hears when a fork server has ended that was not asked to, and when the next
    one has other files of the program than the supervisor.

    `begun` is the first fork server, where it was begun before.
    """

    def __init__(
        self,
        crash_log: Path,
        preload: Sequence[str] = (),
        on_lost: Callable[[str], object] = lambda _: None,
        begun: ForkServer | None = None,
    ) -> None:
        self._begun = begun
        self.crash_log = crash_log
        self._preload = preload
        self._on_lost = on_lost
        self._server: ForkServer | None = None
        self._watch: int | None = None
        self._killed_for = ""
        self._waiting: deque[Launch] = deque()
        self._asked: list[Launch] = []
        self._beginning: list[Launch] = []
        """Those that are born and have not said that they are assembled."""
        self._most_beginning = BEGINNING_PER_CORE * len(os.sched_getaffinity(0))
        self._started_at: float | None = None
        self._has_forked = False
        """The fork server that runs now."""
        self._is_doubtful = False
        """The one before it ended before it had forked anything."""
        self._forked_s = 0.0
        """When it forked last, or some other did (monotonic)."""
        self._pause = SHORTEST_PAUSE_S
        self._closed = False

    @property
    def pids(self) -> set[int]:
        return {self._server.process.pid} if self._server is not None else set()

    @property
    def expects(self) -> bool:
        """Whether a child may exist whose pid is not known yet."""
        return bool(self._asked)

    def start(self) -> None:
        """Start a fork server if there is none. Raises OSError."""
        if self._server is not None or self._closed:
            return
        adopt_orphans()
        if self._started_at is not None and are_changed():
            self._on_lost(OTHER_FILES)
        server, self._begun = self._begun or ForkServer(self.crash_log, self._wanted()), None
        self._started_at, self._has_forked = server.begun_s, False
        try:
            self._watch = os.pidfd_open(server.process.pid)
        except BaseException:
            server.end()
            raise
        self._server = server
        asyncio.get_running_loop().add_reader(self._watch, self._lost)

    def launch(
        self, boot: Boot, args: tuple[Any, ...], ends: Sequence[Connection[Any, Any]], *, begins: bool = False
    ) -> Launch:
        """Ask for a child. Takes `ends`, the child's, over; raises OSError when there can be no fork server."""
        launch = Launch((tuple(ends), boot, args), ends, begins)
        try:
            self.start()
        except BaseException:
            launch.close()
            raise
        self._waiting.append(launch)
        self._ask()
        return launch

    def settled(self, launch: Launch, *, born: bool) -> None:
        """Its child was born, or never will be."""
        launch.close()
        if launch in self._asked:
            self._asked.remove(launch)
        if born:
            self._pause, self._has_forked, self._forked_s = SHORTEST_PAUSE_S, True, time.monotonic()
            if launch.begins:
                self._beginning.append(launch)
                asyncio.get_running_loop().call_later(BEGINS_S, self.assembled, launch)
        self._ask()

    def assembled(self, launch: Launch) -> None:
        """Its child waits for others now, or is over: the next one may begin."""
        if launch in self._beginning:
            self._beginning.remove(launch)
            self._ask()

    def give_up(self, launch: Launch, *, now: bool = False) -> None:
        """Its child is not wanted any more: what waits is dropped; a fork server that does not fork it soon is ended,
        or at once (`now`), where nobody calls `look` any more."""
        if launch in self._waiting:
            self._waiting.remove(launch)
            launch.close()
        elif launch in self._asked:  # it is killed at its birth; the others that are asked for are to be born
            launch.given_up = True
            if now:
                self._kill("it did not fork a child that was given up")

    def withdraw(self, launch: Launch) -> None:
        """Its child need not begin any more: one that waits for its turn never does, and its pipe says so."""
        if launch.begins and launch in self._waiting:
            launch.problem = OSError("it is not wanted any more")
            self.give_up(launch)

    def is_behind(self, launch: Launch) -> bool:
        """Whether it waits for others that begin, each of which keeps its place for `BEGINS_S` at most."""
        return launch.begins and launch in self._waiting and not self._may_begin()

    def look(self) -> None:
        """Once in a while: keep a fork server ready, and end one that answers no more."""
        now = time.monotonic()
        given_up_s, frozen_s = (GIVEN_UP_S, FROZEN_S) if self._has_forked else (IMPORTING_S, IMPORTING_S)
        # From its last fork on: while it imported, all waited for that, and they are forked one after the other.
        asked = [(launch.asked_at, launch) for launch in self._asked if launch.asked_at is not None]
        waited = [(now - max(asked_s, self._forked_s), launch) for asked_s, launch in asked]
        if any(launch.given_up for waited_s, launch in waited if waited_s > given_up_s):
            self._kill(f"it did not fork within {given_up_s:g} s a child that was given up")
        elif any(waited_s > frozen_s for waited_s, _ in waited):
            self._kill(f"it forked nothing for {frozen_s:g} s")
        elif self._server is None and self._started_at is not None and now - self._started_at >= self._pause:
            self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)
            self.start()
            self._ask()

    def close(self) -> None:
        """End the fork server; no child notices. A child that it was about to fork ends by itself."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().close()
        self._end_of_server()

    def _ask(self) -> None:
        """Pass on what waits, as far as there is room."""
        for launch in list(self._waiting):
            if self._server is None or len(self._asked) >= UNDER_WAY:
                return
            if launch.begins and not self._may_begin():
                continue
            try:
                self._send(launch, self._server.control)
            except (BrokenPipeError, ConnectionResetError):
                return  # it has ended, which is about to be told
            except OSError as error:
                launch.problem = error
            else:
                launch.asked_at = time.monotonic()
                self._asked.append(launch)
            self._waiting.remove(launch)
            launch.close()

    def _may_begin(self) -> bool:
        coming = sum(launch.begins for launch in self._asked)
        return coming + len(self._beginning) < self._most_beginning

    def _send(self, launch: Launch, control: socket.socket) -> None:
        data, descriptors = pack(launch.value)
        parcel = os.memfd_create("parcel", os.MFD_CLOEXEC)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(parcel, view) :]
            send_descriptors(control, [parcel, *descriptors])
        except OSError:
            if len(descriptors) >= MOST_AT_ONCE:
                self._kill("it was told half of what a child is given")
            raise
        finally:
            os.close(parcel)
        launch.value = None

    def _kill(self, why: str) -> None:
        if self._server is not None and not self._killed_for:
            self._killed_for = why
            self._server.process.send_signal(signal.SIGKILL)

    def _wanted(self) -> Sequence[str]:
        """What the next one imports or calls: after one that never forked, whatever it was, only what has to be."""
        return [wanted for wanted in self._preload if wanted != REHEARSAL or not self._is_doubtful]

    def _lost(self) -> None:
        self._is_doubtful = not self._has_forked
        code = self._end_of_server()
        killed_for, self._killed_for = self._killed_for, ""
        if code is None or self._closed:
            return
        self._on_lost(f"the process that forks the others {exit_text(code, killed_for)}; they go on without it")
        if self._waiting:
            with contextlib.suppress(OSError):  # tried again by `look`
                self.start()
                self._ask()

    def _end_of_server(self) -> int | None:
        """Forget it; killed if it still runs. Its exit code, if it was started at all."""
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = None
        server, self._server = self._server, None
        return None if server is None else server.end()
