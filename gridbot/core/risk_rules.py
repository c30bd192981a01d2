"""The rules that make the orders of a pair of positions bigger or smaller (docs/risk.md 5).

The rules are two tables. Each is read from the top and the first rule that holds wins; the long table comes first, so
that a short rule may overrule what a long rule did to the other leg (rule 2 works across). All of it is exact: ratios
are compared by multiplication. With each row of a position the tables are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from gridbot.core.exact import WIDE, require_decimal
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import Direction, Side

__all__ = [
    "ONE",
    "LegState",
    "Multipliers",
    "RiskConfig",
    "RiskInputs",
    "assessed",
    "imbalance_multiplier",
    "is_far_from_liq",
    "is_low_balance",
    "liq_limits",
    "risk_multipliers",
    "rules_stay",
]

ZERO = Decimal(0)
ONE = Decimal(1)

_GROW = Decimal(2)
_GROW_CLOSE = Decimal("1.5")
_SHRINK = Decimal("0.5")
_EQUAL_FROM, _EQUAL_TO = Decimal("0.94"), Decimal("1.05")
_FAR_ABOVE, _FAR_BELOW = Decimal("1.05"), Decimal("0.95")
_FIFTH, _HALF, _TWICE, _FIVE_TIMES = Decimal("0.2"), Decimal("0.5"), Decimal(2), Decimal(5)
_IMBALANCE_FROM, _IMBALANCE_TO = Decimal("1.1"), Decimal(10)
_NO_SHORT_MARGIN = Decimal("0.0001")
"""Used for the short margin when there is none, so that the ratio has a denominator."""

_EXACT = Context(prec=400)
"""No product of the few figures of a leg has so many digits: nothing is rounded."""
_times, _plus = _EXACT.multiply, _EXACT.add


@quick_value(frozen=True, slots=True)
class RiskConfig:
    """Thresholds of the rules. Margins are position value / wallet balance, liquidation ratios liqPrice / last price.

    Raise TypeError for floats.
    """

    min_liq_ratio: Decimal = Decimal("0.8")
    max_liq_ratio: Decimal = Decimal("1.2")
    min_total_margin: Decimal = Decimal("0.15")
    increase_same_position_on_low_margin: bool = False
    early_imbalance_multiplier: Decimal = ONE
    low_balance_fraction: Decimal = Decimal("0.1")

    def __post_init__(self) -> None:
        for name in (
            "min_liq_ratio",
            "max_liq_ratio",
            "min_total_margin",
            "early_imbalance_multiplier",
            "low_balance_fraction",
        ):
            value = getattr(self, name)
            require_decimal(name, value)
            if not value.is_finite() or value < 0:
                raise ValueError(f"{name}: expected a number from 0 up, got {value}")


@quick_value(frozen=True, slots=True)
class LegState:
    """One leg as the exchange reported it: base coin, USDT per coin. None: no `liq_price`, no `entry_price`."""

    size: Decimal = ZERO
    entry_price: Decimal | None = None
    liq_price: Decimal | None = None
    leverage: Decimal = ONE

    @property
    def value(self) -> Decimal:
        """size × entry in USDT; 0 without an entry price."""
        return WIDE.multiply(self.size, self.entry_price) if self.entry_price is not None else ZERO


@quick_value(frozen=True, slots=True)
class RiskInputs:
    """What the rules need besides the legs: USDT per coin, USDT. None means unknown (incident L25)."""

    last_price: Decimal | None
    wallet_balance: Decimal | None
    available_balance: Decimal | None = None


@quick_value(frozen=True, slots=True)
class Multipliers:
    """Factor on the quantity of orders placed from now on, and the rule of each table that holds ("" for none)."""

    long_buy: Decimal = ONE
    long_sell: Decimal = ONE
    short_buy: Decimal = ONE
    short_sell: Decimal = ONE
    long_rule: str = ""
    short_rule: str = ""

    def of(self, direction: Direction, side: Side) -> Decimal:
        """Factor of one leg's orders on one side."""
        if direction is Direction.LONG:
            return self.long_buy if side is Side.BUY else self.long_sell
        return self.short_buy if side is Side.BUY else self.short_sell

    @property
    def rule(self) -> str:
        """Both active rules, for people: `long_2,short_5`, or an empty string."""
        if self.long_rule and self.short_rule:
            return f"{self.long_rule},{self.short_rule}"
        return self.long_rule or self.short_rule


