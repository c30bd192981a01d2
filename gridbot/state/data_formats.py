"""What in a data directory has a format, and whether a newer gridbot has worked there.

A start asks before it touches anything. `formats.json` says of each kind of file the format in which this directory has
it at most: the supervisor writes it as soon as the directory is its own, before anything else. Files that say their
format themselves are asked too, and the newest blocks of the journals, since they may have come alone. What the
database and the paper exchange's file are of is looked at by those who open them, and they change nothing of a newer
one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from gridbot.atomic_file import write_atomic
from gridbot.records.journal_forms import newest_form
from gridbot.version import __version__

__all__ = ["FILES", "FILE_NAME", "FORMATS", "newer_data", "note_formats", "tells_of"]

FILE_NAME: Final = "formats.json"
FORMATS: Final = {
    "formats": 1,
    "database": 10,
    "journal": 1,
    "ledger checkpoint": 1,
    "ledger": 3,
    "grid": 1,
    "holds": 1,
    "loss latch": 1,
    "flatten": 1,
    "account caps": 1,
    "ban": 1,
    "lines": 1,
    "numbers": 1,
    "run": 1,
    "order entry": 1,
    "address": 1,
    "fleet caps": 1,
    "messages": 1,
    "telegram": 1,
    "paper exchange": 6,
}
"""Kinds of what is kept, with the newest format that this version knows. The number of one rises with each change that
earlier versions would misread; a new kind that they would be wrong without is added here."""

FILES: Final = (
    ("state/*/ledger.json", "ledger checkpoint", ("version",)),
    ("state/*/ledger.json", "ledger", ("ledger", "version")),
    ("state/*/grids/*.grid.json", "grid", ("format",)),
    ("state/*/holds.json", "holds", ("version",)),
    ("state/*/flatten.json", "flatten", ("version",)),
    ("state/*/caps.json", "account caps", ("version",)),
    ("state/*/ban.json", "ban", ("version",)),
    ("state/*/lines.json", "lines", ("version",)),
    ("state/_supervisor/address.json", "address", ("version",)),
    ("state/_supervisor/fleet_caps.json", "fleet caps", ("version",)),
    ("notify/notify.json", "messages", ("format",)),
    ("telegram/telegram.json", "telegram", ("format",)),
)
"""Files that say their format: which, of what kind, and where in the document."""


def newer_data(data_dir: Path) -> str | None:
    """What a newer gridbot has written there, and what to do, in words; None when this one knows all of it.

    Reads only. What cannot be read is left to those who read it.
    """
    marker = data_dir / FILE_NAME
    document = _document(marker)
    writer = document.get("gridbot")
    formats = document.get("formats")
    for kind, found in sorted(formats.items()) if isinstance(formats, dict) else ():
        if isinstance(found, int) and found > FORMATS.get(kind, 0):
            return _told(marker, kind, found, f"gridbot {writer}" if isinstance(writer, str) else "a newer gridbot")
    for path, kind, found in _found(data_dir):
        if isinstance(found, int) and found > FORMATS[kind]:
            return _told(path, kind, found, "a newer gridbot")
    for directory in sorted((data_dir / "journal").glob("*")):
        newest = newest_form(directory)
        if newest is not None and newest[0] > FORMATS["journal"]:
            return _told(newest[1], "journal", newest[0], "a newer gridbot")
    return None


def tells_of(data_dir: Path, kind: str) -> bool:
    """Whether the directory says in which format it has a kind of file at most."""
    formats = _document(data_dir / FILE_NAME).get("formats")
    return isinstance(formats, dict) and isinstance(formats.get(kind), int)


def note_formats(data_dir: Path) -> None:
    """Say in the directory in which formats this version writes. Raises OSError: what was said stands."""
    path = data_dir / FILE_NAME
    if _document(path).get("formats") != FORMATS:
        write_atomic(path, orjson.dumps({"gridbot": __version__, "formats": FORMATS}))


def _told(path: Path, kind: str, found: int, writer: str) -> str:
    known = f"format {FORMATS[kind]} of {kind} at most" if kind in FORMATS else "kinds of files that this version knows"
    return (
        f"expected {known}, got {kind} of format {found} by {path}: {writer} has worked in this data directory, and "
        f"this one is {__version__}; nothing was changed: start the newer one again, or this one with another "
        "--data-dir"
    )


def _found(data_dir: Path) -> Iterator[tuple[Path, str, object]]:
    for pattern, kind, keys in FILES:
        for path in sorted(data_dir.glob(pattern)):
            value: object = _document(path)
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            yield path, kind, value


def _document(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        document = orjson.loads(path.read_bytes())
        if isinstance(document, dict):
            return document
    return {}
