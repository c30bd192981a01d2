"""Mutation testing of the pure rooms: small changes of the code, each of which the room's own tests should notice.

    python -m tests.house.mutation ROOM ... [--only FILE ...] [--at-least PERCENT] [--examples N] [--jobs N]
    python -m tests.house.mutation orders risk
    python -m tests.house.mutation core --only limits.py pnl.py

Prints a line per module, the change of each mutant that survived, and the score: the part of the mutants that a test or
the time limit ended. Works in a copy in a temporary directory and never touches the tree. mutmut is installed into an
environment of its own (`data/mutation-venv`, or --venv), which borrows everything else from the running one.

A mutant runs only the tests of its room that reach its function. Hypothesis draws few examples (--examples), always the
same ones, and does not shrink what it found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "strategies", "orders", "risk")
MUTMUT = "3.8.1"
# They compare source files with rules, which a mutated copy breaks everywhere.
READ_THE_SOURCE = ("tests/core/test_purity.py",)
DETECTED = frozenset({"killed", "timeout", "caught by type check", "segfault"})
PROFILE = """

from hypothesis import HealthCheck, Phase, settings  # noqa: E402

settings.register_profile(
    "mutation",
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutation")
"""
HEAD = "mutant "
# mutmut shows one mutant per process, which takes a second each.
SHOW = f"""
import sys
from mutmut import __main__ as mutmut
for name in sys.argv[1:]:
    print({HEAD!r} + name)
    print(mutmut.get_diff_for_mutant(name, path=mutmut.find_mutant(name).path))
"""
# A mutant that loops is stopped after this many times the usual duration of its tests (plus a second).
PATIENCE = 8


class CannotMeasure(Exception):
    """Nothing could be measured; the text says why."""


@dataclass(slots=True)
class Tally:
    """The mutants of one module: how many have which status, and the names of those that no test noticed."""

    statuses: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)

    def count(self, name: str, status: str) -> None:
        self.statuses[status] += 1
        if status not in DETECTED:
            self.left.append(name)

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    @property
    def score(self) -> float:
        """Percent; 100 where there is nothing to mutate."""
        return 100 * (self.total - len(self.left)) / self.total if self.total else 100.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.statuses + other.statuses, self.left + other.left)

    def __str__(self) -> str:
        known = ", ".join(f"{number} {status}" for status, number in sorted(self.statuses.items()))
        return f"{self.score:6.1f} %  {known or 'nothing to mutate'}"


def modules(room: str, only: Sequence[str]) -> list[str]:
    """The files of a room, relative to the tree, or those of them whose path ends with one of `only`."""
    found = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "gridbot" / room).rglob("*.py"))]
    return [
        name
        for name in found
        if not name.endswith("__init__.py") and (not only or any(f"/{name}".endswith(f"/{part}") for part in only))
    ]


def prepare_environment(venv: Path) -> Path:
    """Its interpreter. Made at the first use: mutmut by pip, the packages of the running interpreter by a .pth file."""
    python = venv / "bin" / "python"
    wanted = f"import importlib.metadata as m, sys; sys.exit(m.version('mutmut') != {MUTMUT!r})"
    if python.exists() and _run([python, "-c", wanted], ROOT).returncode == 0:
        return python
    print(f"mutmut {MUTMUT} goes into {venv}", flush=True)
    made = _run([sys.executable, "-m", "venv", "--clear", venv], ROOT)
    if made.returncode == 0:
        (packages,) = (venv / "lib").glob("python*/site-packages")
        (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        made = _run([python, "-m", "pip", "install", "--quiet", f"mutmut=={MUTMUT}"], ROOT)
    if made.returncode:
        raise CannotMeasure(f"expected an environment with mutmut in {venv}, got:\n{made.stdout}{made.stderr}")
    return python


def copy_tree(target: Path, room: str, files: Sequence[str]) -> None:
    """What the tests of one room need, and mutmut's settings for these files."""
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("gridbot", "docs"):  # some tests compare the code with a page
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    for other in ROOMS:
        shutil.copytree(ROOT / "tests" / other, target / "tests" / other, ignore=ignore)
    for module in (ROOT / "tests").glob("*.py"):  # tests/conftest.py imports some, and they each other
        if not module.name.startswith("test_"):
            shutil.copy(module, target / "tests" / module.name)
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (target / "tests" / "conftest.py").write_text(conftest + PROFILE, encoding="utf-8")
    settings = f"""
[tool.mutmut]
source_paths = ["gridbot"]
also_copy = ["docs"]
only_mutate = {list(files)!r}
pytest_add_cli_args_test_selection = ["tests/{room}"]
pytest_add_cli_args = {[f"--ignore={name}" for name in READ_THE_SOURCE]!r}
timeout_multiplier = {PATIENCE}.0
use_git_change_detection = false
"""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (target / "pyproject.toml").write_text(project + settings, encoding="utf-8")


def mutate(python: Path, home: Path, *, examples: int, jobs: int) -> dict[str, Tally]:
    """Run all mutants of the copy in `home`; the tally of each module by its dotted name."""
    environ = {"GRIDBOT_EXAMPLES": str(examples), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = _run([python, "-m", "mutmut", "run", "--max-children", str(jobs)], home, environ)
    if ran.returncode:
        raise CannotMeasure(f"mutmut ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-3000:]}")
    listed = _run([python, "-m", "mutmut", "results", "--all", "true"], home, environ)
    tallies: dict[str, Tally] = {}
    for name, status in re.findall(r"^ +(\S+): (.+)$", listed.stdout, re.MULTILINE):
        module = re.split(r"\.x[_ǁ]", name)[0]
        tallies.setdefault(module, Tally()).count(name, status)
    return tallies


def changes(python: Path, home: Path, mutants: Sequence[str]) -> dict[str, str]:
    """What each mutant changed: its removed and added lines."""
    if not mutants:
        return {}
    shown = _run([python, "-c", SHOW, *mutants], home)
    found: dict[str, list[str]] = {mutant: [] for mutant in mutants}
    lines: list[str] = []
    for line in shown.stdout.splitlines():
        if line.startswith(HEAD):
            lines = found[line.removeprefix(HEAD)]
        elif re.match(r"[-+](?![-+]{2})", line):
            lines.append(f"      {line}")
    return {mutant: "\n".join(lines) for mutant, lines in found.items()}


def _run(
    command: Sequence[str | Path], cwd: Path, more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # PYTHONPATH would show the tests the tree instead of the mutated copy.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | (more or {})
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )


def report(python: Path, rooms: Sequence[str], options: argparse.Namespace) -> Tally:
    """Measure the rooms one after the other and print what came out."""
    whole = Tally()
    for room in rooms:
        files = modules(room, options.only)
        if not files:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="gridbot-mutation-") as scratch:
            home = Path(scratch)
            copy_tree(home, room, files)
            tallies = mutate(python, home, examples=options.examples, jobs=options.jobs)
            of_room = sum(tallies.values(), Tally())
            for module, tally in sorted(tallies.items()):
                print(f"{module:44} {tally}", flush=True)
                for mutant, lines in changes(python, home, tally.left).items():
                    print(f"    {mutant}\n{lines}", flush=True)
        print(f"{room:44} {of_room}; {time.monotonic() - began:.0f} s", flush=True)
        whole += of_room
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.house.mutation", description=__doc__.split("\n")[0])
    parser.add_argument("rooms", nargs="+", choices=ROOMS, metavar="ROOM", help=f"out of {', '.join(ROOMS)}")
    parser.add_argument("--only", nargs="+", default=[], metavar="FILE", help="such as limits.py or grid/plan.py")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="PERCENT", help="end with 1 below this score")
    parser.add_argument("--examples", type=int, default=8, help="of each hypothesis test (default 8)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: all cores)")
    parser.add_argument("--venv", type=Path, default=ROOT / "data" / "mutation-venv", help="where mutmut is, or goes")
    options = parser.parse_args(arguments)
    if not any(modules(room, options.only) for room in options.rooms):
        parser.error(f"expected files of {', '.join(options.rooms)} after --only, got {' '.join(options.only)}")
    try:
        whole = report(prepare_environment(options.venv.resolve()), options.rooms, options)
    except CannotMeasure as error:
        print(f"mutation: {error}", file=sys.stderr)
        return 2
    print(f"{'all':44} {whole}")
    return 1 if whole.score < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