@dataclass(slots=True)
class _Facts:
    """The quantities used in the tables (docs/risk.md 5.2), in USDT. A ratio is compared without being divided."""

    long: LegState
    short: LegState
    last: Decimal
    wallet: Decimal
    long_value: Decimal
    short_value: Decimal
    short_for_ratio: Decimal
    """The short value, or a small part of the wallet in place of none."""
    low_balance: bool
    risk: RiskConfig
    _equal_and_small: bool | None = None

    def ratio_below(self, limit: Decimal) -> bool:
        """Whether long margin / short margin is below `limit`."""
        return self.long_value < _times(limit, self.short_for_ratio)

    def ratio_above(self, limit: Decimal) -> bool:
        """Whether long margin / short margin is above `limit`."""
        return self.long_value > _times(limit, self.short_for_ratio)

    @property
    def equal_and_small(self) -> bool:
        """Asked for by the rules of both legs."""
        known = self._equal_and_small
        if known is None:
            known = self._equal_and_small = (
                self.ratio_above(_EQUAL_FROM)
                and self.ratio_below(_EQUAL_TO)
                and _plus(self.long_value, self.short_value) < _times(self.risk.min_total_margin, self.wallet)
            )
        return known

    @property
    def outcomes(self) -> tuple[bool, ...]:
        """All that the rules compare but liquidation prices; each depends on one of price, wallet and available alone,
        and turns once where that grows."""
        below_half, above_twice = self.ratio_below(_HALF), self.ratio_above(_TWICE)
        total = _plus(self.long_value, self.short_value)
        return (
            self.low_balance,
            self.ratio_above(_EQUAL_FROM),
            self.ratio_below(_EQUAL_TO),
            total < _times(self.risk.min_total_margin, self.wallet),
            below_half,
            below_half and self.long_loses,
            self.ratio_below(_FIFTH),
            above_twice,
            above_twice and self.short_loses,
            self.ratio_above(_FIVE_TIMES),
        )

    def liq_at(self, ratio: Decimal) -> Decimal:
        """The liquidation price that is this ratio of the last price."""
        return _times(ratio, self.last)

    @property
    def long_loses(self) -> bool:
        return self.long.entry_price is not None and self.last < self.long.entry_price

    @property
    def short_loses(self) -> bool:
        return self.short.entry_price is not None and self.last > self.short.entry_price


_ALL_ONE = Multipliers()
_NO_RULES = (None, None)

_Orders = tuple[Direction, Side]
_LONG_OPEN: _Orders = (Direction.LONG, Side.BUY)
_LONG_CLOSE: _Orders = (Direction.LONG, Side.SELL)
_SHORT_OPEN: _Orders = (Direction.SHORT, Side.SELL)
_SHORT_CLOSE: _Orders = (Direction.SHORT, Side.BUY)

_Rule = tuple[str, _Orders, Decimal]
"""Name of the rule that holds, the orders it applies to, and the factor it sets."""


def risk_multipliers(long: LegState, short: LegState, inputs: RiskInputs, risk: RiskConfig) -> Multipliers:
    """Evaluate both tables. Without a last price or a positive wallet balance all factors are 1.

    A leg without an entry price has no rule. Under low balance (available below `low_balance_fraction` of the total
    position value) a rule that would shrink closes still holds, but their factor stays 1 (incident L10).
    """
    return assessed(long, short, inputs, risk)[0]


def is_low_balance(long: LegState, short: LegState, inputs: RiskInputs, risk: RiskConfig) -> bool:
    """Whether closes must not be shrunk; False while the wallet or the price is unknown."""
    return assessed(long, short, inputs, risk)[1]


def assessed(long: LegState, short: LegState, inputs: RiskInputs, risk: RiskConfig) -> tuple[Multipliers, bool]:
    """Both of these: `risk_multipliers` and `is_low_balance`."""
    facts = _facts(long, short, inputs, risk)
    if facts is None:
        return _ALL_ONE, False
    rules = _long_rule(facts), _short_rule(facts)
    if rules == _NO_RULES:
        return _ALL_ONE, facts.low_balance
    factors = {_LONG_OPEN: ONE, _LONG_CLOSE: ONE, _SHORT_OPEN: ONE, _SHORT_CLOSE: ONE}
    names = ["", ""]
    for index, rule in enumerate(rules):
        if rule is not None:
            names[index], orders, factor = rule
            if factor >= 1 or not facts.low_balance:
                factors[orders] = factor
    multipliers = Multipliers(
        long_buy=factors[_LONG_OPEN],
        long_sell=factors[_LONG_CLOSE],
        short_buy=factors[_SHORT_CLOSE],
        short_sell=factors[_SHORT_OPEN],
        long_rule=names[0],
        short_rule=names[1],
    )
    return multipliers, facts.low_balance


