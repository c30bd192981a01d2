"""Margins of positions and orders in cross margin, and where legs would be liquidated. USDT throughout.

The only margin arithmetic, with `isolated_margin` for the other mode: the paper exchange, shadow strategies, checks and
what-ifs all use it. Rules: docs/risk.md 7; captured figures: docs/bybit_streams.md 6, checked by
tests/core/test_margin.py.

Margins by tiers, of one leg and of orders are the exchange's published rules, the liquidation price of a leg alone is
read off captured frames. The pair's liquidation price and the margins of its legs are fits to a real account, and know
one symbol only; the exchange's own figures come first.

A rate and its deduction always belong to the tier of the value they are applied to. The margin is then continuous and
grows with the value; with the tier of another value it would jump, or fall as the position grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact
from itertools import pairwise
from typing import NamedTuple

from gridbot.core.exact import WIDE
from gridbot.core.instrument import RiskTier
from gridbot.core.quick_values import quick_value
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction

__all__ = [
    "LEAST_RESERVE_FEE",
    "LegMargin",
    "MarginBalance",
    "PairLine",
    "PairParts",
    "check_tiers",
    "fee_to_close",
    "initial_margin",
    "liquidation_prices",
    "maintenance_margin",
    "margin_percent",
    "margin_to_keep",
    "order_cost",
    "order_margin",
    "pair_margins",
    "pair_parts",
    "reserve_fee",
    "tier_for",
]

ZERO = Decimal(0)
ONE = Decimal(1)
_LONG = Direction.LONG

_WITHIN_BELOW, _WITHIN_ABOVE = Decimal("0.999"), Decimal("1.001")
"""So much a liquidation price stays away from its limit: prices are rounded where they are told."""

HEDGE_FACTOR = Decimal("5.657")
"""Fitted factor in the smaller leg's buffer (docs/bybit_streams.md 6.4): close to 4 * sqrt(2), without a derivation."""


LEAST_RESERVE_FEE = Decimal("0.00055")
"""What the exchange reserves for a taker's fee at least, as a fraction, also for accounts that pay less."""

_EXACT = Context(prec=WIDE.prec, traps=[Inexact])
_LINE_FROM, _LINE_TO = Decimal("0.98"), Decimal("1.02")
"""Of a mark price: how far its line is followed."""


@quick_value(frozen=True, slots=True)
class MarginBalance:
    """What an account in cross margin can lose, in USDT: its margin balance (wallet and unrealised PnL), and the
    maintenance margin of all its legs and opening orders."""

    balance: Decimal
    maintenance: Decimal


class LegMargin(NamedTuple):
    """Initial and maintenance margin of one leg, in USDT."""

    initial: Decimal
    maintenance: Decimal


def check_tiers(tiers: Sequence[RiskTier]) -> None:
    """Raise ValueError unless limits rise strictly and every rate is above 0 and below 1."""
    for lower, upper in pairwise(tiers):
        if upper.limit <= lower.limit:
            raise ValueError(f"risk tiers: expected rising limits, got {upper.limit} after {lower.limit}")
    for tier in tiers:
        for name, rate in (("maintenance", tier.mm_rate), ("initial", tier.im_rate)):
            if not 0 < rate < 1:
                raise ValueError(f"risk tiers: expected a {name} rate between 0 and 1, got {rate} up to {tier.limit}")


def tier_for(tiers: Sequence[RiskTier], value: Decimal) -> RiskTier:
    """The first tier whose limit covers a position value; the last is open-ended. Raise ValueError without tiers."""
    if not tiers:
        raise ValueError("expected at least one risk tier; load them from market/risk-limit")
    for tier in tiers:
        if value <= tier.limit:
            return tier
    return tiers[-1]


def initial_margin(value: Decimal, tiers: Sequence[RiskTier], leverage: Decimal = ONE) -> Decimal:
    """value · the tier's initial rate; without tiers value / leverage."""
    if not tiers:
        return WIDE.divide(value, leverage)
    return WIDE.multiply(value, tier_for(tiers, value).im_rate)


def maintenance_margin(value: Decimal, tiers: Sequence[RiskTier]) -> Decimal:
    """value · the tier's maintenance rate − its deduction, never below 0."""
    return _maintenance(value, tier_for(tiers, value))


def _maintenance(value: Decimal, tier: RiskTier) -> Decimal:
    return max(ZERO, WIDE.subtract(WIDE.multiply(value, tier.mm_rate), tier.mm_deduction))


def margin_percent(margin: Decimal, margin_balance: Decimal) -> Decimal | None:
    """IMR % or MMR %: total margin against the margin balance; None when there is no balance to divide by."""
    if not margin_balance > 0:
        return None
    return WIDE.divide(WIDE.multiply(margin, Decimal(100)), margin_balance)


def reserve_fee(taker_fee: Decimal, tax: Decimal = ZERO) -> Decimal:
    """The rate at which fees to open and to close are reserved: the taker's, at least 0.00055, with the tax on it.

    Fractions; `tax` is a part of the fee (GST is 0.18). Source: docs/bybit_streams.md 6.1.
    """
    return WIDE.multiply(max(taker_fee, LEAST_RESERVE_FEE), WIDE.add(ONE, tax))


