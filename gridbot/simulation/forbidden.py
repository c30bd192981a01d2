"""What a simulated run may not use: the machine's clock, threads and randomness. A use raises, and is counted.

Code of a worker has its ports. What must read a clock all the same gets the virtual one here: `gridbot.bybit` its own
clock functions, and `logging` the time of its lines.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import secrets
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from gridbot.bybit import clocks
from gridbot.simulation.virtual_time import SimulatedClock, SimulatedProcess

__all__ = ["Forbidden", "forbid"]

TIMES = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
DRAWS = ("random", "randint", "randrange", "uniform", "choice", "choices", "shuffle", "sample", "getrandbits", "gauss")


class Forbidden(RuntimeError):
    """A simulated run used what is not its own."""


@contextlib.contextmanager
def forbid(clock: SimulatedClock) -> Iterator[list[str]]:
    """Guard a run; gives the list of what was used. Threads that ran before, such as a test's, keep what they use."""
    used: list[str] = []
    here = threading.get_ident()

    def refuse(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != here:
                return real(*args, **options)
            caller = sys._getframe(1)
            used.append(f"{name} by {caller.f_code.co_filename}:{caller.f_lineno}")
            raise Forbidden(f"{name} was called in a simulated run")

        return call

    with contextlib.ExitStack() as stack:
        for name in TIMES:
            stack.enter_context(patch.object(time, name, refuse(f"time.{name}", getattr(time, name))))
        for name in DRAWS:
            stack.enter_context(patch.object(random, name, refuse(f"random.{name}", getattr(random, name))))
        stack.enter_context(
            patch.object(threading.Thread, "start", refuse("threading.Thread.start", threading.Thread.start))
        )
        stack.enter_context(patch.object(os, "urandom", refuse("os.urandom", os.urandom)))
        stack.enter_context(patch.object(secrets, "token_hex", refuse("secrets.token_hex", secrets.token_hex)))
        stack.enter_context(patch.object(uuid, "uuid4", refuse("uuid.uuid4", uuid.uuid4)))
        stack.enter_context(patch.object(os, "getpid", lambda: SimulatedProcess.pid))
        stack.enter_context(patch.object(logging, "time", _log_time(clock)))
        for module, name, value in _clock_names(clock):
            stack.enter_context(patch.object(module, name, value))
        yield used


def _log_time(clock: SimulatedClock) -> types.SimpleNamespace:
    return types.SimpleNamespace(time=lambda: clock.wall_ms() / 1000, gmtime=time.gmtime, strftime=time.strftime)


def _clock_names(clock: SimulatedClock) -> Iterator[tuple[types.ModuleType, str, Callable[[], Any]]]:
    """Every name in `gridbot.bybit` (and here) that reads a clock, with what takes its place."""
    places = {
        "monotonic_s": (clocks.monotonic_s, clock.monotonic_s),
        "monotonic_ns": (clocks.monotonic_ns, clock.monotonic_ns),
        "wall_ms": (clocks.wall_ms, clock.wall_ms),
    }
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(("gridbot.bybit.", "gridbot.simulation.")):
            for name, (real, simulated) in places.items():
                if getattr(module, name, None) is real:
                    yield module, name, simulated
