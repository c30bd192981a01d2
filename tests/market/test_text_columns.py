"""Columns of text as whole numbers: exact, and strict about what is none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.market.text_columns import EARLIEST_MS, Sides, Steps, Times, id_numbers, texts_of, time_ms
from tests.case_table import case_table

OWN = "--derive works it out from the data"
STEPS = st.sampled_from(["0.1", "0.10", "0.5", "0.00001", "1", "0.0025", "10", "0.001"])


def text(*words: str) -> pa.StringArray:
    return pa.array(words, pa.string())


@given(STEPS, st.lists(st.integers(1, 10**12), min_size=1, max_size=30))
def test_every_multiple_of_a_step_is_read_exactly(step: str, counts: list[int]) -> None:
    """Also those that a float cannot hold: `0.1 * 3` is not `0.3` there."""
    read = Steps(Decimal(step), "tick size")
    assert list(read(text(*[format(count * Decimal(step), "f") for count in counts]))) == counts


@given(STEPS, st.integers(1, 10**9), st.integers(1, 999))
def test_what_lies_between_two_steps_is_never_rounded(step: str, count: int, part: int) -> None:
    read = Steps(Decimal(step), "tick size")
    between = format(Decimal(step) * count + Decimal(step) * part / 1000, "f")
    assert list(read(text(between))) == [-1]
    assert read.why(between) == f"expected a multiple of the tick size {step}, got {between}; {OWN}"
    assert list(Steps(Decimal(step), "quantity step", floors=True)(text(between))) == [count]


def test_trailing_zeros_and_exponents_change_nothing() -> None:
    assert list(Steps(Decimal("0.1"), "tick size")(text("61800.30", "61800.3", "6.18003e4", "1e-1"))) == [
        618003,
        618003,
        618003,
        1,
    ]


@case_table(
    ("word", "why"),
    [
        ("", "expected a number from 0 to below 1e+18, got ''"),
        ("0", "expected a number above zero, got '0'"),
        ("-1", "expected a number from 0 to below 1e+18, got '-1'"),
        ("1e30", "expected a number from 0 to below 1e+18, got '1e30'"),
        ("nan", "expected a number"),
        ("1_000", "expected a number"),
        ("١٢", "expected a number"),
        (" 1", "expected a number"),
        ("999999999999999999", "expected a number of at most"),
    ],
)
def test_what_is_no_size_is_said(word: str, why: str) -> None:
    read = Steps(Decimal("0.001"), "quantity step")
    assert list(read(text("1", word))) == [1000, -1]
    assert read.why(word).startswith(why)


@given(st.lists(st.integers(EARLIEST_MS, 9_999_999_999_999), min_size=1, max_size=20))
@example([EARLIEST_MS, 9_999_999_999_999])
def test_seconds_with_decimals_are_cut_to_ms_exactly(times: list[int]) -> None:
    words = [f"{ms // 1000}.{ms % 1000:03d}9" for ms in times]
    assert list(Times()(text(*words))) == times


@case_table(
    ("word", "ms"),
    [
        ("1723161256", 1723161256000),
        ("1723161256322", 1723161256322),
        ("1723161256322999", 1723161256322),
        ("1723161256322999999", 1723161256322),
        ("1723161256.3229", 1723161256322),
        ("1723161256322.5", 1723161256322),
        ("2026-09-01T00:00:00Z", 1788220800000),
        ("2026-09-01 00:00:00.123456", 1788220800123),
        ("2026-09-01 03:00:00+03:00", 1788220800000),
        ("2026.09.01 03:00", 1788220800000),
    ],
)
def test_times_of_each_layout(word: str, ms: int) -> None:
    assert time_ms(word) == ms
    assert list(Times()(text(word))) == [ms]
    assert list(Times()(text(word, "2026-09-01"))) == [ms, 1788220800000]


@case_table("word", ["", "soon", "-5", "0", "20260901", "1230767999.999", "99999999999999999999", "2026-13-01", "-1.5"])
def test_what_is_no_time_is_said(word: str) -> None:
    read = Times()
    assert list(read(text(word))) == [-1]
    assert read.why(word).startswith("expected a")


@given(st.integers(0, 10**18))
@settings(max_examples=200)
def test_one_by_one_and_all_at_once_agree(number: int) -> None:
    whole = Times()(text(str(number)))[0]
    try:
        assert time_ms(str(number)) == whole
    except ValueError:
        assert whole == -1


def test_sides() -> None:
    read = Sides()
    assert list(read(text("Buy", "sell", "BUY", "hold"))) == [1, 0, 1, -1]
    assert read.why("hold") == "expected Buy or Sell, got 'hold'"


@case_table(
    ("column", "words"),
    [
        (pa.array([95505.4, 1e-05, None]), ["95505.4", "0.00001", ""]),
        (pa.array([5, None]), ["5", ""]),
        (pa.array([Decimal("60000.10")]), ["60000.10"]),
        (pa.array([datetime(2026, 9, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")), ["1788220800000000000"]),
        (pa.array([1788220800], pa.timestamp("s")), ["1788220800000000000"]),
        (pa.array(["x", None]), ["x", ""]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.chunked_array([["x"], ["y"]]), ["x", "y"]),
    ],
)
def test_columns_of_any_type_become_text(column: Any, words: list[str]) -> None:
    assert texts_of(column).to_pylist() == words


def test_equal_ids_have_equal_numbers_and_others_others() -> None:
    words = [
        "",
        "a",
        "b",
        "a" * 8,
        "a" * 9,
        "b" + "a" * 8,
        *(f"{at:08x}-0000-5000-8000-000000000000" for at in range(9000)),
    ]
    numbers = id_numbers(text(*words))
    assert numbers[0] == 0
    assert len(np.unique(numbers)) == len(words)
    again = id_numbers(text("x", *words[::-1]).slice(1))
    assert list(again[::-1]) == list(numbers)
