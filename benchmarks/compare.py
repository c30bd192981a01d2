"""Two files of `bin/bench all` beside each other: each figure before and after, and the change.

bin/bench compare old.json new.json

Which figures: `FIGURES` in `parts/all_figures.py`. It says so when the load, the machine or Python were not the same:
then a change may be noise. Nothing is judged here; a larger figure is worse for times and memory, better for rates.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.all_figures import changes, load_of

LOADS_DIFFER = 1.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    try:
        old, new = (read(path) for path in (options.old, options.new))
    except ValueError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    print("| figure | old | new | change |\n|---|---|---|---|")
    for change in changes(old, new):
        percent = "-" if change.percent is None else f"{change.percent:+.0f} %"
        print(f"| {change.name} | {_cell(change.old)} | {_cell(change.new)} | {percent} |")
    print(f"\nold: {_from(old)}\nnew: {_from(new)}")
    for warning in warnings(old, new):
        print(f"warning: {warning}")
    return 0


def read(path: Path) -> dict[str, Any]:
    """A file of `bin/bench all`. Raises ValueError, with what to do."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"expected a file of `bin/bench all --json`, got {path}: {error}") from None
    if not isinstance(document, dict) or document.get("format") != 1 or not isinstance(document.get("results"), dict):
        raise ValueError(f"expected a file of `bin/bench all --json`, got {path}, which is something else")
    return document


def warnings(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Why a change may be something else than the code."""
    loads = load_of(old), load_of(new)
    if abs(loads[0] - loads[1]) >= LOADS_DIFFER:
        yield f"the load was {loads[0]:.1f} and {loads[1]:.1f}: changes may be noise"
    for what in ("cpu", "cpus", "python"):
        both = [document.get("machine", {}).get(what) for document in (old, new)]
        if both[0] != both[1]:
            yield f"{what} was {both[0]} and {both[1]}"
    for document, name in ((old, "old"), (new, "new")):
        failed = [bench for bench, row in document["results"].items() if row.get("exit")]
        if failed:
            yield f"in the {name} file {', '.join(failed)} failed"


def _from(document: dict[str, Any]) -> str:
    commit = str(document.get("commit") or "no commit")[:8]
    changed = " with changes" if document.get("changed") else ""
    return f"{document.get('began', '')} of {commit}{changed}, load {load_of(document):.1f}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
