"""The quantity of an order (docs/risk.md 4). Exact: whole numbers, rounded up to `qty_step`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gridbot.core.exact import WIDE, ceil_div
from gridbot.core.instrument import Instrument
from gridbot.core.strict_numbers import amount_or_none

__all__ = ["AmountKind", "AmountRule", "closable", "quantity_for"]

ZERO = Decimal(0)
ONE = Decimal(1)


class AmountKind(StrEnum):
    """What the number of an amount means."""

    WALLET_FRACTION = "x"
    NOTIONAL = ""
    QUANTITY = "q"


@dataclass(frozen=True, slots=True)
class AmountRule:
    """The `amount` of a strategy: `x0.001` of the wallet balance, `100` USDT of notional, `q0.01` base coin."""

    kind: AmountKind
    value: Decimal

    @classmethod
    def parse(cls, text: str) -> AmountRule:
        """Read an amount; raise ValueError unless it has one of the three forms with a positive number."""
        stripped = text.strip()
        kind = AmountKind(stripped[0]) if stripped[:1] in ("x", "q") else AmountKind.NOTIONAL
        number = stripped[len(kind) :]
        value = amount_or_none(number)
        if not value:
            raise ValueError(
                'amount: expected "x0.001" (fraction of the wallet balance), "100" (USDT of notional) or "q0.01" '
                f"(base coin), with a positive number, got {text!r}"
            )
        return cls(kind, value)

    def __str__(self) -> str:
        return f"{self.kind}{self.value:f}"


def quantity_for(
    amount: AmountRule,
    price: Decimal,
    instrument: Instrument,
    wallet_balance: Decimal | None,
    *,
    multiplier: Decimal = ONE,
    imbalance_multiplier: Decimal = ONE,
    reduce_only: bool = False,
) -> Decimal:
    """Base coin to order at `price` (USDT): a multiple of `qty_step`, or 0 when nothing is to be sent.

    `wallet_balance` (USDT) matters to wallet fractions only; None or not positive gives 0. `multiplier` is the risk
    multiplier of the order's (direction, side), `imbalance_multiplier` the result of the function of that name. The
    amount is raised to the instrument's minimum notional before the multipliers, and an opening order once more after
    them, since the exchange would refuse it otherwise; it accepts smaller closing orders. The result is never above
    `max_order_qty`.
    """
    if not price > 0:
        raise ValueError(f"{instrument.symbol}: expected a positive price to size an order, got {price}")
    base = _base_steps(amount, price, instrument.qty_step, wallet_balance)
    if base <= 0:
        return ZERO
    floor = _steps(instrument.min_notional, price, instrument.qty_step)
    over, under = multiplier.as_integer_ratio()
    over_leg, under_leg = imbalance_multiplier.as_integer_ratio()
    steps = ceil_div(max(base, floor) * over * over_leg, under * under_leg)
    if steps <= 0:
        return ZERO
    qty = WIDE.multiply(instrument.qty_step, Decimal(steps if reduce_only else max(steps, floor)))
    if qty < instrument.min_order_qty:
        return ZERO
    return min(qty, instrument.round_qty_down(instrument.max_order_qty))


def closable(size: Decimal, qty: Decimal, resting: Decimal) -> Decimal:
    """How much of a close of `qty` may be sent: all of it, the whole last lot, or nothing (all base coin).

    `size` is the position of the leg, `resting` the quantity of its resting closes. A close is sent only if the
    position covers it together with them. A position smaller than one order, with no close resting, is closed whole.
    """
    if qty <= 0:
        return ZERO
    if size >= WIDE.add(qty, resting):
        return qty
    if resting <= 0 < size:
        return size
    return ZERO


def _base_steps(amount: AmountRule, price: Decimal, step: Decimal, wallet_balance: Decimal | None) -> int:
    """The amount before multipliers, in quantity steps, rounded up."""
    if amount.kind is AmountKind.QUANTITY:
        return _steps(amount.value, ONE, step)
    if amount.kind is AmountKind.NOTIONAL:
        return _steps(amount.value, price, step)
    if wallet_balance is None or wallet_balance <= 0:
        return 0
    return _steps(WIDE.multiply(wallet_balance, amount.value), price, step)


def _steps(notional: Decimal, price: Decimal, step: Decimal) -> int:
    """How many quantity steps at `price` are worth `notional` at least."""
    worth, worth_under = notional.as_integer_ratio()
    at, at_under = price.as_integer_ratio()
    size, size_under = step.as_integer_ratio()
    return ceil_div(worth * at_under * size_under, worth_under * at * size)
