"""The quantity of one strategy's next order, from its amount rule, the wallet, and the risk rules in force.

The core does the arithmetic; this class keeps both legs, and takes the wallet from the gate, which has it for all
strategies. Quantities are cached per level until the wallet or a multiplier changes, since a level that cannot be
placed is sized again at every tick.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.config.account_models import StrategyConfig
from gridbot.core import (
    AmountRule,
    Direction,
    Instrument,
    Position,
    PositionEvent,
    RiskConfig,
    Side,
    closable,
    quantity_for,
)
from gridbot.core.risk_rules import RiskInputs
from gridbot.core.sizing import AmountKind
from gridbot.risk.gate import Gate

__all__ = ["PositionSizer"]

REMEMBERED = 2_000
_LONG, _BUY, _SELL = Direction.LONG, Side.BUY, Side.SELL


class PositionSizer:
    """Sizes in base coin. Until both legs and the price are known, every multiplier is 1."""

    def __init__(self, config: StrategyConfig, instrument: Instrument, gate: Gate) -> None:
        self._amount = AmountRule.parse(config.amount)
        self._instrument = instrument
        self._gate = gate
        self.risk = _risk_of(config)
        self.long, self.short = Position.linked_pair(self.risk)
        self._imbalance = self.long.imbalance_multiplier
        """Of both legs as they are: they change in `assess`, how they are judged in `renew`."""
        self._known: dict[tuple[Direction, Side, str], Decimal] = {}
        self._known_of = -1
        """Of which balance of the wallet they are, where they are a part of it."""

    @property
    def balances(self) -> tuple[Decimal | None, Decimal | None]:
        """Wallet and available balance (USDT) that the rules are judged with; what the exchange left out is None, not
        zero."""
        wallet = self._gate.state.funds.wallet
        return (None, None) if wallet is None else (wallet.wallet_balance, wallet.available_balance)

    def renew(self, config: StrategyConfig) -> None:
        """Size by other settings from now on; what is known of wallet and legs stays. Assess the legs afterwards."""
        self._amount, self.risk = AmountRule.parse(config.amount), _risk_of(config)
        self.long.judge_by(self.risk)
        self._imbalance = self.long.imbalance_multiplier
        self._known.clear()

    @property
    def rule(self) -> str:
        """The risk rules in force, such as `long_2,short_5`; empty when none."""
        return self.long.multipliers.rule

    def multipliers(self, direction: Direction) -> tuple[Decimal, Decimal]:
        """The factors on (Buy, Sell) orders of one leg."""
        factors = self.position(direction).multipliers
        if direction is _LONG:
            return factors.long_buy, factors.long_sell
        return factors.short_buy, factors.short_sell

    def position(self, direction: Direction) -> Position:
        """A leg as the risk rules see it."""
        return self.long if direction is _LONG else self.short

    def assess(self, position: PositionEvent, last_price: Decimal | None) -> bool:
        """Update a leg and evaluate the risk rules for orders placed from now on. True if sizes may be others."""
        leg = self.position(position.direction)
        multipliers, factor = leg.multipliers, self._imbalance
        leg.update(position, RiskInputs(last_price, *self.balances))
        self._imbalance = leg.imbalance_multiplier
        are_others = self._imbalance != factor or (
            leg.multipliers is not multipliers and leg.multipliers != multipliers
        )
        if are_others:
            self._known.clear()
        return are_others

    def quantity(self, direction: Direction, side: Side, price: Decimal, *, resting_close: Decimal) -> Decimal:
        """Quantity to send at `price` (USDT); for a close, no more than the position covers besides `resting_close`."""
        qty = self.wanted(direction, side, price)
        if side is not direction.close_side:
            return qty
        return closable(self.position(direction).size, qty, resting_close)

    def wanted(self, direction: Direction, side: Side, price: Decimal) -> Decimal:
        """The same whatever the position covers: never more at a higher price, while nothing but the price changes."""
        if self._amount.kind is AmountKind.WALLET_FRACTION and self._known_of != self._gate.state.balance_changes:
            self._known_of = self._gate.state.balance_changes
            self._known.clear()
        key = (direction, side, str(price))  # a Decimal takes 2 µs to be hashed, the first time
        qty = self._known.get(key)
        if qty is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            qty = self._known[key] = quantity_for(
                self._amount,
                price,
                self._instrument,
                self.balances[0],
                multiplier=self.position(direction).multiplier(side),
                imbalance_multiplier=self._imbalance,
                reduce_only=side is direction.close_side,
            )
        return qty


def _risk_of(config: StrategyConfig) -> RiskConfig:
    return RiskConfig(
        min_liq_ratio=config.min_liq_ratio,
        max_liq_ratio=config.max_liq_ratio,
        min_total_margin=config.min_total_margin,
        increase_same_position_on_low_margin=config.increase_same_position_on_low_margin,
        early_imbalance_multiplier=config.early_imbalance_multiplier,
        low_balance_fraction=config.low_balance_fraction,
    )
