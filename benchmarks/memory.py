"""What the demo needs of memory and disk, and whether it grows.

bin/bench memory                                  conf/demo.yaml for twenty minutes
bin/bench memory --minutes 5 --config conf/mine.yaml
bin/bench memory --days 7                         a simulated week instead, counted in objects (about ten minutes)

Every ten seconds: what each process has for itself (USS), and how long its logs are. The first five minutes (of a short
run its first half) are warming up: buffers fill, rings become full. The slope of the rest is that of a straight line
through it.

Of simulated days it prints how many objects of which types a day added, worker and paper exchange together, under the
virtual time of `docs/simulator.md`. The longest memory is that of minute candles, fifty hours.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.own_supervisor import OwnSupervisor, child_rows
from benchmarks.parts.simulated_days import Day, watch_days

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_S = 10.0
WARM_S = 300.0
START_S = 60.0
STOP_S = 60.0
MOST_TYPES = 10
SEED = 5


@dataclass
class Samples:
    """(seconds, MB) of one process."""

    seen: list[tuple[float, float]] = field(default_factory=list)

    def mb_at(self, at_s: float) -> float:
        """The sample nearest to a time."""
        return min(self.seen, key=lambda sample: abs(sample[0] - at_s))[1]

    def slope(self, from_s: float) -> float:
        """MB a minute, of the samples from a time on; 0 for fewer than three."""
        seen = [sample for sample in self.seen if sample[0] >= from_s]
        if len(seen) < 3:
            return 0.0
        middle_s, middle = sum(at_s for at_s, _ in seen) / len(seen), sum(mb for _, mb in seen) / len(seen)
        spread = sum((at_s - middle_s) ** 2 for at_s, _ in seen)
        return 60 * sum((at_s - middle_s) * (mb - middle) for at_s, mb in seen) / spread


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="default 20")
    parser.add_argument("--days", type=int, default=0, help="simulate so many days instead")
    parser.add_argument("--config", type=Path, default=ROOT / "conf" / "demo.yaml", help="default conf/demo.yaml")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    if options.days:
        return simulated(options.days)
    with tempfile.TemporaryDirectory() as folder:
        own = OwnSupervisor(Path(folder) / "data", options.config.resolve(), Path(folder) / "console")
        process = own.launch()
        try:
            result = watched(own, options.minutes * 60)
        finally:
            own.run("stop", within_s=STOP_S)
            if process.poll() is None:
                process.kill()
            process.wait()
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


def simulated(days: int) -> int:
    """Print what each day added; 0."""
    last: Day = {}
    process = psutil.Process()

    def told(day: int, objects: Day) -> None:
        nonlocal last
        give_back()
        uss = process.memory_full_info().uss / 1e6
        print(f"day {day}: {sum(objects.values())} objects, {uss:.1f} MB{heap_words()}", flush=True)
        changes = {name: objects.get(name, 0) - last.get(name, 0) for name in {*objects, *last}} if last else {}
        for name, change in sorted(changes.items(), key=lambda item: -item[1])[:MOST_TYPES]:
            if change > 0:
                print(f"  {change:+7} {name} ({objects[name]})", flush=True)
        last = objects

    logging.disable(logging.ERROR)
    print(f"{watch_days(days, SEED, told):.0f} x real time")
    return 0


def give_back() -> None:
    """Return what the C library holds free on top of its heap: 4 MB on one day and 16 on the next, of 68 (glibc)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Heap(ctypes.Structure):
    """`struct mallinfo2` of glibc: bytes."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in
                     ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
                      "keepcost"))  # fmt: skip


def heap_words() -> str:
    """What is in use and what is free, so that a change of the size can be told from a change of the content."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return f"; {sys.getallocatedblocks()} blocks of Python's"
    mallinfo2.restype = Heap
    heap = mallinfo2()
    return (
        f"; {sys.getallocatedblocks()} blocks of Python's; of the C library {heap.uordblks / 1e6:.1f} MB in use, "
        f"{heap.fordblks / 1e6:.1f} MB free, {heap.hblkhd / 1e6:.1f} MB mapped"
    )


def watched(own: OwnSupervisor, for_s: float) -> dict[str, Any]:
    """Samples of all processes, from the moment at which each of them runs."""
    pids = running(own)
    samples = {name: Samples() for name in pids}
    load, logs = os.getloadavg()[0], log_bytes(own.data_dir)
    began_s = time.monotonic()
    while (at_s := time.monotonic() - began_s) < for_s:
        for name, pid in pids.items():
            samples[name].seen.append((at_s, psutil.Process(pid).memory_full_info().uss / 1e6))
        time.sleep(SAMPLE_S)
    minutes = for_s / 60
    after = log_bytes(own.data_dir)
    return {
        "minutes": minutes,
        "load": [load, os.getloadavg()[0]],
        "processes": {
            name: {
                "mb": [round(each.mb_at(at_s), 1) for at_s in (0.0, for_s / 2, for_s)],
                "mb_a_minute": round(each.slope(min(WARM_S, for_s / 2)), 3),
            }
            for name, each in samples.items()
        },
        "log_kb_a_minute": {
            name: round((size - logs.get(name, 0)) / minutes / 1000, 1) for name, size in sorted(after.items())
        },
    }


def running(own: OwnSupervisor) -> dict[str, int]:
    """Process ids by name, once all run. Raises TimeoutError."""
    assert own.supervisor is not None
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        answer = own.run("status", "--json", within_s=START_S)
        if answer.stdout.startswith("{"):
            rows = child_rows(json.loads(answer.stdout))
            if rows and all(row["state"] == "RUNNING" for row in rows.values()):
                return {"supervisor": own.supervisor.pid, **{name: int(row["pid"]) for name, row in rows.items()}}
        time.sleep(0.5)
    raise TimeoutError(f"expected all processes to run within {START_S:.0f} s; {own.console.read_text()}")


def log_bytes(data_dir: Path) -> dict[str, int]:
    """Size of the logs of each process, those put aside by rotation included."""
    sizes: dict[str, int] = {}
    for path in (data_dir / "logs").iterdir():
        name = path.name.partition(".")[0]
        sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return sizes


def show(result: dict[str, Any]) -> None:
    """A table for people and for docs."""
    minutes = result["minutes"]
    print(f"{minutes:g} minutes, load {result['load'][0]:.1f} to {result['load'][1]:.1f}")
    print(f"| process | start, MB | minute {minutes / 2:g}, MB | minute {minutes:g}, MB | MB a minute | log, kB/min |")
    print("|---|---|---|---|---|---|")
    for name, row in result["processes"].items():
        first, middle, last = row["mb"]
        log = result["log_kb_a_minute"].get(name, 0.0)
        print(f"| `{name}` | {first:.1f} | {middle:.1f} | {last:.1f} | {row['mb_a_minute']:+.3f} | {log:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
