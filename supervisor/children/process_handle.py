"""One child process in the supervisor's hands: from before its pid is known until it was reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Final

from supervisor.children.exit_text import UNKNOWN_CODE
from supervisor.children.launcher import Launch, Launcher

__all__ = ["ProcessHandle"]

AGAIN_S: Final = 0.005
OURS_WITHIN_S: Final = 5.0
"""A dead process that is not our child so long after its end never will be: somebody else has reaped it."""


class ProcessHandle:
    """Its pid once it was born, signals, and its end. `on_end(code)` is called once, on the loop.

    A signal before the birth is sent at the birth. Nobody but this reaps the process, so until then no other one can
    have its pid, and no signal reaches a wrong one.
    """

    def __init__(self, launcher: Launcher, launch: Launch, on_end: Callable[[int], None]) -> None:
        self.pid: int | None = None
        self._launcher = launcher
        self._launch = launch
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._early: list[signal.Signals] = []
        self._exit: int | None = None
        self._dead_since: float | None = None
        self._settled = False

    @property
    def problem(self) -> OSError | None:
        """Why it could not even be asked for."""
        return self._launch.problem

    def born(self, pid: int) -> None:
        """It has said its pid."""
        if self.pid is not None:
            return
        self.pid = pid
        self._settle(born=True)
        self._follow()
        early, self._early = self._early, []
        for number in early:
            self.signal(number)

    @property
    def is_behind(self) -> bool:
        """Whether it waits for its turn, behind others that begin."""
        return self._launcher.is_behind(self._launch)

    def withdraw(self) -> None:
        """One that waits for its turn is not wanted any more."""
        self._launcher.withdraw(self._launch)

    def assembled(self) -> None:
        """It has said that it waits for others now."""
        self._launcher.assembled(self._launch)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal now, or when it is born. What was launched and is to be killed may never be born at all."""
        if self.pid is None:
            self._early.append(number)
            if number == signal.SIGKILL and not self._settled:
                self._launcher.give_up(self._launch)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def give_up_now(self) -> None:
        """One that is not born may never be; nobody waits for it."""
        if self.pid is None and not self._settled:
            self._launcher.give_up(self._launch, now=True)

    def wait(self, seconds: float) -> bool:
        """Wait, without the loop, until a born process has ended; False when it has not."""
        deadline = time.monotonic() + seconds
        while self.pid is not None and self._code() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(AGAIN_S)
        return True

    def close(self) -> None:
        """Forget it."""
        self._settle(born=self.pid is not None)
        self.assembled()
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _settle(self, *, born: bool) -> None:
        if not self._settled:
            self._settled = True
            self._launcher.settled(self._launch, born=born)

    def _follow(self) -> None:
        if self.pid is None or self._descriptor is not None:
            return
        try:
            self._descriptor = os.pidfd_open(self.pid)
        except OSError:  # no descriptor left: until there is one, its end is asked for
            self._loop.call_later(0.1, self._follow)
            self._ended()
        else:
            self._loop.add_reader(self._descriptor, self._ended)

    def _ended(self) -> None:
        code = self._code()
        if code is not None:
            self._on_end(code)
        elif self._descriptor is not None:  # dead, and about to be ours
            self._loop.remove_reader(self._descriptor)
            self._loop.call_later(AGAIN_S, self._ended)

    def _code(self) -> int | None:
        """Exit code, or minus the signal that ended it; None while it lives, or is not our child yet. Reaps it."""
        if self._exit is None and self.pid is not None:
            try:
                end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
            except ChildProcessError:
                if self._descriptor is not None and select.select([self._descriptor], [], [], 0)[0]:
                    self._dead_since = self._dead_since or time.monotonic()
                    if time.monotonic() - self._dead_since > OURS_WITHIN_S:
                        self._exit = UNKNOWN_CODE
            else:
                if end is not None:
                    self._exit = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
        return self._exit
