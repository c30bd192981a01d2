"""Whether each module of the pure rooms is covered by its own test file alone: every branch, nothing from elsewhere.

    python -m tests.house.coverage_alone [--jobs N] [ROOM | MODULE ...]
    python -m tests.house.coverage_alone core orders/book.py

`gridbot/<room>/<module>.py` belongs to `tests/<room>/test_<module>.py`. Prints one line per module, the lines and
branches that its tests never reach, and ends with 1 when any is missing. Files `__init__.py` only re-export and are
left out. Needs the `coverage` package (in the extra `dev`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "orders", "risk")
# A branch inside `TYPE_CHECKING` and a Protocol's `...` are never run by anything.
CONFIG = """
[run]
branch = true
[report]
exclude_also =
    if TYPE_CHECKING:
    : \\.\\.\\.$
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one test file left out of its module. `problem` says why there is no figure."""

    module: str
    percent: float
    lines: tuple[int, ...] = ()
    branches: tuple[tuple[int, int], ...] = ()
    problem: str = ""

    @property
    def whole(self) -> bool:
        return not (self.problem or self.lines or self.branches)

    def __str__(self) -> str:
        if self.problem:
            return f"{self.module:32} {self.problem}"
        missing = [f"line {line}" for line in self.lines]
        # A negative line number is coverage.py's way to say "leaves the function that begins there".
        missing += [f"{start}->{'exit' if end < 0 else end}" for start, end in self.branches if end not in self.lines]
        return f"{self.module:32} {self.percent:6.1f} %  {', '.join(missing)}".rstrip()


def modules(wanted: Sequence[str]) -> Iterator[Path]:
    """The modules of the rooms, or of those rooms and modules that are named; relative to `gridbot/`."""
    for room in ROOMS:
        for path in sorted((ROOT / "gridbot" / room).rglob("*.py")):
            module = path.relative_to(ROOT / "gridbot")
            if path.name != "__init__.py" and (not wanted or room in wanted or str(module) in wanted):
                yield module


def measure(module: Path) -> Result:
    """Run the module's own test file under coverage."""
    test = ROOT / "tests" / module.parent / f"test_{module.name}"
    if not test.exists():
        return Result(str(module), 0.0, problem=f"has no {test.relative_to(ROOT)}")
    source = ROOT / "gridbot" / module
    with tempfile.TemporaryDirectory() as scratch:
        config, data, report = (Path(scratch) / name for name in ("coveragerc", "data", "report.json"))
        config.write_text(CONFIG)
        common = ["--rcfile", str(config), "--data-file", str(data), "--include", str(source)]
        coverage = [sys.executable, "-m", "coverage"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

        tests = run(*coverage, "run", *common, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
        if tests.returncode:
            return Result(str(module), 0.0, problem=f"its tests fail:\n{tests.stdout[-2000:]}{tests.stderr[-500:]}")
        made = run(*coverage, "json", *common, "-o", str(report))
        if made.returncode:
            return Result(str(module), 0.0, problem=f"is not imported by its tests: {made.stdout.strip()}")
        (found,) = json.loads(report.read_text())["files"].values()
    return _result(str(module), found)


def _result(module: str, found: dict[str, Any]) -> Result:
    branches = tuple((start, end) for start, end in found["missing_branches"])
    return Result(module, found["summary"]["percent_covered"], tuple(found["missing_lines"]), branches)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.house.coverage_alone", description=__doc__.split("\n")[0])
    parser.add_argument("wanted", nargs="*", metavar="ROOM|MODULE", help="such as core or orders/book.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="test files at a time")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    chosen = list(modules(options.wanted))
    if not chosen:
        parser.error(f"expected rooms out of {', '.join(ROOMS)} or modules in them, got {' '.join(options.wanted)}")
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        results = []
        for result in pool.map(measure, chosen):
            results.append(result)
            print(result, flush=True)
    missing = sum(not result.whole for result in results)
    print(f"{len(results) - missing} of {len(results)} modules are whole; {time.monotonic() - began:.0f} s")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
