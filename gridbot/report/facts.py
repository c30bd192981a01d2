"""What the records answered, row by row: input of every figure of a report. Pure.

The fields of each class are the columns of its question. Times are ms UTC, money USDT, sizes base coin; `direction` is
long or short. Fees and funding are positive when paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar, get_args, get_type_hints

from gridbot.report.event_facts import Adjustment, Alert, Halt, Lost, OtherCoin, Refusal, Run, Unusual
from gridbot.report.money_facts import Balance, HourOfEquity, HourOfMoney, Money, MoneyOutside, Pairs, WalletPoint
from gridbot.report.position_facts import (
    Fill,
    LadderRow,
    Leg,
    LegPoint,
    PriceEnds,
    PriceGap,
    PricePoint,
    StreamGap,
)

__all__ = ["Facts", "Table", "facts_from"]

Row = TypeVar("Row")


class Table(Protocol):
    """Column names and rows, as DuckDB gives them."""

    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def rows(self) -> Sequence[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report is made of. Each list is in the order of its question."""

    balances: list[Balance]
    wallet_curve: list[WalletPoint]
    hours_of_equity: list[HourOfEquity]
    money: list[Money]
    money_outside: list[MoneyOutside]
    hours_of_money: list[HourOfMoney]
    pairs: list[Pairs]
    shadow_pairs: list[Pairs]
    legs: list[Leg]
    leg_curves: list[LegPoint]
    price_curves: list[PricePoint]
    price_ends: list[PriceEnds]
    price_gaps: list[PriceGap]
    fills: list[Fill]
    ladders: list[LadderRow]
    refusals: list[Refusal]
    halts: list[Halt]
    alerts: list[Alert]
    runs: list[Run]
    stream_gaps: list[StreamGap]
    lost: list[Lost]
    adjustments: list[Adjustment]
    unusual: list[Unusual]
    other_coins: list[OtherCoin]

    def has_something(self) -> bool:
        """Whether anything at all happened in the span: a run, money, a price, a position."""
        happened = (
            self.money,
            self.wallet_curve,
            self.price_ends,
            self.leg_curves,
            self.runs,
            self.refusals,
            self.halts,
        )
        return any(happened)


def facts_from(answers: Mapping[str, Table]) -> Facts:
    """The answers to `questions`, as rows with names. Raise TypeError when a question and its class differ."""
    kinds = get_type_hints(Facts)
    return Facts(**{field.name: _rows(get_args(kinds[field.name])[0], answers[field.name]) for field in fields(Facts)})


def _rows(kind: type[Row], table: Table) -> list[Row]:
    names = list(table.columns)
    return [kind(**dict(zip(names, row, strict=True))) for row in table.rows]
