"""The first code of every child process: makes it end with its supervisor, then runs its entry function.

In order: own process group (Ctrl-C in the terminal reaches the supervisor only, which stops its children in order),
SIGINT ignored, no core files, files for this user alone (`gridbot.private_files`), an end with the supervisor's end
(`gridbot.process_guard`), and `faulthandler`, so that the supervisor's
SIGABRT writes the stacks of a hanging process to `logs/crash.log`, and so does an operator's SIGUSR1 without an end.

Imports nothing heavy: what a child needs, its entry function imports.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from gridbot.hidden_words import redacted
from gridbot.private_files import PRIVATE_UMASK, make_directory, open_private
from gridbot.process_guard import ask_to_stop_with_parent, exit_with_parent, leave_no_core
from gridbot.shortage import is_shortage
from supervisor.children.stack_signal import stacks_told
from supervisor.exit_codes import ExitCode
from supervisor.utc_time import utc_now

__all__ = ["Boot", "child_main", "crash_log_of", "name_process", "resolve", "write_crash"]

CRASH_LOG_LIMIT = 5_000_000

_PR_SET_NAME = 15


@dataclass(frozen=True, slots=True)
class Boot:
    """What every child process gets. `entry` is "package.module:function"."""

    name: str
    entry: str
    crash_log: Path
    supervisor_pid: int


def resolve(entry: str) -> Callable[..., None]:
    """The function named "package.module:function". Raises ImportError or AttributeError."""
    module, _, function = entry.partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(module), function)
    return found


def child_main(boot: Boot, args: tuple[Any, ...], ends: tuple[Connection[Any, Any], ...]) -> None:
    """Run in the child; raises SystemExit unless it ends in order. The first of `ends` hears of an unexpected error."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
    leave_no_core()
    os.umask(PRIVATE_UMASK)
    ask_to_stop_with_parent()
    exit_with_parent(boot.supervisor_pid, exit_code=ExitCode.FORCED)
    name_process(boot.name)
    with crash_log_of(boot.crash_log) as crash_log, stacks_told(boot.name, crash_log.fileno()):
        faulthandler.enable(file=crash_log, all_threads=True)
        code = _run(boot, args, ends)
        faulthandler.disable()
    if code:
        sys.exit(code)


@contextlib.contextmanager
def crash_log_of(path: Path) -> Iterator[IO[str]]:
    """The crash log, a large one set aside first so that a crash loop cannot fill the disk; without room, stderr."""
    try:
        make_directory(path.parent)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > CRASH_LOG_LIMIT:
                path.replace(path.with_suffix(".log.1"))
        file = open_private(path, "a", encoding="utf-8")
    except OSError:
        yield sys.stderr
        return
    with file:
        yield file


def _run(boot: Boot, args: tuple[Any, ...], ends: tuple[Connection[Any, Any], ...]) -> int:
    try:
        resolve(boot.entry)(*args, *ends)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return ExitCode.FORCED
    except BaseException as error:  # noqa: BLE001 - the outermost frame of a process
        text = redacted(f"{type(error).__name__}: {error}").splitlines()[0]
        code = ExitCode.NO_ROOM if is_shortage(error) else ExitCode.UNEXPECTED
        write_crash(boot.crash_log, boot.name, error)
        logging.getLogger("gridbot").critical("unexpected error, details in %s: %s", boot.crash_log, text)
        with contextlib.suppress(OSError, ValueError):
            ends[0].send({"type": "bye", "reason": text, "exit_code": int(code)})
        return code
    return ExitCode.OK


def write_crash(crash_log: Path | str, name: str, error: BaseException) -> None:
    """Append a traceback to the crash log, if the disk takes it."""
    details = redacted("".join(traceback.format_exception(error)))
    with contextlib.suppress(OSError):
        make_directory(Path(crash_log).parent)
        with open_private(Path(crash_log), "a", encoding="utf-8") as file:
            file.write(f"--- {utc_now()} {name} (pid {os.getpid()})\n{details}\n")


def name_process(name: str) -> None:
    """What `top` and `ps -o comm` call this process."""
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, f"gb:{name}".encode()[:15], 0, 0, 0)
