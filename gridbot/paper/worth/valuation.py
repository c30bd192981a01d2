"""The value of an account at the present mark prices: margins, equity, available balance. Pure.

The arithmetic is `gridbot.core.margin` and `isolated_margin`; here it is applied to accounts and markets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from gridbot.core.isolated_margin import bankruptcy_price, isolated_liquidation, isolated_margin
from gridbot.core.margin import (
    LegMargin,
    MarginBalance,
    liquidation_prices,
    order_margin,
    pair_parts,
    reserve_fee,
)
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.accounts.leg import Leg, rounded
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.worth.cross_holdings import NO_MARGIN, CrossHoldings, Holdings, Pair

__all__ = ["NO_MARGIN", "Holdings", "Totals", "Valuation"]

ZERO = Decimal(0)
NO_LEG = LegState()


NOTHING_HELD = Holdings()


class Totals(NamedTuple):
    """Account figures in USDT: those of its holdings, and what its open orders lock. `prices` are the liquidation
    prices (long, short) by symbol in cross margin, worked out once for both rows of a pair."""

    wallet: Decimal
    holdings: Holdings
    order_initial: Decimal
    order_maintenance: Decimal
    isolated: bool
    prices: dict[str, tuple[Decimal | None, Decimal | None]]

    def margin_of(self, leg: Leg) -> LegMargin:
        if not leg.size:
            return NO_MARGIN
        long, short = self.holdings.margins[leg.symbol]
        return long if leg.direction is Direction.LONG else short

    @property
    def equity(self) -> Decimal:
        return self.wallet + self.holdings.unrealised

    @property
    def initial(self) -> Decimal:
        return self.holdings.initial + self.order_initial

    @property
    def maintenance(self) -> Decimal:
        return self.holdings.maintenance + self.order_maintenance

    @property
    def available(self) -> Decimal:
        return _available(self.wallet, self.holdings, self.order_initial, self.isolated)


@dataclass(frozen=True, slots=True)
class Valuation:
    """Markets by symbol, the leverage of a symbol until an account sets it, and the taker fee as a fraction.

    What an account in cross margin holds is valued once for each mark price, however often it is asked for.
    """

    markets: Mapping[str, SymbolMarket]
    default_leverage: Decimal
    taker_fee: Decimal
    _reserve_fee: Decimal = field(init=False)
    _cross: dict[str, CrossHoldings] = field(init=False, default_factory=dict)
    """By account."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_reserve_fee", reserve_fee(self.taker_fee))

    def leverage(self, account: Account, symbol: str, direction: Direction) -> Decimal:
        """Of one side; the sides differ only in isolated margin and hedge mode."""
        if direction is Direction.SHORT and symbol in account.sell_leverage:
            return account.sell_leverage[symbol]
        return account.leverage.get(symbol, self.default_leverage)

    def fee(self, account: Account) -> Decimal:
        """The rate at which an account's fees are reserved."""
        tax = account.charges.tax
        return reserve_fee(self.taker_fee, tax) if tax else self._reserve_fee

    def state(self, account: Account, leg: Leg) -> LegState:
        """A leg as the arithmetic knows it."""
        return LegState(leg.size, leg.entry, None, self.leverage(account, leg.symbol, leg.direction))

    def liquidation_price(self, account: Account, leg: Leg, figures: Totals) -> Decimal | None:
        """In isolated margin the price of the leg; in cross margin an estimate of when the account's margin would be
        used up, which the mark price is never beyond. None when the leg has none."""
        if account.isolated:
            return self._leg_liquidation(account, leg)
        prices = figures.prices.get(leg.symbol)
        if prices is None:
            market, (long, short) = self.markets[leg.symbol], figures.holdings.states[leg.symbol]
            balance = MarginBalance(figures.equity, figures.maintenance)
            prices = liquidation_prices(long, short, market.mark, balance, market.instrument.tiers)
            figures.prices[leg.symbol] = prices
        return prices[0] if leg.direction is Direction.LONG else prices[1]

    def _leg_liquidation(self, account: Account, leg: Leg) -> Decimal | None:
        """In isolated margin, a whole tick towards the entry."""
        market = self.markets[leg.symbol]
        price = isolated_liquidation(leg.direction, self.state(account, leg), leg.extra, market.instrument.tiers)
        return _towards_entry(price, leg.direction, market)

    def is_due(self, account: Account, leg: Leg) -> bool:
        """True when the mark price has reached a leg's liquidation price, in isolated margin."""
        price, mark = self._leg_liquidation(account, leg), self.markets[leg.symbol].mark
        if price is None:
            return False
        return mark <= price if leg.direction is Direction.LONG else mark >= price

    def bankruptcy_price(self, account: Account, leg: Leg) -> Decimal | None:
        """In isolated margin the price at which a leg's margin is gone, a whole tick towards its entry."""
        if not account.isolated:
            return None
        price = bankruptcy_price(leg.direction, self.state(account, leg), leg.extra, self.fee(account))
        return _towards_entry(price, leg.direction, self.markets[leg.symbol])

    def order_margin(self, account: Account, order: Order) -> LegMargin:
        """What the unfilled rest of an order locks, and adds to maintenance; 0 for what closes or waits."""
        if order.closing or order.is_waiting:
            return NO_MARGIN
        opening, symbol, direction = order.unfilled, order.symbol, order.direction
        if order.request.position_idx == 0:
            leg = account.leg(symbol, 0)
            if order.side is leg.direction.close_side:
                opening = max(ZERO, opening - leg.size)
        leverage, tiers = self.leverage(account, symbol, direction), self.markets[symbol].instrument.tiers
        margin = order_margin(direction, opening * order.price, leverage, tiers, self.fee(account))
        return LegMargin(rounded(margin.initial), rounded(margin.maintenance))

    def totals(self, account: Account) -> Totals:
        """Everything the wallet row shows."""
        holdings, orders = self._holdings(account), account.order_margin
        return Totals(account.wallet, holdings, orders, account.order_maintenance, account.isolated, {})

    def available(self, account: Account) -> Decimal:
        """The same as of its totals, which each order that is placed asks for."""
        return _available(account.wallet, self._holdings(account), account.order_margin, account.isolated)

    def _holdings(self, account: Account) -> Holdings:
        if not account.isolated:
            cross = self.cross(account)
            return cross.now() if cross.pairs else NOTHING_HELD
        legs = [leg for leg in account.legs.values() if leg.size]
        return self._isolated(account, legs) if legs else NOTHING_HELD

    def cross(self, account: Account) -> CrossHoldings:
        """What an account in cross margin holds; the same object while it holds the same."""
        known = self._cross.get(account.name)
        if known is None or not known.is_of(account):
            kept = {} if known is None else known.pairs_of(account)
            symbols = dict.fromkeys(leg.symbol for leg in account.legs.values() if leg.size)
            pairs = [kept.get(each) or self._pair(account, each) for each in symbols]
            known = self._cross[account.name] = CrossHoldings(account, pairs)
        return known

    def _isolated(self, account: Account, legs: Sequence[Leg]) -> Holdings:
        unrealised = initial = maintenance = ZERO
        margins: dict[str, tuple[LegMargin, LegMargin]] = {}
        for leg in legs:
            unrealised += leg.unrealised(self.markets[leg.symbol].mark)
            if leg.symbol not in margins:
                held = account.held(leg.symbol)
                long, short = (NO_MARGIN if each is None else self.leg_margin(account, each) for each in held)
                margins[leg.symbol] = long, short
                initial += long.initial + short.initial
                maintenance += long.maintenance + short.maintenance
        return Holdings(unrealised, initial, maintenance, margins)

    def _pair(self, account: Account, symbol: str) -> Pair:
        market, legs = self.markets[symbol], account.held(symbol)
        long, short = (NO_LEG if leg is None else self.state(account, leg) for leg in legs)
        held, parts = [leg for leg in legs if leg is not None], pair_parts(long, short, self.fee(account))
        return Pair(market, market.instrument, held, (long, short), parts)

    def leg_margin(self, account: Account, leg: Leg) -> LegMargin:
        """Of one leg in isolated margin."""
        market = self.markets[leg.symbol]
        return isolated_margin(
            leg.direction,
            self.state(account, leg),
            market.mark,
            leg.extra,
            market.instrument.tiers,
            self.fee(account),
        )


def _available(wallet: Decimal, holdings: Holdings, order_initial: Decimal, isolated: bool) -> Decimal:
    """What may still be locked (USDT). In isolated margin a leg's profit and loss belong to the leg."""
    if holdings is NOTHING_HELD:
        return wallet - order_initial
    return (wallet if isolated else wallet + holdings.unrealised) - (holdings.initial + order_initial)


def _towards_entry(price: Decimal | None, direction: Direction, market: SymbolMarket) -> Decimal | None:
    if price is None:
        return None
    tick = market.instrument.tick_size
    rounding = ROUND_CEILING if direction is Direction.LONG else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding) * tick
