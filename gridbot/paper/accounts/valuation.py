"""The value of an account at the present mark prices: margins, equity, available balance. Pure.

The arithmetic is `gridbot.core.margin`; here it is applied to accounts and markets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.margin import LegMargin, order_cost, pair_liquidation, pair_margins
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.accounts.leg import Leg, rounded
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["Totals", "Valuation"]

ZERO = Decimal(0)
NO_MARGIN = LegMargin(ZERO, ZERO)
NO_LEG = LegState()


@dataclass(frozen=True, slots=True)
class Totals:
    """Account figures in USDT. `position_initial` contains the fees to close; `margins` are (long, short) by symbol."""

    wallet: Decimal
    unrealised: Decimal
    position_initial: Decimal
    maintenance: Decimal
    order_initial: Decimal
    margins: Mapping[str, tuple[LegMargin, LegMargin]]

    def margin_of(self, leg: Leg) -> LegMargin:
        if not leg.size:
            return NO_MARGIN
        long, short = self.margins[leg.symbol]
        return long if leg.direction is Direction.LONG else short

    @property
    def equity(self) -> Decimal:
        return self.wallet + self.unrealised

    @property
    def initial(self) -> Decimal:
        return self.position_initial + self.order_initial

    @property
    def available(self) -> Decimal:
        return self.equity - self.initial


@dataclass(frozen=True, slots=True)
class Valuation:
    """Markets by symbol, the leverage of a symbol until an account sets it, and the taker fee as a fraction."""

    markets: Mapping[str, SymbolMarket]
    default_leverage: Decimal
    taker_fee: Decimal

    def leverage(self, account: Account, symbol: str) -> Decimal:
        return account.leverage.get(symbol, self.default_leverage)

    def liquidation_price(self, account: Account, leg: Leg, equity: Decimal) -> Decimal | None:
        """An estimate for the symbol alone; None when the leg has none."""
        leverage, tiers = self.leverage(account, leg.symbol), self.markets[leg.symbol].instrument.tiers
        long, short = (_state(each, leverage) for each in account.held(leg.symbol))
        prices = pair_liquidation(long, short, equity, tiers)
        return prices[0] if leg.direction is Direction.LONG else prices[1]

    def order_margin(self, account: Account, order: Order) -> Decimal:
        """Margin that the unfilled rest of an order locks; 0 for what closes or waits."""
        if order.closing or order.is_waiting:
            return ZERO
        opening = order.unfilled
        if order.request.position_idx == 0:
            leg = account.leg(order.symbol, 0)
            if order.side is leg.direction.close_side:
                opening = max(ZERO, opening - leg.size)
        leverage = self.leverage(account, order.symbol)
        return rounded(order_cost(order.direction, opening * order.price, leverage, self.taker_fee))

    def totals(self, account: Account) -> Totals:
        """Everything the wallet row shows."""
        unrealised = initial = maintenance = ZERO
        margins: dict[str, tuple[LegMargin, LegMargin]] = {}
        for (symbol, _), leg in account.legs.items():
            if not leg.size:
                continue
            market = self.markets[symbol]
            unrealised += leg.unrealised(market.mark)
            if symbol in margins:
                continue
            leverage = self.leverage(account, symbol)
            long, short = (_state(each, leverage) for each in account.held(symbol))
            margins[symbol] = pair = pair_margins(long, short, market.mark, market.instrument.tiers, self.taker_fee)
            for margin in pair:
                initial += margin.initial
                maintenance += margin.maintenance
        return Totals(account.wallet, unrealised, initial, maintenance, account.order_margin, margins)


def _state(leg: Leg | None, leverage: Decimal) -> LegState:
    return NO_LEG if leg is None else LegState(leg.size, leg.entry, None, leverage)
