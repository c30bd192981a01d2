"""The modelled book of one symbol: best prices, and the quantity at each price behind them. Pure.

Best bid and ask follow from the trades: a buyer took the ask at its price, a seller the bid. Depth is a fixed function
of the price, so that queues, taker fills and the order book agree.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from gridbot.core.exact import ceil_div
from gridbot.core.instrument import Instrument
from gridbot.core.vocabulary import Side

__all__ = ["MarketDepth"]

ZERO = Decimal(0)


class MarketDepth:
    """Prices in whole ticks, quantities in base coin; `level_notional` is the mean USDT at each price."""

    def __init__(self, instrument: Instrument, level_notional: Decimal, ticks: int) -> None:
        self._level_notional = level_notional
        self.change_rules(instrument, ticks)

    def change_rules(self, instrument: Instrument, ticks: int) -> None:
        """Go on at this price under other rules."""
        self._instrument = instrument
        lot = instrument.tick_size * instrument.qty_step  # USDT, at a price of one tick
        self._lots_at_one, self._parts = (Fraction(self._level_notional) / Fraction(lot * 1000)).as_integer_ratio()
        self.reopen(ticks)

    def reopen(self, ticks: int) -> None:
        self.bid_ticks, self.ask_ticks = ticks - 1, ticks + 1

    def follow(self, side: Side, ticks: int) -> None:
        """A taker of this side traded at a price."""
        if side is Side.BUY:
            self.bid_ticks, self.ask_ticks = ticks - 1, ticks
        else:
            self.bid_ticks, self.ask_ticks = ticks, ticks + 1

    @property
    def bid(self) -> Decimal:
        return self._instrument.price(self.bid_ticks)

    @property
    def ask(self) -> Decimal:
        return self._instrument.price(self.ask_ticks)

    def level_qty(self, ticks: int) -> Decimal:
        """Market quantity shown at a price: 0.5 to 1.5 times `level_notional`, fixed per price."""
        share = 500 + ticks * 2_654_435_761 % 1001
        return ceil_div(self._lots_at_one * share, self._parts * max(1, ticks)) * self._instrument.qty_step

    def crosses(self, side: Side, ticks: int) -> bool:
        """True when an order at this price would take liquidity."""
        return ticks >= self.ask_ticks if side is Side.BUY else ticks <= self.bid_ticks

    def shown_volume(self, side: Side, ticks: int) -> Decimal:
        """Market volume standing at a price on that side: none inside the spread."""
        if side is Side.BUY:
            return self.level_qty(ticks) if ticks <= self.bid_ticks else ZERO
        return self.level_qty(ticks) if ticks >= self.ask_ticks else ZERO

    def levels(self, depth: int) -> tuple[list[tuple[int, Decimal]], list[tuple[int, Decimal]]]:
        """Bids (descending) and asks (ascending) as (ticks, quantity), `depth` levels each."""
        bids = [(t, self.level_qty(t)) for t in range(self.bid_ticks, max(0, self.bid_ticks - depth), -1)]
        asks = [(t, self.level_qty(t)) for t in range(self.ask_ticks, self.ask_ticks + depth)]
        return bids, asks
