"""What the exchange allows on one symbol, and the only places where prices and quantities are rounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from gridbot.core.exact import WIDE

__all__ = ["Instrument", "RiskTier"]


@dataclass(frozen=True, slots=True)
class RiskTier:
    """One row of `market/risk-limit`: up to `limit` USDT of position value these rates hold (fractions)."""

    limit: Decimal
    mm_rate: Decimal
    im_rate: Decimal
    mm_deduction: Decimal = Decimal(0)
    max_leverage: Decimal = Decimal(100)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Trading rules of a USDT perpetual, from `market/instruments-info`.

    `delivery_ms` (UTC) is when a symbol is settled and ends, 0 for one that goes on (`risk/symbol_state.py`), None when
    the exchange did not tell.
    `max_market_qty` is the largest market order, None where it is that of a limit order.
    `price_limit_x` and `_y` are the ratios of its price band (docs/bybit.md 3.13), None where the exchange has none.
    `untold` names the fields that the exchange left empty: they have the usual value, and say nothing of a change.
    Prices are USDT per coin, quantities base coin, `min_notional` USDT. `tick_size` and `qty_step` are positive.
    """

    symbol: str
    tick_size: Decimal
    qty_step: Decimal
    min_order_qty: Decimal
    max_order_qty: Decimal
    min_notional: Decimal = Decimal(5)
    min_price: Decimal = Decimal(0)
    max_price: Decimal = Decimal("1e9")
    max_leverage: Decimal = Decimal(100)
    status: str = "Trading"
    funding_interval_minutes: int = 480
    tiers: tuple[RiskTier, ...] = ()
    price_limit_x: Decimal | None = None
    price_limit_y: Decimal | None = None
    delivery_ms: int | None = 0
    max_market_qty: Decimal | None = field(default=None, compare=False)
    untold: frozenset[str] = field(default=frozenset(), compare=False)

    def __post_init__(self) -> None:
        if self.tick_size <= 0 or self.qty_step <= 0:
            raise ValueError(
                f"{self.symbol}: expected a positive tick size and quantity step, "
                f"got {self.tick_size} and {self.qty_step}"
            )

    def ticks(self, price: Decimal) -> int:
        """Whole ticks nearest to `price`, ties to even."""
        return int(WIDE.divide(price, self.tick_size).to_integral_value(ROUND_HALF_EVEN))

    def price(self, ticks: int) -> Decimal:
        """Price of a whole number of ticks, in the tick's own number of decimals."""
        return WIDE.multiply(self.tick_size, Decimal(ticks))

    def round_qty_down(self, qty: Decimal) -> Decimal:
        """The largest whole number of `qty_step` not above `qty` (base coin)."""
        return WIDE.multiply(WIDE.divide(qty, self.qty_step).to_integral_value(ROUND_FLOOR), self.qty_step)
