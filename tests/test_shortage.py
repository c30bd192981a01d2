"""Which failures are want of room."""

from __future__ import annotations

import errno

import pytest

from gridbot.shortage import is_shortage


@pytest.mark.parametrize(
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


def test_what_is_no_error_of_the_system_and_a_circle() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_shortage(first)
    assert not is_shortage(OSError("without a number"))
