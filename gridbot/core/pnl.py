"""Profit and loss of a leg and of matched grid trades (docs/risk.md 7). USDT throughout.

Realised figures come from executions only; the exchange's position rows use the same words for other
things (incident L27).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core.events import ExecType, ExecutionEvent
from gridbot.core.exact import WIDE
from gridbot.core.vocabulary import Direction

__all__ = ["GridTrade", "GridTrades", "price_gain", "roe_percent", "unrealised_pnl"]


def price_gain(direction: Direction, entry: Decimal, price: Decimal) -> Decimal:
    """What one coin of a leg gained from `entry` to `price`: up for long, down for short."""
    return WIDE.subtract(price, entry) if direction is Direction.LONG else WIDE.subtract(entry, price)


def unrealised_pnl(direction: Direction, entry: Decimal, mark: Decimal, size: Decimal) -> Decimal:
    """(mark − entry) · size for long, (entry − mark) · size for short; with an exit price for `mark` it is realised."""
    return WIDE.multiply(price_gain(direction, entry, mark), size)


def roe_percent(direction: Direction, entry: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
    """Move from entry in percent of it, times leverage; raise ValueError without a positive entry."""
    if not entry > 0:
        raise ValueError(f"expected a positive entry price, got {entry}")
    return WIDE.divide(WIDE.multiply(price_gain(direction, entry, price), 100 * leverage), entry)


@dataclass(frozen=True, slots=True)
class GridTrade:
    """An open fill and the close fill it pairs with. `fees` are those of both sides; `profit` is net of them."""

    direction: Direction
    qty: Decimal
    open_price: Decimal
    close_price: Decimal
    fees: Decimal
    opened_ts: int
    closed_ts: int

    @property
    def profit(self) -> Decimal:
        gain = unrealised_pnl(self.direction, self.open_price, self.close_price, self.qty)
        return WIDE.subtract(gain, self.fees)


@dataclass(frozen=True, slots=True)
class _Lot:
    price: Decimal
    qty: Decimal
    fee_each: Decimal
    exchange_ts: int


@dataclass(slots=True)
class GridTrades:
    """Pairs the closes of a symbol with its opens, leg by leg, the latest open first: on a grid that is the next level.

    Feed every execution once, oldest first. A close without an open (the position is older than the record) is not
    a grid trade and is left out.
    """

    _open: dict[Direction, list[_Lot]] = field(default_factory=lambda: {direction: [] for direction in Direction})

    def unpaired(self, direction: Direction) -> Decimal:
        """Base coin of open fills that have not been paired with a close yet."""
        return sum((lot.qty for lot in self._open[direction]), Decimal(0))

    def apply(self, execution: ExecutionEvent) -> list[GridTrade]:
        """Take in one execution and return the trades it completes."""
        if execution.exec_type is not ExecType.TRADE or not execution.qty > 0:
            return []
        lots = self._open[execution.direction]
        fee_each = WIDE.divide(execution.fee, execution.qty)
        if not execution.is_close:
            lots.append(_Lot(execution.price, execution.qty, fee_each, execution.exchange_ts))
            return []
        trades = []
        left = execution.qty
        while left > 0 and lots:
            lot = lots.pop()
            qty = min(left, lot.qty)
            left = WIDE.subtract(left, qty)
            if qty < lot.qty:
                lots.append(replace(lot, qty=WIDE.subtract(lot.qty, qty)))
            trades.append(
                GridTrade(
                    direction=execution.direction,
                    qty=qty,
                    open_price=lot.price,
                    close_price=execution.price,
                    fees=WIDE.multiply(qty, WIDE.add(lot.fee_each, fee_each)),
                    opened_ts=lot.exchange_ts,
                    closed_ts=execution.exchange_ts,
                )
            )
        return trades
