"""What `bin/bench fleet` counts inside the paper exchange of its fleet, whatever version of the code it runs.

Python imports this at the start of each process that finds it first in PYTHONPATH. With FLEET_PROBE in the environment
the exchange's table of endpoints counts the HTTP requests of each API key, and a thread leaves them each second as a
line of `requests-PID`. Nothing else of any process is changed.
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

PATCHED = "gridbot.paper.api.dispatch"


def count_requests(module: ModuleType) -> None:
    """From the first request on."""
    handle = module.Api.handle
    counts: Counter[str] = Counter()
    began = threading.Event()

    def keep() -> None:
        file = Path(os.environ["FLEET_PROBE"]) / f"requests-{os.getpid()}"
        while True:
            time.sleep(1.0)
            taken = {key: counts.pop(key) for key in list(counts)}
            if taken:
                with file.open("a") as lines:
                    lines.write(json.dumps({"at": time.time(), "counts": taken}) + "\n")

    def counted(api: Any, verb: str, target: str, headers: Any, *rest: Any, **named: Any) -> Any:
        if not began.is_set():
            began.set()
            threading.Thread(target=keep, name="fleet-probe", daemon=True).start()
        counts[headers.get("X-BAPI-API-KEY", "")] += 1
        return handle(api, verb, target, headers, *rest, **named)

    module.Api.handle = counted


class Loader(importlib.abc.Loader):
    """The module's own, and then the change."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        count_requests(module)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the module as Python would."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != PATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = Loader(spec.loader)
        return spec


if "FLEET_PROBE" in os.environ:
    sys.meta_path.insert(0, Finder())
