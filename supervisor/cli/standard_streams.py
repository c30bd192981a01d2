"""Standard input, output and error of a command: what happens when they are closed, full, or their reader goes.

`guard` is called once, at the start. From then on a failing write to standard output is `OutputGone`, whatever part of
a command wrote: the command ends without a word with exit code 141, as a shell shows a process that SIGPIPE has ended.
A failing write to standard error is nobody's business. Files that a command opens never get the numbers 0 to 2, so that
no library that prints can write into the database.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, Final, NoReturn, TextIO

from supervisor.exit_codes import ExitCode

__all__ = ["OutputGone", "end", "guard"]

OUTPUT: Final = 1
ERROR: Final = 2


class OutputGone(Exception):
    """Nothing more can be written to standard output."""


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            raise OutputGone from None


class _NoOutput(io.RawIOBase):
    """Standard output that was closed before the command began."""

    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> int:
        raise OutputGone


class _Error(io.FileIO):
    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            return super().write(data)
        return len(data)


def guard() -> None:
    """Replace the standard streams of this process by ones that behave as above. Those of a test stay as they are."""
    closed = _fill_up()
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is None or _is(sys.stdout, OUTPUT):
        raw = _NoOutput() if OUTPUT in closed else _Output(OUTPUT, "w", closefd=False)
        sys.stdout = _text(raw, sys.stdout)
    if sys.stderr is None or _is(sys.stderr, ERROR):
        sys.stderr = _text(_Error(ERROR, "w", closefd=False), sys.stderr, line_buffering=True)


def end(code: int) -> NoReturn:
    """End this process with `code`, or with 141 when what was printed cannot be written.

    Threads that are still at work (a statement that DuckDB does not let go of) are not waited for.
    """
    try:
        sys.stdout.flush()
    except OutputGone:
        code = ExitCode.OUTPUT_GONE
    except (OSError, ValueError):  # a stream that is not ours
        pass
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    if not _is(sys.stdout, OUTPUT) and not isinstance(getattr(sys.stdout.buffer, "raw", None), _NoOutput):
        sys.exit(code)  # within another program, such as a test
    os._exit(code)


def _fill_up() -> set[int]:
    """Open the null device in place of standard streams that are closed; which those were."""
    closed = set()
    for number in (0, OUTPUT, ERROR):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    return closed


def _is(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


def _text(raw: io.RawIOBase, old: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    encoding = old.encoding if old is not None else "utf-8"
    lines = line_buffering or (old is not None and old.isatty())
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=lines, write_through=lines
    )
