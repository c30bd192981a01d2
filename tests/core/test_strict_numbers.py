"""The one reader of numbers from outside."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import strict_numbers as numbers
from gridbot.core.strict_numbers import HIGHEST, LATEST_MS
from tests.case_table import case_table

NEVER = (
    *("", " ", "-", ".", "+", "1_000", "_1", "١٢", "²", "１", " 1", "1 ", "1\n", "1,5", "1.2.3", "--1", "1-2", "0x10"),
    *("NaN", "nan", "sNaN", "Infinity", "-inf", "1e999999", "1e-999999", "1e", "e5", "1\x00", "\ud800"),
    *("9" * 19, "9" * 5000, "0." + "1" * 5000, None, True, False, [], {}, b"1", 10**18, -(10**18), 10**400),
    *(1e18, 1e300, float("nan"), float("inf")),
)


@case_table("value", NEVER, ids=lambda value: f"{value!r:.20}")
def test_what_is_no_number_at_any_door(value: object) -> None:
    assert numbers.decimal_or_none(value) is None
    assert numbers.amount_or_none(value) is None
    if (value != "9" * 19 and value not in (10**18, -(10**18))) or isinstance(value, bool | float):
        assert numbers.whole_or_none(value) is None
    assert numbers.time_or_none(value) is None
    assert not isinstance(value, str) or numbers.count_or_none(value) is None


@case_table(
    ("value", "number"),
    [
        ("0", "0"), ("60123.40", "60123.40"), ("-0.0001", "-0.0001"), ("+5", "5"), (".5", "0.5"), ("5.", "5"),
        ("1E-8", "0.00000001"), ("999999999999999999", "999999999999999999"), (5, "5"), (1e-8, "1e-8"),
        ("0.1234567890123456789012345678", "0.1234567890123456789012345678"), (0.5, "0.5"), (-3, "-3"), ("-0", "-0"),
    ],
)  # fmt: skip
def test_what_is_one(value: object, number: str) -> None:
    expected = Decimal(number)
    assert str(numbers.decimal_or_none(value)) == str(expected)
    assert numbers.amount_or_none(value) == (expected if expected >= 0 else None)


def test_numbers_beyond_all_reason_are_none() -> None:
    for text in ("1e18", "-1e18", "1e30", "1e-31", "100e-40"):
        assert numbers.decimal_or_none(text) is None
    assert numbers.decimal_or_none("0e99") == 0


@case_table(
    ("value", "number"),
    [("12", 12), ("-7", -7), ("+7", 7), (12, 12), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63)), ("007", 7)],
)
def test_whole_numbers(value: object, number: int) -> None:
    assert numbers.whole_or_none(value) == number


@case_table("value", ["1.0", "1e3", 1.0, str(2**63), 2**63, "9" * 20, -(2**63) - 1])
def test_no_whole_numbers(value: object) -> None:
    assert numbers.whole_or_none(value) is None


def test_counts_have_no_sign() -> None:
    assert numbers.count_or_none("14") == 14
    assert [numbers.count_or_none(text) for text in ("+14", "-1", "1.0", "²", "9" * 19)] == [None] * 5


def test_times_have_an_end() -> None:
    assert numbers.time_or_none("1795948428054") == 1795948428054
    assert numbers.time_or_none(0) == 0
    assert numbers.time_or_none(LATEST_MS) == LATEST_MS
    assert [numbers.time_or_none(value) for value in (LATEST_MS + 1, "-1", -1, 2**63 - 1, "x")] == [None] * 5


@given(st.text(alphabet="0123456789.-+eE_ ١²\n", max_size=24))
def test_what_is_read_is_what_is_written(text: str) -> None:
    number = numbers.decimal_or_none(text)
    assert number is None or (number == Decimal(text) and -HIGHEST < number < HIGHEST and "_" not in text)
    whole = numbers.whole_or_none(text)
    assert whole is None or (whole == int(text) and text.isascii() and "_" not in text)


def test_what_files_have_is_read_or_a_mistake_of_its_own() -> None:
    assert numbers.decimal_of("-1.5") == Decimal("-1.5")
    assert numbers.amount_of(0.25) == Decimal("0.25")
    assert numbers.whole_of("-7") == -7
    assert numbers.time_of("1795948428054") == 1795948428054
    for read, wrong in (
        (numbers.decimal_of, "1e999999"),
        (numbers.amount_of, "-1"),
        (numbers.whole_of, 2**63),
        (numbers.time_of, LATEST_MS + 1),
    ):
        with pytest.raises(ValueError, match=r"^expected a (number|whole number|time).*, got .{1,90}$"):
            read(wrong)


def test_what_was_saved_may_be_long_but_is_finite() -> None:
    long = "1" * 40 + "." + "3" * 60
    assert numbers.saved_decimal(long) == Decimal(long)
    for wrong in ("NaN", "-Infinity", "x", 1, None, ["1"]):
        with pytest.raises(ValueError, match="expected a finite number as text"):
            numbers.saved_decimal(wrong)
