"""Steps of the wall clock that processes see, by libfaketime: nothing of ours knows of it.

The library stands before the system's when a process is loaded (LD_PRELOAD), adds what a file says to CLOCK_REALTIME,
and reads that file again once a second. CLOCK_BOOTTIME and CLOCK_MONOTONIC stay what they are, as when somebody sets
the time of a machine.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from gridbot.atomic_file import write_atomic

__all__ = ["faked", "library", "step"]

FILE = "faketime"
PACKAGE = "libfaketime"
OF_DEBIAN = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime")
NAME = "libfaketime.so.1"


def library() -> Path | None:
    """Where libfaketime is, of PyPI's package or of Debian's; None when it is not installed."""
    places = [Path(place) / NAME for place in OF_DEBIAN]
    spec = importlib.util.find_spec(PACKAGE)
    for package in (spec.submodule_search_locations or ()) if spec is not None else ():
        places.append(Path(package) / "vendor" / "libfaketime" / "src" / NAME)
    return next((place for place in places if place.exists()), None)


def faked(place: Path) -> Mapping[str, str]:
    """The variables of processes whose wall clock `step` sets, below that directory."""
    step(place, 0)
    return {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(place / FILE),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }


def step(place: Path, offset_s: int) -> None:
    """From within a second on, the wall clock of those processes is so far ahead (or behind) of the true one."""
    write_atomic(place / FILE, f"{offset_s:+d}\n".encode())
