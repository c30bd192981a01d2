"""Backtests of the data directory and the reports that were written: what there is, and one report as it is sent.

A report is a page with scripts. It is sent so that these can do nothing as the page itself: in a sandbox of its own
origin, without cookies, without the page's key, and without any way to ask somebody for something. A name is looked up
among those that there are; no name of a request reaches the disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gridbot.command_line import pasteable

__all__ = ["REPORT_HEADERS", "read_report", "shelf"]

BACKTESTS: Final = "backtests"
REPORTS: Final = "reports"
MOST: Final = 500
"""Of each kind, the newest."""
LARGEST: Final = 32 << 20
"""Bytes of a report."""
REPORT_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}

Json = dict[str, Any]


def shelf(data_dir: Path) -> Json:
    """The newest `backtests`, each with the names of its `reports`, and the `reports` of what was traded."""
    reports = [row | {"of": ""} for row in _files(data_dir / REPORTS, ".html")]
    runs = _files(data_dir / BACKTESTS, ".duckdb")
    names = sorted((str(row["name"]) for row in runs), key=len, reverse=True)
    for report in reports:
        report["of"] = next((name for name in names if report["name"].startswith(f"{name}-")), "")
    for run in runs:
        run["reports"] = [report["name"] for report in reports if report["of"] == run["name"]]
        run["command"] = pasteable(f"report --run {run['name']}", data_dir=data_dir)
    return {"backtests": runs, "reports": [report for report in reports if not report["of"]]}


def read_report(data_dir: Path, name: str) -> bytes | None:
    """The bytes of a report of this name; None when there is none that may be shown."""
    directory = data_dir / REPORTS
    if name not in (row["name"] for row in _files(directory, ".html")):
        return None
    try:
        fd = os.open(directory / f"{name}.html", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        return file.read(LARGEST) if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST else None


def _files(directory: Path, ending: str) -> list[Json]:
    """Those that are files of their own, the newest first."""
    rows = sorted(_rows(directory, ending), key=lambda row: (row["written"], row["name"]), reverse=True)
    return rows[:MOST]


def _rows(directory: Path, ending: str) -> Iterator[Json]:
    entries: Sequence[os.DirEntry[str]]
    try:
        with os.scandir(directory) as found:
            entries = list(found)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(ending) and entry.name.isprintable() and entry.is_file(follow_symlinks=False):
            seen = entry.stat(follow_symlinks=False)
            written = datetime.fromtimestamp(seen.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield {"name": entry.name.removesuffix(ending), "bytes": seen.st_size, "written": written}
