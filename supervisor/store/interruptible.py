"""Calls into DuckDB that Ctrl-C and a deadline can end, within a limit on memory.

DuckDB 2.0 looks for a signal between some of its own steps only: an aggregate or a sort runs to its end first, and what
comes then is a RuntimeError of its own ("Query interrupted"). So the call is made by a thread, and the thread that
Python gives signals to only waits for it.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import duckdb

__all__ = ["Late", "call", "memory_bound"]

Result = TypeVar("Result")

PATIENCE_S: Final = 1.0
"""How long an interrupted call may take to end; then it is left to itself (the command is about to end)."""
PYTHON_BYTES: Final = 250_000_000
"""Room for what DuckDB's own limit does not count: rows as Python has them, text, thread stacks."""


class Late(Exception):
    """The call did not end by its deadline."""


def call(connection: duckdb.DuckDBPyConnection, work: Callable[[], Result], *, until: float) -> Result:
    """The result of `work`, which uses this connection. `until` is in `time.monotonic` seconds.

    Raises what `work` raises, Late, and KeyboardInterrupt; in these two cases the statement has been interrupted.
    """
    done: list[Result] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failed.append(error)
        finally:
            over.set()

    over = threading.Event()  # not Thread.join: Python 3.11 takes a thread for ended when Ctrl-C interrupts that
    thread = threading.Thread(target=run, name="statement", daemon=True)
    thread.start()
    try:
        in_time = over.wait(max(0.0, until - time.monotonic()))
    except KeyboardInterrupt:
        _stop(connection, over)
        raise
    if not in_time:
        _stop(connection, over)
        raise Late
    if failed:
        if time.monotonic() >= until:
            raise Late from failed[0]
        raise failed[0]
    return done[0]


def _stop(connection: duckdb.DuckDBPyConnection, over: threading.Event) -> None:
    with contextlib.suppress(duckdb.Error):
        connection.interrupt()
    over.wait(PATIENCE_S)


@contextlib.contextmanager
def memory_bound(statement_bytes: int) -> Iterator[None]:
    """This process gets so many bytes for a statement, and PYTHON_BYTES for the rows; then MemoryError.

    The last resort: DuckDB counts neither values that it has handed over nor all that it takes for one long value.
    """
    used = _data_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = used + statement_bytes + PYTHON_BYTES
    if not used or (soft != resource.RLIM_INFINITY and soft < wanted):
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """What counts for RLIMIT_DATA; 0 where the kernel does not tell."""
    if sys.platform != "linux":
        return 0
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmData:")).split()[1]) * 1024
    return 0
