"""Faults of the real program at a chosen point, for the kill matrix: an exception, or a system call that never returns.

Python imports this at the start of each process that finds it first in PYTHONPATH. With FAULT_PROBE in the environment,
the functions of `POINTS` first look into that directory:

    raise-NAME-POINT    is removed, and RuntimeError is raised
    broken-NAME-POINT   stays, and RuntimeError is raised each time
    hang-NAME-POINT     is removed, and the process opens the FIFO `fifo` for reading, which hangs in the kernel until
                        somebody writes to it

NAME is the child's name in `status` (worker-ann, writer, paper, rescue-ann), forks or supervisor; POINT: start, loop.
Nothing of this is in the program itself, and nothing else of any process is changed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

POINTS = {
    "gridbot.worker.worker_session": ("worker", "start", "WorkerSession._assemble"),
    "gridbot.worker.clockwork": ("worker", "loop", "Clockwork.tick"),
    "gridbot.rescue.rescue": ("rescue", "start", "Rescue._read"),
    "gridbot.flatten.flatten_drive": ("rescue", "loop", "FlattenDrive._carry_out"),
    "supervisor.store.writer_process": ("writer", "start", "run_writer"),
    "supervisor.store.writer": ("writer", "loop", "Writer.flush"),
    "gridbot.paper.server.paper_process": ("paper", "start", "run_paper_exchange"),
    "gridbot.paper.server.paper_server": ("paper", "loop", "PaperServer._publish"),
    "supervisor.children.memory_holes": ("forks", "start", "fill_holes"),
    "supervisor.children.fork_server": ("forks", "loop", "_fork"),
    "supervisor.process.directory_lock": ("supervisor", "start", "DirectoryLock.acquire"),
    "supervisor.process.loop": ("supervisor", "loop", "Supervisor._turn"),
}
"""By module: whose fault it is, where in its life, and the function that is wrapped."""


def fail(kind: str, point: str) -> None:
    """What the directory asks of this process now; nothing in nearly all cases."""
    place = Path(os.environ["FAULT_PROBE"])
    name = kind
    if kind in ("worker", "rescue"):
        name = Path("/proc/self/comm").read_text().strip().removeprefix("gb:")
        if not name.startswith(kind):
            return  # a worker flattens with the same hands as a rescue
    end = f"{name}-{point}"
    if (place / f"broken-{end}").exists():
        raise RuntimeError(f"broken on purpose: {end}")
    if taken(place / f"raise-{end}"):
        raise RuntimeError(f"raised on purpose: {end}")
    if taken(place / f"hang-{end}"):
        os.close(os.open(place / "fifo", os.O_RDONLY))


def taken(file: Path) -> bool:
    """Whether the file was there; it is gone afterwards."""
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
        return True
    return False


def wrap(module: ModuleType, kind: str, point: str, name: str) -> None:
    """Have a function of the module look first."""
    owner: Any = module
    *classes, function = name.split(".")
    for each in classes:
        owner = getattr(owner, each)
    inner = getattr(owner, function)

    @functools.wraps(inner)
    def looked(*args: Any, **named: Any) -> Any:
        fail(kind, point)
        return inner(*args, **named)

    setattr(owner, function, looked)


class Loader(importlib.abc.Loader):
    """The module's own, and then the change."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        wrap(module, *POINTS[module.__name__])


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules as Python would."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in POINTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = Loader(spec.loader)
        return spec


def wrap_loaded() -> None:
    """The same in a process that has imported some of them: also under the names that others know a function by."""
    for module in POINTS.keys() & sys.modules.keys():
        name = POINTS[module][2]
        inner = getattr(sys.modules[module], name, None)
        wrap(sys.modules[module], *POINTS[module])
        for other in [*sys.modules.values()] if inner is not None else ():
            for own, value in [*vars(other).items()]:
                if value is inner:
                    setattr(other, own, getattr(sys.modules[module], name))


if "FAULT_PROBE" in os.environ:
    wrap_loaded()
    sys.meta_path.insert(0, Finder())
