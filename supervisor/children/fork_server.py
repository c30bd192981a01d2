"""The process that all children are forked from: it has imported what they need, and does nothing else.

A fresh Python takes most of a second and 40 MB to import a worker. A fork of one that has done so takes milliseconds,
and shares what neither of the two writes to. It is asked by messages with descriptors (`launcher` writes them):

    supervisor ── SOCK_SEQPACKET: how many descriptors, then the descriptors ──▶ fork server
                                                                                     │ fork
    supervisor ◀── "born", with its pid, through the child's own pipe ───────── go-between
        ▲                                                                            │ fork, then it ends
        └──────────── whose child it becomes (PR_SET_CHILD_SUBREAPER) ──────────── child

- **Each child is a child of the supervisor**, since the go-between ends at once. So its exit code is the kernel's word,
  its pid is not used again before the supervisor has reaped it, and the end of the fork server concerns nobody.
- **No threads, no loop, no connection** may exist here: a fork copies one thread only. It refuses to work with more.
- **No secrets.** What a child is started with is in a file in memory (`memfd`) that only the child reads; this process
  passes its descriptor on. The environment was cleaned before it began. Nothing of a child ever comes back here.
- **No descriptors**: a child has its standard streams and what was meant for it. The rest is closed before it runs.
- **Its memory stays shared**: `gc.freeze` keeps it from the children's garbage collector, they put nothing into its
  holes (`memory_holes`), and Python's cache of attributes is empty (a child that replaces an entry writes to a name).
  From Python 3.12 on nobody counts references to what it has (`immortal`), what workers run has run before
  (`gridbot.rehearsal`), and its code is side by side (`hot_code`).
"""

from __future__ import annotations

import array
import contextlib
import errno
import gc
import importlib
import logging
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from gridbot.pipe_frames import frame
from gridbot.private_files import PRIVATE_UMASK
from gridbot.process_guard import ask_to_stop_with_parent, close_memory, leave_no_core
from gridbot.shortage import is_shortage
from supervisor.children.bootstrap import child_main, name_process, resolve, write_crash
from supervisor.children.hot_code import gather, learn
from supervisor.children.immortal import is_known, make_immortal
from supervisor.children.memory_holes import fill_holes, keep_reads_in_heap
from supervisor.children.parcel import unpack
from supervisor.children.program_files import begun_from
from supervisor.children.stack_signal import ignore_no_ends
from supervisor.exit_codes import ExitCode

__all__ = ["BORN", "COMMAND", "MOST_AT_ONCE", "REHEARSAL", "UNBORN", "is_short", "send_descriptors", "serve"]

COMMAND: Final = (
    "import json, socket, sys; control = socket.socket(fileno=int(sys.argv[1])); "
    "hello = json.loads(control.recv(1 << 20)); sys.path[:] = hello['path']; "
    "from supervisor.children.fork_server import serve; serve(control, hello)"
)
"""What a fresh Python runs, with the number of its socket as argument. The first message says where modules are."""

BORN: Final = "born"
UNBORN: Final = "unborn"
"""Types of the one message that goes before all messages of a child: its pid, or why it could not be forked."""

REHEARSAL: Final = "gridbot.rehearsal:rehearse"
"""Among what is to be preloaded: done where it saves memory (Python 3.12 and 3.13), and where it works."""

MOST_AT_ONCE: Final = 250  # the kernel takes 253 descriptors with a message
_COUNT: Final = struct.Struct("!I")


def send_descriptors(control: socket.socket, descriptors: Sequence[int]) -> None:
    """Ask for a child: the parcel's file first, then its pipe, then the rest. Raises OSError."""
    for start in range(0, len(descriptors), MOST_AT_ONCE):
        some = array.array("i", descriptors[start : start + MOST_AT_ONCE])
        control.sendmsg([_COUNT.pack(len(descriptors))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some)])


def serve(control: socket.socket, hello: Mapping[str, Any]) -> None:
    """Fork a child for each request until the supervisor is gone. Ends the process in each child.

    `hello`: `supervisor`, its pid; `preload`, modules to import and functions to call; `crash_log`; `closed`, whether
    memory is to be closed; `program`, the files that the supervisor began with.
    """
    _settle(closed=bool(hello["closed"]))
    begun_from(str(hello["program"]))
    if os.getppid() != int(hello["supervisor"]):
        os._exit(ExitCode.FORCED)  # it ended before we asked to be told: nobody is to wait for our imports
    try:
        for wanted in hello["preload"]:
            if wanted != REHEARSAL:
                _preload(wanted)
            elif is_known():
                _rehearse(hello["crash_log"])
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise RuntimeError(f"expected one thread before the first fork, got {threads}")
    except BaseException as error:  # noqa: BLE001 - the outermost frame of a process
        write_crash(hello["crash_log"], "fork server", error)
        os._exit(ExitCode.UNEXPECTED)
    keep_reads_in_heap()
    make_immortal()
    gather()
    filling = fill_holes()
    gc.freeze()
    sys._clear_type_cache()  # it counts references to names: children that replace them would copy the names' pages
    while descriptors := _next_request(control):
        if _fork(descriptors[1], int(hello["supervisor"])):
            control.close()
            _be_child(descriptors, str(hello["crash_log"]))
        for descriptor in descriptors:
            os.close(descriptor)
    del filling


