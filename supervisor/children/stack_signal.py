"""SIGUSR1 asks a process where it is: it writes the stacks of its threads to the crash log, and goes on.

The system writes them, so it works in a process that hangs, too. Nothing of Python is called: while stacks are written
another signal waits, so that however many come at once, none is written on top of another until the process has no
stack left. Whose stacks they are tells the frame of a `named` function. SIGUSR2 is ignored: nothing of ours ends by a
signal that another program means by something else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import ParamSpec, TypeVar, cast

__all__ = ["NO_ENDS", "ignore_no_ends", "named", "stacks_told"]

NO_ENDS = (signal.SIGUSR1, signal.SIGUSR2)
"""What a process ignores while it has no crash log."""

P = ParamSpec("P")
T = TypeVar("T")


def ignore_no_ends() -> None:
    """In the main thread."""
    for number in NO_ENDS:
        signal.signal(number, signal.SIG_IGN)


def named(function: Callable[P, T], name: str) -> Callable[P, T]:
    """The same function, without defaults or variables of an outer one, in a file of that name, as stacks show it."""
    made = cast(FunctionType, function)
    return cast("Callable[P, T]", FunctionType(made.__code__.replace(co_filename=name), made.__globals__))


@contextlib.contextmanager
def stacks_told(crash_log: int) -> Iterator[None]:
    """Within this, in the main thread. `crash_log` is an open descriptor."""
    ignore_no_ends()
    faulthandler.register(signal.SIGUSR1, file=crash_log, all_threads=True)
    try:
        yield
    finally:
        faulthandler.unregister(signal.SIGUSR1)  # it is ignored again, as before
