"""The linked long and short positions of a symbol, with the risk multipliers in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.core.events import PositionEvent
from gridbot.core.risk_rules import (
    ONE,
    LegState,
    Multipliers,
    RiskConfig,
    RiskInputs,
    assessed,
    imbalance_multiplier,
)
from gridbot.core.vocabulary import Direction, Side

__all__ = ["Position"]

ZERO = Decimal(0)
_LONG = Direction.LONG


@dataclass(slots=True, eq=False)
class Position:
    """One leg of a pair, kept up to date by its owner; both legs share the multipliers of the pair.

    Nothing is evaluated before both legs are known (incident L23): until then all factors are 1.
    """

    direction: Direction
    risk: RiskConfig
    leg: LegState = field(default_factory=LegState)
    known: bool = False
    multipliers: Multipliers = field(default_factory=Multipliers)
    low_balance: bool = False
    _opposite: Position | None = field(default=None, repr=False)

    @classmethod
    def linked_pair(cls, risk: RiskConfig) -> tuple[Position, Position]:
        """The long and the short leg of a symbol, each the other's `opposite`."""
        long, short = cls(Direction.LONG, risk), cls(Direction.SHORT, risk)
        long._opposite, short._opposite = short, long
        return long, short

    @property
    def opposite(self) -> Position:
        if self._opposite is None:
            raise ValueError("expected a position of a pair; make both with Position.linked_pair")
        return self._opposite

    @property
    def size(self) -> Decimal:
        """Base coin, never negative."""
        return self.leg.size

    @property
    def entry_price(self) -> Decimal | None:
        """USDT per coin; None without a position."""
        return self.leg.entry_price

    @property
    def liq_price(self) -> Decimal | None:
        """USDT per coin as the exchange reports it; None when it reports none."""
        return self.leg.liq_price

    @property
    def value(self) -> Decimal:
        """size × entry in USDT."""
        return self.leg.value

    @property
    def rule(self) -> str:
        """The rule of this leg's table that holds: `long_1` … `short_5`, or an empty string."""
        return self.multipliers.long_rule if self.direction is Direction.LONG else self.multipliers.short_rule

    def multiplier(self, side: Side) -> Decimal:
        """Risk factor for this leg's next orders on `side`."""
        return self.multipliers.of(self.direction, side)

    @property
    def imbalance_multiplier(self) -> Decimal:
        """Early imbalance factor of the pair (docs/risk.md 4)."""
        if self.risk.early_imbalance_multiplier is ONE:
            return ONE
        long, short = self._pair()
        return imbalance_multiplier(long.leg, short.leg, self.risk)

    def update(self, event: PositionEvent, inputs: RiskInputs | None = None) -> None:
        """Update this leg with what the exchange reports, and evaluate the rules if `inputs` are given.

        Raise ValueError for an event of the other leg. Without a leverage in the event the old one stays.
        """
        if event.direction is not self.direction:
            raise ValueError(f"expected a {self.direction} position, got {event.direction}")
        self.leg = LegState(
            size=event.size,
            entry_price=event.entry_price if event.entry_price else None,
            liq_price=event.liq_price if event.liq_price else None,
            leverage=self.leg.leverage if event.leverage is None else event.leverage,
        )
        self.known = True
        if inputs is not None:
            self.recompute(inputs)

    def judge_by(self, risk: RiskConfig) -> None:
        """Other settings of the rules count for both legs, from the next evaluation on."""
        self.risk = self.opposite.risk = risk

    def recompute(self, inputs: RiskInputs) -> Multipliers:
        """Evaluate both tables and store the result on both legs; orders placed from now on use it."""
        long, short = self._pair()
        if long.known and short.known:
            result, low = assessed(long.leg, short.leg, inputs, self.risk)
        else:
            result, low = Multipliers(), False
        for position in (long, short):
            position.multipliers = result
            position.low_balance = low
        return result

    def _pair(self) -> tuple[Position, Position]:
        other = self._opposite or self.opposite
        return (self, other) if self.direction is _LONG else (other, self)
