"""One position row of an account: what is held, what it cost, what was earned with it. Pure.

Money is exact: a leg keeps its cost (not a rounded average); fees and released cost are rounded once, to 1e-8 USDT.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import Direction, Side

__all__ = ["Leg", "LegChange", "rounded"]

ZERO = Decimal(0)
UNIT = Decimal("0.00000001")


def rounded(amount: Decimal) -> Decimal:
    """To the exchange's money unit, 1e-8 USDT."""
    return amount.quantize(UNIT, ROUND_HALF_EVEN)


@quick_value(frozen=True, slots=True)
class LegChange:
    """What a fill did to a leg: quantity closed, its profit before fees, its cost, its share of the opening fees."""

    closed: Decimal = ZERO
    realised: Decimal = ZERO
    released_cost: Decimal = ZERO
    released_fee: Decimal = ZERO


@dataclass(slots=True)
class Leg:
    """One row of `position/list`. `size` is absolute; `direction` tells the sign and changes only in one-way mode.

    `cost` is what the present size cost in USDT, `open_fees` what was paid to open it. `current_realised` is for the
    present holding, `total_realised` for all time; both are net of fees. `reduce_only`: its risk tier was cut.
    `extra` is what was added to its margin in isolated margin (negative: taken from it), `auto_add` that the exchange
    may add more.
    """

    symbol: str
    position_idx: int
    direction: Direction
    created_ms: int
    size: Decimal = ZERO
    cost: Decimal = ZERO
    open_fees: Decimal = ZERO
    current_realised: Decimal = ZERO
    total_realised: Decimal = ZERO
    seq: int = -1
    opened_ms: int = 0
    updated_ms: int = 0
    status: str = "Normal"
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None
    reduce_only: bool = False
    extra: Decimal = ZERO
    auto_add: bool = False

    @property
    def signed_size(self) -> Decimal:
        """Size, negative for a short."""
        return self.size if self.direction is Direction.LONG else -self.size

    @property
    def entry(self) -> Decimal:
        """Average entry price, 0 when flat."""
        return self.cost / self.size if self.size else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        value = self.size * mark
        return value - self.cost if self.direction is Direction.LONG else self.cost - value

    def apply(self, side: Side, qty: Decimal, price: Decimal, fee: Decimal, now_ms: int, seq: int) -> LegChange:
        """Book a fill. A leg of a hedge pair is never turned around; a one-way leg may be."""
        change = LegChange()
        closing = min(qty, self.size) if side is self.direction.close_side else ZERO
        if closing:
            change = self._close(closing, price)
        opening = qty - closing
        self.current_realised += change.realised
        self.total_realised += change.realised - fee
        if opening:
            if self.position_idx == 0 and not self.size:
                self.direction = Direction.LONG if side is Side.BUY else Direction.SHORT
            elif side is self.direction.close_side:
                raise ValueError(f"{self.symbol} {self.direction}: expected to close at most {closing}, got {qty}")
            if not self.size:
                self.opened_ms = now_ms
                self.current_realised = ZERO
            open_fee = rounded(fee * opening / qty)
            self.size += opening
            self.cost += opening * price
            self.open_fees += open_fee
        self.current_realised -= fee
        if not self.size:
            self.current_realised = ZERO
            self.opened_ms = 0
        self.seq = seq
        self.updated_ms = now_ms
        return change

    def pay_funding(self, payment: Decimal, now_ms: int, seq: int) -> None:
        self.current_realised -= payment
        self.total_realised -= payment
        self.seq = seq
        self.updated_ms = now_ms

    def _close(self, qty: Decimal, price: Decimal) -> LegChange:
        whole = qty == self.size
        cost = self.cost if whole else rounded(self.cost * qty / self.size)
        fees = self.open_fees if whole else rounded(self.open_fees * qty / self.size)
        extra = self.extra if whole else rounded(self.extra * qty / self.size)
        self.size -= qty
        self.cost -= cost
        self.open_fees -= fees
        self.extra -= extra
        value = qty * price
        realised = value - cost if self.direction is Direction.LONG else cost - value
        return LegChange(qty, realised, cost, fees)
