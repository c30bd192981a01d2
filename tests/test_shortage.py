"""Which failures are want of room."""

from __future__ import annotations

import errno
import threading

import duckdb
import pytest

from gridbot.shortage import is_of_system, is_shortage
from tests.case_table import case_table


@case_table(
    ("number", "expected"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.ENOMEM, True),
        (errno.EMFILE, True),
        (errno.EACCES, False),
        (errno.EIO, False),
    ],
)
def test_by_number_also_as_the_cause_of_another(number: int, expected: bool) -> None:
    error = OSError(number, "text")
    assert is_shortage(error) is expected
    refused = RuntimeError("refused")
    refused.__cause__ = error
    assert is_shortage(refused) is expected
    assert is_of_system(refused)
    assert not is_of_system(RuntimeError("refused"))


def test_no_memory_and_no_thread_are_want_of_room_too() -> None:
    """Such a start was counted, and FATAL after the sixth."""
    assert is_shortage(MemoryError())
    thread, before = threading.Thread(target=int), threading.stack_size(1 << 46)
    try:
        with pytest.raises(RuntimeError) as raised:  # Python's own words: no stack as large as that can be had
            thread.start()
    finally:
        threading.stack_size(before)
    assert is_shortage(raised.value)
    assert not is_shortage(RuntimeError("another"))


def test_what_is_no_error_of_the_system_and_a_circle() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_shortage(first)
    assert not is_shortage(OSError("without a number"))


def test_a_full_disk_is_one_too_when_the_database_tells_it() -> None:
    """A backtest on a full disk was an unexpected error, with a traceback kept on the same disk."""
    told = 'Could not write file "f.duckdb": No space left on device'
    assert is_shortage(duckdb.IOException(told))
    assert is_shortage(duckdb.TransactionException(f"Failed to commit: Checkpoint failed. Original error: {told}"))
    assert not is_shortage(ValueError(told))
    assert not is_shortage(duckdb.IOException('Could not open file "f.duckdb": No such file or directory'))
    assert not is_shortage(ValueError(told))
