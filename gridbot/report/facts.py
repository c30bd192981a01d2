"""What the records answered, row by row: input of every figure of a report. Pure.

The fields of each class are the columns of its question. Times are ms UTC, money USDT, sizes base coin; `direction` is
long or short. Fees and funding are positive when paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Protocol, TypeVar, get_args, get_type_hints

__all__ = [
    "Adjustment",
    "Alert",
    "Balance",
    "Facts",
    "Fill",
    "Gap",
    "Halt",
    "HourOfEquity",
    "HourOfMoney",
    "LadderRow",
    "Leg",
    "LegPoint",
    "Lost",
    "Money",
    "MoneyOutside",
    "OtherCoin",
    "Pairs",
    "PriceEnds",
    "PriceGap",
    "PricePoint",
    "Refusal",
    "Run",
    "Table",
    "Unusual",
    "WalletPoint",
    "facts_from",
]

Row = TypeVar("Row")


class Table(Protocol):
    """Column names and rows, as DuckDB gives them."""

    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def rows(self) -> Sequence[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Balance:
    """`place`: before (newest up to the beginning), first (after it) or last (before the end)."""

    place: str
    seq: int
    at_ms: int
    wallet_balance: Decimal | None
    equity: Decimal
    unrealised_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class WalletPoint:
    """A row of the wallet that is drawn; `drawdown` is the fall from the highest equity of the span so far."""

    at_ms: int
    seq: int
    equity: Decimal
    drawdown: Decimal
    wallet_balance: Decimal | None
    unrealised_pnl: Decimal | None
    available_balance: Decimal | None
    total_initial_margin: Decimal | None
    total_maintenance_margin: Decimal | None


@dataclass(frozen=True, slots=True)
class HourOfEquity:
    """Equity at the first and the last wallet row of an hour."""

    hour_ms: int
    first_equity: Decimal
    last_equity: Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """Sums of the executions of a leg."""

    strategy: str
    symbol: str
    direction: str
    shadow: bool
    fills: int
    maker_fills: int
    volume: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal


@dataclass(frozen=True, slots=True)
class MoneyOutside:
    """Executions of the span that lie outside of its first and last balance; `net` is after fees and funding."""

    executions: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class HourOfMoney:
    """Sums of the executions of a strategy in one hour."""

    strategy: str
    shadow: bool
    hour_ms: int
    fills: int
    maker_fills: int
    volume: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal


@dataclass(frozen=True, slots=True)
class Pairs:
    """Matched pairs by the level at which they were opened, or (level None) by the hour in which they were closed."""

    strategy: str
    symbol: str
    direction: str | None
    level: Decimal | None
    hour_ms: int | None
    pairs: int
    profit: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg as it was before the span (`place` before) or at its end (last)."""

    place: str
    strategy: str
    symbol: str
    direction: str
    shadow: bool
    size: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    liq_price: Decimal | None
    unrealised_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class LegPoint:
    """A position that is drawn; `distance` from mark to liquidation price is a fraction of the mark price."""

    strategy: str
    symbol: str
    direction: str
    shadow: bool
    at_ms: int
    seq: int
    size: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    liq_price: Decimal | None
    distance: float | None


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A price that is drawn."""

    symbol: str
    at_ms: int
    seq: int
    last_price: Decimal
    mark_price: Decimal | None


@dataclass(frozen=True, slots=True)
class PriceEnds:
    """First and last price of a symbol in the span, and how many rows there are and how many with a mark price."""

    symbol: str
    rows: int
    marks: int
    first_ms: int
    last_ms: int
    first_price: Decimal
    last_price: Decimal
    first_mark: Decimal | None = None
    last_mark: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Times without something: how many, how long together, the longest and when it began."""

    gaps: int
    missing_ms: int
    longest_ms: int
    longest_from_ms: int


@dataclass(frozen=True, slots=True)
class PriceGap(Gap):
    """Times without prices of a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True)
class StreamGap(Gap):
    """Times in which a stream was not connected."""

    stream: str


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill that is drawn."""

    strategy: str
    symbol: str
    direction: str
    side: str
    shadow: bool
    at_ms: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class LadderRow:
    """A ladder; `levels` is the JSON of `grid_snapshots`."""

    strategy: str
    symbol: str
    at_ms: int
    anchor: Decimal | None
    levels: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Orders that were not placed: by our gate (`ret_code` None) or by the exchange."""

    strategy: str
    ret_code: int | None
    reason: str
    times: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt of trading: how often it was set, and whether it still was at the end."""

    strategy: str
    kind: str
    times: int
    first_ms: int
    last_ms: int
    reason: str | None
    still: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """Alerts of one kind."""

    level: str
    key: str
    strategy: str
    times: int
    first_ms: int
    last_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the worker; `ended_ms` None when nobody knows."""

    run_id: str
    environment: str | None
    version: str | None
    started_ms: int
    ended_ms: int | None
    state: str
    reason: str | None
    config_hash: str | None
    config: str | None


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that are not in the file."""

    reason: str
    records: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The exchange's position was believed instead of ours."""

    strategy: str
    symbol: str
    direction: str
    at_ms: int
    size_before: Decimal
    size: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Unusual:
    """An execution that is neither a trade nor a funding."""

    strategy: str
    symbol: str
    direction: str
    at_ms: int
    exec_type: str
    side: str
    price: Decimal
    qty: Decimal
    realised_pnl: Decimal
    shadow: bool


@dataclass(frozen=True, slots=True)
class OtherCoin:
    """Executions whose fee was charged in another coin than USDT."""

    coin: str | None
    executions: int


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