def rules_stay(long: LegState, short: LegState, low: RiskInputs, high: RiskInputs, risk: RiskConfig) -> bool:
    """Whether these legs have one and the same rules wherever price, wallet and available balance lie between two.

    That is so while no liquidation price is beyond its limit (`liq_limits`); those of these legs are not. `low` has the
    lower figures. False where it cannot be told, such as with an early imbalance multiplier.
    """
    least, most = _facts(long, short, low, risk), _facts(long, short, high, risk)
    if least is None or most is None or risk.early_imbalance_multiplier != ONE:
        return False
    if (low.available_balance is None) is not (high.available_balance is None) or least.outcomes != most.outcomes:
        return False
    return is_far_from_liq(long, short, liq_limits(least.last, most.last, risk))


def is_far_from_liq(long: LegState, short: LegState, limits: tuple[Decimal, Decimal]) -> bool:
    """Whether the liquidation prices of these legs are within limits (`liq_limits`), or not there."""
    return (long.liq_price or ZERO) <= limits[0] and (not short.liq_price or short.liq_price >= limits[1])


def liq_limits(lowest: Decimal, highest: Decimal, risk: RiskConfig) -> tuple[Decimal, Decimal]:
    """Up to the first (USDT) a long leg's liquidation price leads to no rule at any last price between two, and from
    the second on a short leg's."""
    return _times(risk.min_liq_ratio, lowest), _times(risk.max_liq_ratio, highest)


def _facts(long: LegState, short: LegState, inputs: RiskInputs, risk: RiskConfig) -> _Facts | None:
    last, wallet = inputs.last_price, inputs.wallet_balance
    if last is None or last <= 0 or wallet is None or wallet <= 0:
        return None
    long_value = ZERO if long.entry_price is None else _times(long.size, long.entry_price)
    short_value = ZERO if short.entry_price is None else _times(short.size, short.entry_price)
    available = inputs.available_balance
    return _Facts(
        long=long,
        short=short,
        last=last,
        wallet=wallet,
        long_value=long_value,
        short_value=short_value,
        short_for_ratio=short_value or _times(wallet, _NO_SHORT_MARGIN),
        low_balance=available is not None
        and available < _times(risk.low_balance_fraction, _plus(long_value, short_value)),
        risk=risk,
    )


def _long_rule(facts: _Facts) -> _Rule | None:
    leg = facts.long
    if leg.entry_price is None or leg.entry_price <= 0:
        return None
    liq_price, least = leg.liq_price, facts.risk.min_liq_ratio
    if liq_price and liq_price > facts.liq_at(least):
        if liq_price > facts.liq_at(_times(least, _FAR_ABOVE)):
            return "long_1", _LONG_CLOSE, _GROW_CLOSE
        return "long_2", _SHORT_CLOSE, _SHRINK
    if facts.equal_and_small:
        if facts.risk.increase_same_position_on_low_margin:
            return "long_3", _LONG_OPEN, _GROW
        return "long_3", _LONG_CLOSE, _SHRINK
    if facts.ratio_below(_HALF):
        if facts.long_loses:
            return "long_4", _LONG_OPEN, _GROW
        if facts.ratio_below(_FIFTH):
            return "long_5", _LONG_OPEN, _GROW
    return None


def _short_rule(facts: _Facts) -> _Rule | None:
    leg = facts.short
    if leg.entry_price is None or leg.entry_price <= 0:
        return None
    liq_price, most = leg.liq_price, facts.risk.max_liq_ratio
    if liq_price and 0 < liq_price < facts.liq_at(most):
        if liq_price < facts.liq_at(_times(most, _FAR_BELOW)):
            return "short_1", _SHORT_CLOSE, _GROW_CLOSE
        return "short_2", _LONG_CLOSE, _SHRINK
    if facts.equal_and_small:
        if facts.risk.increase_same_position_on_low_margin:
            return "short_3", _SHORT_OPEN, _GROW
        return "short_3", _SHORT_CLOSE, _SHRINK
    if facts.ratio_above(_TWICE):
        if facts.short_loses:
            return "short_4", _SHORT_OPEN, _GROW
        if facts.ratio_above(_FIVE_TIMES):
            return "short_5", _SHORT_OPEN, _GROW
    return None


def imbalance_multiplier(long: LegState, short: LegState, risk: RiskConfig) -> Decimal:
    """`early_imbalance_multiplier` while 1.1 < long size / short size < 10 and no leg has a liquidation price; or 1."""
    factor = risk.early_imbalance_multiplier
    if factor is ONE or long.liq_price or short.liq_price or short.size <= 0:
        return ONE
    is_imbalanced = _times(_IMBALANCE_FROM, short.size) < long.size < _times(_IMBALANCE_TO, short.size)
    return factor if is_imbalanced else ONE
