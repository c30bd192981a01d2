"""The modelled book of one symbol: best prices, and the quantity at each price behind them. Pure.

Best bid and ask follow from the trades: a buyer took the ask at its price, a seller the bid. Depth is a fixed function
of the price, so that queues, taker fills and the order book agree.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

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
        one_tick = 1000 * Fraction(instrument.tick_size) * Fraction(instrument.qty_step)
        self._steps = (Fraction(self._level_notional) / one_tick).as_integer_ratio()
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
        return self.level_steps(ticks) * self._instrument.qty_step

    def level_steps(self, ticks: int) -> int:
        """The same in whole steps of the quantity: the part of `level_notional` at that price, rounded up."""
        whole, parts = self._steps
        thousandths = 500 + ticks * 2_654_435_761 % 1001
        return -(-whole * thousandths // (parts * max(1, ticks)))

    def crosses(self, side: Side, ticks: int) -> bool:
        """True when an order at this price would take liquidity."""
        return ticks >= self.ask_ticks if side is Side.BUY else ticks <= self.bid_ticks

    def shown_volume(self, side: Side, ticks: int) -> Decimal:
        """Market volume standing at a price on that side: none inside the spread."""
        if side is Side.BUY:
            return self.level_qty(ticks) if ticks <= self.bid_ticks else ZERO
        return self.level_qty(ticks) if ticks >= self.ask_ticks else ZERO

    def levels(self, depth: int) -> tuple[range, range]:
        """Bids (descending) and asks (ascending) in ticks, `depth` levels each."""
        bids = range(self.bid_ticks, max(0, self.bid_ticks - depth), -1)
        return bids, range(self.ask_ticks, self.ask_ticks + depth)
