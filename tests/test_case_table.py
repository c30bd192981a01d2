"""`case_table`: no case of a table is left out, and each that fails is named."""

from __future__ import annotations

import inspect

import pytest

from tests.case_table import case_table


def test_all_cases_run_whichever_fails_and_each_that_fails_is_named() -> None:
    seen = []

    @case_table("base", [10, pytest.param(20)])
    @case_table(("number", "text"), [(1, "one"), (2, "two"), (3, "three")], ids=str)
    def table(base: int, number: int, text: str) -> None:
        seen.append((base, number, text))
        assert (base, number) != (10, 2)
        if number == 3:
            pytest.fail("three")

    assert not inspect.signature(table).parameters
    with pytest.raises(BaseExceptionGroup, match="2 of 2 cases failed") as caught:
        table()
    assert seen == [(base, *case) for base in (10, 20) for case in ((1, "one"), (2, "two"), (3, "three"))]
    first, second = caught.value.exceptions
    assert isinstance(first, BaseExceptionGroup)
    assert isinstance(second, BaseExceptionGroup)
    assert [error.__notes__ for error in first.exceptions] == [
        ["case 1: number=2, text='two'"],
        ["case 2: number=3, text='three'"],
    ]
    assert second.__notes__ == ["case 1: base=20"]
    assert [type(error) for error in second.exceptions] == [pytest.fail.Exception]


def test_a_case_that_skips_hides_no_other() -> None:
    @case_table("number", [1, 2])
    def table(number: int) -> None:
        if number == 1:
            pytest.skip("not today")

    with pytest.raises(BaseExceptionGroup, match="1 of 2"):
        table()


def test_other_arguments_are_left_to_pytest() -> None:
    @case_table("number", [1])
    def table(tmp_path: str, number: int) -> None:
        assert (tmp_path, number) == ("there", 1)

    assert list(inspect.signature(table).parameters) == ["tmp_path"]
    table(tmp_path="there")


def test_a_table_that_cannot_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        case_table("number", [])
    with pytest.raises(ValueError, match="expected 2 values"):
        case_table("number, text", [(1,)])
    with pytest.raises(ValueError, match="without marks"):
        case_table("number", [pytest.param(1, marks=pytest.mark.xfail)])