def _rehearse(crash_log: str) -> None:
    """Without it each worker learns by itself what it would have learnt here: no reason not to trade."""
    try:
        learn(resolve(REHEARSAL))
    except Exception as error:  # noqa: BLE001 - told, and all goes on
        write_crash(crash_log, "the rehearsal of a worker, without which workers take more memory", error)


def _preload(wanted: str) -> None:
    """Import "package.module", or call "package.module:function" for what is made once and kept."""
    if ":" in wanted:
        resolve(wanted)()
    else:
        importlib.import_module(wanted)


def _settle(*, closed: bool) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ignore_no_ends()
    ask_to_stop_with_parent()
    leave_no_core()
    if closed:
        close_memory()
    os.umask(PRIVATE_UMASK)
    name_process("forks")
    # A main module without a file is a session at a terminal to DuckDB, which then draws its progress on our output.
    vars(sys.modules["__main__"])["__file__"] = __file__
    gc.disable()


def _next_request(control: socket.socket) -> list[int]:
    """The descriptors of the next child; empty when nobody asks any more."""
    descriptors: list[int] = []
    while True:
        room = socket.CMSG_SPACE(MOST_AT_ONCE * array.array("i").itemsize)
        data, beside, _, _ = control.recvmsg(_COUNT.size, room)
        if not data:
            return []
        for _, _, content in beside:
            descriptors += array.array("i", content)
        if len(descriptors) == _COUNT.unpack(data)[0]:
            return descriptors


def _fork(report: int, supervisor: int) -> bool:
    """True in the child, once it is the supervisor's. `report` is the child's pipe to the supervisor."""
    try:
        go_between = os.fork()
    except OSError as error:
        _tell(report, {"type": UNBORN, "reason": str(error), "short": is_short(error)})
        return False
    if go_between:
        os.waitpid(go_between, 0)
        return False
    own = os.getpid()
    announced, announce = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        _tell(report, {"type": UNBORN, "reason": str(error), "short": is_short(error)})
        os._exit(ExitCode.OK)
    if pid:
        if _tell(report, {"type": BORN, "pid": pid}):
            os.write(announce, b"!")
        os._exit(ExitCode.OK)
    os.close(announce)
    known = os.read(announced, 1)
    os.close(announced)
    while os.getppid() == own:  # it is about to end
        time.sleep(0.0002)
    if not known or os.getppid() != supervisor:
        os._exit(ExitCode.FORCED)
    return True


def _tell(report: int, message: dict[str, Any]) -> bool:
    """False when nobody listens any more."""
    try:
        os.write(report, frame(message))
    except OSError:
        return False
    return True


def is_short(error: Exception) -> bool:
    """Whether the machine had no room for a process; too many of them is told as "try again"."""
    if isinstance(error, OSError) and error.errno == errno.ETOOMANYREFS:  # descriptors on their way
        return True
    return is_shortage(error) or isinstance(error, BlockingIOError)


def _be_child(descriptors: Sequence[int], crash_log: str) -> NoReturn:
    """Run the child's entry and end the process: what has to be finished at its end, the entry has finished.

    An ordinary end of Python takes every module apart, which would copy all the memory that is shared.
    """
    gc.enable()
    code: object = ExitCode.UNEXPECTED
    try:
        ends, boot, args = _unpacked(descriptors)
        child_main(boot, args, ends)
        code = ExitCode.OK
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:  # noqa: BLE001 - the outermost frame of a process
        write_crash(crash_log, "a child", error)
    finally:
        with contextlib.suppress(Exception):
            logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code if isinstance(code, int) else ExitCode.UNEXPECTED)


def _unpacked(descriptors: Sequence[int]) -> Any:
    parcel, *others = descriptors
    for descriptor in others:
        os.set_inheritable(descriptor, False)
    data = os.pread(parcel, os.fstat(parcel).st_size, 0)
    os.close(parcel)
    return unpack(data, others)
