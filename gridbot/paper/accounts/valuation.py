"""An account's figures at the present mark prices: margins, equity, what is available. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account, Leg
from gridbot.paper.engine.pair_margin import FLAT, LegMargin, pair_margins
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["Totals", "leg_margin", "legs_of", "symbol_margins", "totals"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Totals:
    """Account figures in USDT. `position_initial` contains the fees to close."""

    wallet: Decimal
    unrealised: Decimal
    position_initial: Decimal
    maintenance: Decimal
    order_initial: Decimal

    @property
    def equity(self) -> Decimal:
        return self.wallet + self.unrealised

    @property
    def initial(self) -> Decimal:
        return self.position_initial + self.order_initial

    @property
    def available(self) -> Decimal:
        return self.equity - self.initial


def legs_of(account: Account, symbol: str) -> tuple[Leg | None, Leg | None]:
    """(long, short) legs that hold something, whatever the mode."""
    long = short = None
    for idx in (0, 1, 2):
        leg = account.legs.get((symbol, idx))
        if leg is not None and leg.size:
            if leg.direction is Direction.LONG:
                long = leg
            else:
                short = leg
    return long, short


def symbol_margins(
    account: Account, market: SymbolMarket, leverage: Decimal, taker: Decimal
) -> tuple[LegMargin, LegMargin]:
    """Margins of the (long, short) legs of one symbol."""
    long, short = legs_of(account, market.listing.symbol)
    if long is None and short is None:
        return FLAT, FLAT
    return pair_margins(
        long.size if long else ZERO,
        long.entry if long else ZERO,
        short.size if short else ZERO,
        short.entry if short else ZERO,
        mark=market.mark,
        leverage=leverage,
        taker=taker,
        tiers=market.instrument.tiers,
    )


def leg_margin(account: Account, leg: Leg, market: SymbolMarket, leverage: Decimal, taker: Decimal) -> LegMargin:
    if not leg.size:
        return FLAT
    long, short = symbol_margins(account, market, leverage, taker)
    return long if leg.direction is Direction.LONG else short


def totals(account: Account, markets: Mapping[str, SymbolMarket], default_leverage: Decimal, taker: Decimal) -> Totals:
    """Everything the wallet row shows."""
    unrealised = initial = maintenance = ZERO
    for symbol in dict.fromkeys(symbol for (symbol, _), leg in account.legs.items() if leg.size):
        market = markets[symbol]
        leverage = account.leverage.get(symbol, default_leverage)
        for leg, margin in zip(legs_of(account, symbol), symbol_margins(account, market, leverage, taker), strict=True):
            if leg is not None:
                unrealised += leg.unrealised(market.mark)
                initial += margin.initial
                maintenance += margin.maintenance
    return Totals(account.wallet, unrealised, initial, maintenance, account.order_margin)
