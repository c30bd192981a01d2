"""All benchmarks in small sizes, one after another, into one file that `bin/bench compare` understands.

bin/bench all --json today.json                    some twenty minutes
bin/bench all --json today.json --only latency fleet
bin/bench compare yesterday.json today.json

The file says on which machine and of which commit, and of each benchmark its command, how long it took, the load before
and after, and its figures. One that fails is in the file with its last words, and the others go on; exit code 1 then.
Figures of a small size are good for comparing, and not for publishing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.all_figures import SIZES, read_answer

ROOT = Path(__file__).resolve().parents[1]
LONGEST_S = 1800.0
LAST_WORDS = 15
"""Lines of a failed benchmark that are kept."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench all", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--only", nargs="+", choices=sorted(SIZES), metavar="NAME", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--list", action="store_true", help="print the commands, and run nothing")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    chosen = [name for name in SIZES if not options.only or name in options.only]
    if options.list:
        for name in chosen:
            print(" ".join(("bin/bench", name, *SIZES[name])))
        return 0
    document: dict[str, Any] = {
        "format": 1,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain")),
        "machine": machine(),
        "results": {},
    }
    for name in chosen:
        row = document["results"][name] = run(name, SIZES[name])
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")  # what is there stays
        print(f"{name:14}{'done' if not row['exit'] else 'FAILED'} in {row['took_s']:.0f} s", flush=True)
    return 1 if any(row["exit"] for row in document["results"].values()) else 0


def run(name: str, sizes: Sequence[str]) -> dict[str, Any]:
    """One benchmark: its figures, or its last words."""
    began_s, load = time.monotonic(), os.getloadavg()[0]
    row: dict[str, Any] = {"command": ["bin/bench", name, *sizes]}
    try:
        done = subprocess.run(
            [sys.executable, f"benchmarks/{name}.py", *sizes],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        row |= {"exit": 124, "error": [f"not done after {LONGEST_S:.0f} s"]}
    else:
        row |= {"exit": done.returncode, "result": read_answer(done.stdout)}
        if done.returncode:
            row["error"] = done.stderr.splitlines()[-LAST_WORDS:]
    return row | {
        "took_s": round(time.monotonic() - began_s, 1),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_name() or platform.processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _git(*words: str) -> str:
    """What git says; "" without git or history."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
