"""A rehearsed worker trades for real and leaves nothing behind: in a process of its own, as in the fork server."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from gridbot import rehearsal
from gridbot.rehearsal import rehearse
from gridbot.worker import worker_session
from gridbot.worker.startup import StartRefused
from tests.fork_server import run_program

PROGRAM = """
import asyncio, decimal, json, logging, os, signal, sys, threading, warnings
from collections import deque
from pathlib import Path
from gridbot import hidden_words
from gridbot.rehearsal import _bounded_caches, rehearse
from gridbot.simulation.own_directory import MEMORY
from gridbot.worker.entry import prepare

def kept():
    '''What modules of ours keep, but for counters of names.'''
    modules = sorted(name for name in sys.modules if name.startswith("gridbot."))
    found = {
        f"{name}.{key}": repr(value) if len(value) < 1000 else len(value)
        for name in modules
        for key, value in vars(sys.modules[name]).items()
        if isinstance(value, (set, list, dict, deque)) and not key.startswith("__")
    }
    return found

def state():
    root = logging.getLogger()
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()],
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "wakes": signal.set_wakeup_fd(-1),
        "loop": asyncio._get_running_loop() is not None,
        "logging": [repr(root.handlers), root.level, root.manager.disable, str(warnings.showwarning)],
        "excepthook": str(threading.excepthook),
        "rounding": str(decimal.getcontext()),
        "directories": [each.name for each in MEMORY.glob(f"gridbot-sim-{os.getpid():010}-*")],
        "answers": [each.__qualname__ for each in _bounded_caches() if each.cache_info().currsize],
        "kept": kept(),
        "environment": sorted(os.environ),
        "umask": os.umask(0o077),
        "directory": os.getcwd(),
        "modules": len(sys.modules),
    }

os.umask(0o077)
prepare()
before = state()
fills = rehearse()
after = state()
Path(sys.argv[1]).write_text(json.dumps([fills, before, after]))
"""


def test_it_trades_and_leaves_nothing_but_what_was_learnt(tmp_path: Path) -> None:
    assert run_program(PROGRAM, str(tmp_path / "told")) == 0
    fills, before, after = json.loads((tmp_path / "told").read_text())
    assert fills > 30, "else it runs little of what a worker runs"
    assert after["threads"] == 1
    for what, was in before.items():
        assert after[what] == was, what


def failing(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """Has a word when threads were waited for: not really, since a process of tests has some of its own."""
    waited: list[str] = []
    for name, value in changes.items():
        monkeypatch.setattr(rehearsal, name, value)
    monkeypatch.setattr(rehearsal, "_wait_for_threads", lambda: waited.append("for threads"))
    return waited


def test_one_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = failing(monkeypatch, LONGEST_S=0.0)
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TimeoutError):
        rehearse()
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert waited == ["for threads"], "a fork server with more than one does not fork"


def test_a_worker_that_cannot_begin_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    waited = failing(monkeypatch, LONGEST_S=3600.0, TURN_S=0.0)
    monkeypatch.setattr(worker_session, "Assembly", full)
    with pytest.raises(StartRefused, match="No space left"):
        rehearse()
    assert waited == ["for threads"]