def liquidation_prices(
    long: LegState, short: LegState, mark: Decimal, account: MarginBalance, tiers: Sequence[RiskTier]
) -> tuple[Decimal | None, Decimal | None]:
    """Liquidation prices (long, short) of a symbol's legs in cross margin; None for a leg that has none.

    Source: docs/bybit_streams.md 6.3. They are where the account's margin balance would equal its maintenance margin if
    nothing but this symbol moved. With nothing left to lose it is the mark price for a leg alone, the entry price for
    the bigger one of a pair. The mark price is never beyond them.
    """
    surplus = WIDE.subtract(long.size, short.size)
    if not surplus:
        return None, None
    price: Decimal | None = None
    if long.size and short.size:
        price = _pair_liquidation(long, short, account.balance, tiers)
        if price is None:
            return None, None
    if price is None or WIDE.multiply(WIDE.subtract(mark, price), surplus) < 0:
        spare = max(ZERO, WIDE.subtract(account.balance, account.maintenance))
        price = WIDE.subtract(mark, WIDE.divide(spare, surplus))
    return (max(ZERO, price), None) if surplus > 0 else (None, price)


def _pair_liquidation(
    long: LegState, short: LegState, total_equity: Decimal, tiers: Sequence[RiskTier]
) -> Decimal | None:
    """The fit for two legs: the price of the bigger one, None where its entry is not known.

    What the account can lose, `total_equity` less the maintenance margin of both legs together (no relief for the
    hedge), is spread over the surplus of the bigger leg, from its entry on. Of the account that was fitted mark and
    entry were near each other. Far from the entry the open result counts twice, so that the price may be one that the
    mark has passed while the account is whole: it does not hold there.
    """
    surplus = WIDE.subtract(long.size, short.size)
    entry = (long if surplus > 0 else short).entry_price
    if entry is None:
        return None
    pool = WIDE.subtract(total_equity, maintenance_margin(WIDE.add(long.value, short.value), tiers))
    return entry if pool <= 0 else WIDE.subtract(entry, WIDE.divide(pool, surplus))


def margin_to_keep(
    long: LegState,
    short: LegState,
    marks: tuple[Decimal, Decimal],
    limits: tuple[Decimal, Decimal],
    tiers: Sequence[RiskTier],
) -> MarginBalance:
    """What an account has to have for liquidation prices to stay within limits, while the mark price lies between two.

    `limits` are the highest for the long leg and the lowest for the short one. `balance` is the margin balance that has
    to be exceeded; `maintenance` what has to be left of it (at least) without the maintenance margin. 0: any will do.
    """
    (lowest, highest), below, above = marks, limits[0] * _WITHIN_BELOW, limits[1] * _WITHIN_ABOVE
    surplus = WIDE.subtract(long.size, short.size)
    if not surplus:
        return MarginBalance(ZERO, ZERO)
    way = WIDE.subtract(highest, below) if surplus > 0 else WIDE.subtract(above, lowest)
    left = max(ZERO, WIDE.multiply(way, abs(surplus)))
    if not short.size or not long.size:
        return MarginBalance(ZERO, left)
    entry = (long if surplus > 0 else short).entry_price
    if entry is None:
        return MarginBalance(ZERO, ZERO)
    way = WIDE.subtract(entry, below) if surplus > 0 else WIDE.subtract(above, entry)
    if way < 0:  # also with nothing to lose
        return MarginBalance(ZERO, left)
    pool = maintenance_margin(WIDE.add(long.value, short.value), tiers)
    return MarginBalance(WIDE.add(pool, WIDE.multiply(way, abs(surplus))), left)


def fee_to_close(direction: Direction, leg: LegState, taker_fee: Decimal) -> Decimal:
    """Taker fee to close a leg at its bankruptcy price: 1/leverage below the entry for long, above it for short."""
    value = leg.value
    return WIDE.multiply(_bankrupt_value(direction, value, WIDE.divide(value, leg.leverage)), taker_fee)


def order_cost(direction: Direction, value: Decimal, leverage: Decimal, taker_fee: Decimal) -> Decimal:
    """What an opening order of this value (quantity · limit price) locks: initial margin, fees to open and to close."""
    initial = WIDE.divide(value, leverage)
    return WIDE.add(initial, _two_fees(direction, value, initial, taker_fee))


def order_margin(
    direction: Direction, value: Decimal, leverage: Decimal, tiers: Sequence[RiskTier], taker_fee: Decimal
) -> LegMargin:
    """What an opening order locks (`order_cost`), and what it adds to the account's maintenance margin: that of its own
    value and both fees. Source: docs/bybit_streams.md 6.2."""
    initial = WIDE.divide(value, leverage)
    fees = _two_fees(direction, value, initial, taker_fee)
    return LegMargin(WIDE.add(initial, fees), WIDE.add(maintenance_margin(value, tiers), fees))


