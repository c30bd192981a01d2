"""What `bin/bench fleet`, `flatten` and `store` count in paper exchange and writer, whatever version of the code runs.

Python imports this at the start of each process that finds it first in PYTHONPATH. With FLEET_PROBE in the environment
the exchange's table of endpoints counts the HTTP requests of each API key (`counts`) and, by account, endpoint and way
("http" or "ws"), what it was asked to do (`kinds`); requests of a banned address are "403". A thread leaves them each
second as a line of `requests-PID`. Nothing else of any process is changed.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PID = os.getpid()
"""Of the process that imported this; its forks have others."""

counts: Counter[str] = Counter()
kinds: Counter[str] = Counter()


def rehearses() -> bool:
    """Whether this is the fork server, where no thread may begin: an exchange in it is that of a rehearsal."""
    return os.getpid() == PID and "supervisor.children.fork_server" in sys.modules


def count_requests(module: ModuleType) -> None:
    """From the first request on."""
    handle, call = module.Api.handle, module.Api.call
    began = threading.Event()
    by_http = False

    def keep() -> None:
        file = Path(os.environ["FLEET_PROBE"]) / f"requests-{os.getpid()}"
        while True:
            time.sleep(1.0)
            taken = {key: counts.pop(key) for key in list(counts)}
            by_kind = {key: kinds.pop(key) for key in list(kinds)}
            if taken or by_kind:
                with file.open("a") as lines:
                    lines.write(json.dumps({"at": time.time(), "counts": taken, "kinds": by_kind}) + "\n")

    def counted(api: Any, verb: str, target: str, headers: Any, *rest: Any, **named: Any) -> Any:
        if rehearses():
            return handle(api, verb, target, headers, *rest, **named)
        if not began.is_set():
            began.set()
            threading.Thread(target=keep, name="fleet-probe", daemon=True).start()
        counts[headers.get("X-BAPI-API-KEY", "")] += 1
        nonlocal by_http
        by_http = True
        try:
            return handle(api, verb, target, headers, *rest, **named)
        finally:
            by_http = False

    def called(api: Any, route: Any, path: str, account: Any, *rest: Any, **named: Any) -> Any:
        kinds[f"{account.name} {path} {'http' if by_http else 'ws'}"] += 1
        return call(api, route, path, account, *rest, **named)

    module.Api.handle, module.Api.call = counted, called


def count_bans(module: ModuleType) -> None:
    """What a banned address is answered."""
    banned = module.HttpFront._banned

    def counted(front: Any) -> Any:
        kinds["403"] += 1
        return banned(front)

    module.HttpFront._banned = counted


def note_commits(module: ModuleType) -> None:
    """A line of `commits-PID` for each flush of the writer, when the file is free again: the time, and the numbers."""
    committed = module.Writer._committed

    def noted(writer: Any, *given: Any) -> Any:
        numbers = dict(writer._rows.offsets)
        more = committed(writer, *given)
        with (Path(os.environ["FLEET_PROBE"]) / f"commits-{os.getpid()}").open("a") as lines:
            lines.write(json.dumps({"at": time.time(), "numbers": numbers}) + "\n")
        return more

    module.Writer._committed = noted


PATCHES = {
    "gridbot.paper.api.dispatch": count_requests,
    "gridbot.paper.server.http_front": count_bans,
    "supervisor.store.writer": note_commits,
}


class Loader(importlib.abc.Loader):
    """The module's own, and then the change."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        PATCHES[module.__name__](module)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the module as Python would."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = Loader(spec.loader)
        return spec


if "FLEET_PROBE" in os.environ:
    sys.meta_path.insert(0, Finder())
