"""Why DuckDB cannot open or read a file: another process has it, or it is damaged. Only the error's text tells."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import duckdb

from gridbot.command_line import pasteable

__all__ = [
    "first_line",
    "holder_of",
    "is_cut_short",
    "is_damage",
    "is_forbidden",
    "is_lock_error",
    "is_log_damage",
    "rebuild_line",
]

_HOLDER: Final = re.compile(r"held in (.+?) \(PID (\d+)\)")
_CUT_SHORT: Final = "Could not read enough bytes"
_DAMAGE: Final = (
    "not a valid DuckDB database",
    "version number",
    "orrupt",
    "checksum",
    "deserialize",
    "Could not read",
)


def is_lock_error(error: BaseException) -> bool:
    """True when another process has the file."""
    return isinstance(error, duckdb.IOException) and "Could not set lock on file" in str(error)


def holder_of(error: BaseException) -> str:
    """The process that a lock error names, such as "python3.11 -m analysis (pid 4711)"."""
    found = _HOLDER.search(str(error))
    if not found:
        return "another process"
    return f"{_command_of(int(found[2])) or os.path.basename(found[1])} (pid {found[2]})"


def is_forbidden(error: BaseException) -> bool:
    """True when this user may not open a file."""
    return isinstance(error, duckdb.IOException) and "Permission denied" in first_line(error)


def is_log_damage(error: BaseException) -> bool:
    """True when the write-ahead log beside the file cannot be read."""
    return "replaying WAL" in first_line(error)


def is_cut_short(error: BaseException) -> bool:
    """True when a file ends before what it says it has: damage, or a writer that was killed while it wrote."""
    return _CUT_SHORT in first_line(error)


def is_damage(error: BaseException) -> bool:
    """True when the file's content cannot be had as it was written: damaged, cut off, or not given by the disk.

    Not for want of memory, room or open files, for a file that may not be opened, or a statement that does not fit it.
    """
    if isinstance(error, duckdb.InternalException | duckdb.FatalException | duckdb.SerializationException):
        return True
    return any(sign in first_line(error) for sign in _DAMAGE)


def first_line(error: BaseException) -> str:
    """An error's text without DuckDB's hints and stack.

    What a filesystem in Python raises (`gridbot.store.history_files`) comes with its traceback: then it is the line
    that says what it was.
    """
    first, *others = str(error).splitlines() or [repr(error)]
    if not first.startswith("Traceback "):
        return first
    raised = (line for line in others if line and not line[0].isspace())
    return next(raised, "a file cannot be read")


def _command_of(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    parts = [part.decode(errors="replace") for part in raw.split(b"\0") if part]
    return " ".join(os.path.basename(part) for part in parts[:3])[:80]


def rebuild_line(database: Path) -> str:
    """The command that makes a new file from the journals, as it is typed."""
    return pasteable("rebuild", data_dir=database.parent)