def _two_fees(direction: Direction, value: Decimal, initial: Decimal, taker_fee: Decimal) -> Decimal:
    return WIDE.multiply(WIDE.add(value, _bankrupt_value(direction, value, initial)), taker_fee)


def _bankrupt_value(direction: Direction, value: Decimal, initial: Decimal) -> Decimal:
    """A leg's value at the price where its initial margin is gone."""
    return WIDE.subtract(value, initial) if direction is _LONG else WIDE.add(value, initial)


class PairLine(NamedTuple):
    """Margins of a pair at mark prices from `low` to `high`: those of the bigger leg grow with it in a straight line.

    `steep` are USDT for each USDT of the mark price, `bare` what does not grow; `buffer` are both of the smaller leg.
    """

    low: Decimal
    high: Decimal
    steep_initial: Decimal
    bare_initial: Decimal
    steep_maintenance: Decimal
    bare_maintenance: Decimal
    buffer: Decimal

    def at(self, mark: Decimal) -> tuple[Decimal, Decimal]:
        """Initial and maintenance margin of the bigger leg, the very figures of `PairParts.margins`."""
        return (
            WIDE.fma(mark, self.steep_initial, self.bare_initial),
            WIDE.fma(mark, self.steep_maintenance, self.bare_maintenance),
        )


class PairParts(NamedTuple):
    """What of a pair's margins does not depend on the mark price: sizes in base coin, fees to close in USDT, and the
    smaller leg's size · distance of the entries (0 without a smaller leg)."""

    long_is_bigger: bool
    size: Decimal
    bare_size: Decimal
    leverage: Decimal
    fee: Decimal
    small_fee: Decimal
    spread: Decimal

    def margins(self, mark: Decimal, tiers: Sequence[RiskTier]) -> tuple[LegMargin, LegMargin]:
        """As `pair_margins`."""
        bare_value = WIDE.multiply(self.bare_size, mark)
        tier = tier_for(tiers, bare_value)
        initial = WIDE.divide(WIDE.multiply(self.size, mark), self.leverage)
        bigger = LegMargin(WIDE.add(initial, self.fee), WIDE.add(_maintenance(bare_value, tier), self.fee))
        buffer = self._buffer(tier)
        smaller = LegMargin(buffer, buffer)
        return (bigger, smaller) if self.long_is_bigger else (smaller, bigger)

    def line_at(self, mark: Decimal, tiers: Sequence[RiskTier]) -> PairLine | None:
        """The margins around a mark price; None where they are no line: a tier ends there, or a part of
        it would be rounded."""
        low, high = WIDE.multiply(mark, _LINE_FROM), WIDE.multiply(mark, _LINE_TO)
        least = WIDE.multiply(self.bare_size, low)
        tier = tier_for(tiers, least)
        if (
            tier_for(tiers, WIDE.multiply(self.bare_size, high)) is not tier
            or WIDE.multiply(least, tier.mm_rate) < tier.mm_deduction
        ):
            return None
        try:
            steep, bare = _EXACT.divide(self.size, self.leverage), _EXACT.subtract(self.fee, tier.mm_deduction)
        except Inexact:
            return None
        return PairLine(
            low, high, steep, self.fee, WIDE.multiply(self.bare_size, tier.mm_rate), bare, self._buffer(tier)
        )

    def _buffer(self, tier: RiskTier) -> Decimal:
        """Both margins of the smaller leg."""
        if not self.spread:
            return self.small_fee
        return WIDE.add(self.small_fee, WIDE.multiply(WIDE.multiply(tier.mm_rate, HEDGE_FACTOR), self.spread))


def pair_parts(long: LegState, short: LegState, taker_fee: Decimal) -> PairParts:
    """Of two legs, for whoever asks for their margins at many mark prices."""
    fees = fee_to_close(Direction.LONG, long, taker_fee), fee_to_close(Direction.SHORT, short, taker_fee)
    long_is_bigger = long.size >= short.size
    big, small = (long, short) if long_is_bigger else (short, long)
    big_fee, small_fee = fees if long_is_bigger else (fees[1], fees[0])
    spread = ZERO
    if small.size > 0 and big.entry_price is not None and small.entry_price is not None:
        spread = WIDE.multiply(small.size, WIDE.abs(WIDE.subtract(big.entry_price, small.entry_price)))
    bare_size = WIDE.subtract(big.size, small.size)
    return PairParts(long_is_bigger, big.size, bare_size, big.leverage, big_fee, small_fee, spread)


def pair_margins(
    long: LegState, short: LegState, mark: Decimal, tiers: Sequence[RiskTier], taker_fee: Decimal
) -> tuple[LegMargin, LegMargin]:
    """Margins (long, short) the exchange shows for each leg of a hedged pair (docs/bybit_streams.md 6.4).

    The bigger leg (long if they are equal) carries the initial margin of its whole mark value and the maintenance
    margin of what the other does not hedge, at the tier of that part. The smaller leg carries a buffer for the distance
    of the two entries, at the same rate. A leg alone has the margins of a single position (docs/bybit_streams.md 6.1).
    """
    return pair_parts(long, short, taker_fee).margins(mark, tiers)
