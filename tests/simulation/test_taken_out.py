"""What stands in for a fix is called as that is, and its own errors are no findings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.simulation.taken_out import Misfit, misfit, noting_faults, replaced, replaced_in
from tests.case_table import case_table


def real(book: str, row: int, /, other: int, *, shadow: bool = False) -> int:
    return row


async def awaited(book: str) -> int:
    return 0


@case_table(
    ("by", "why"),
    [
        (lambda book, row, other, *, shadow=False: 0, ""),
        (lambda anything, row, other, shadow=True: 0, ""),
        (lambda *_, **__: 0, ""),
        (lambda book, row, other, shadow=False, more=1: 0, ""),
        (lambda book, row: 0, "it takes no 'other'"),
        (lambda book, row, other: 0, "it takes no 'shadow'"),
        (lambda book, row, another, *, shadow=False: 0, "it calls 'other' 'another'"),
        (lambda book, row, other, *, shadow: 0, "it cannot do without 'shadow'"),
        (lambda book, row, other, more, *, shadow=False: 0, "it wants 'more', which nobody gives"),
        (awaited, "one is awaited, the other is not"),
    ],
)
def test_what_stands_in_can_be_called_wherever_that_is(by: Callable[..., Any], why: str) -> None:
    assert misfit(real, by) == why


class Ledger:
    most = 3

    def is_new(self, exec_id: str, exchange_ts: int | None = None) -> bool:
        return False

    async def page(self, since: int) -> int:
        return since


def test_another_shape_is_refused_before_a_run() -> None:
    with pytest.raises(Misfit, match=r"Ledger\.is_new: expected a replacement .* it takes no 'exchange_ts'"):
        replaced(Ledger, is_new=lambda ledger, exec_id: True)
    with pytest.raises(Misfit, match="expected int in its place, got str"):
        replaced(Ledger, most="4")
    with pytest.raises(AttributeError):
        replaced(Ledger, is_old=lambda ledger: True)
    with pytest.raises(KeyError):
        replaced_in({"a": real}, {"b": real})


def test_what_stands_in_is_there_until_the_end_and_its_errors_are_noted() -> None:
    def fails(ledger: Ledger, exec_id: str, exchange_ts: int | None = None) -> bool:
        raise TypeError(f"no {exec_id}")

    async def refused(ledger: Ledger, since: int) -> int:
        raise ExchangeError("refused", kind=ErrorKind.RETRY)

    ledger = Ledger()
    with noting_faults() as faults, replaced(Ledger, is_new=fails, page=refused, most=4):
        assert ledger.most == 4
        for _ in range(2):
            with pytest.raises(TypeError):
                ledger.is_new("1")
        with pytest.raises(ExchangeError):
            asyncio.run(ledger.page(1))
    assert faults == ["what stands in for Ledger.is_new raised TypeError: no 1"]
    assert (ledger.is_new("1"), asyncio.run(ledger.page(1)), ledger.most) == (False, 1, 3)
