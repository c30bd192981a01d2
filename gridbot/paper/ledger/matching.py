"""Price-time matching of resting orders against a stream of public trades. Pure.

Our orders meet the market, never each other. At one price they stand in order of arrival, each with the market volume
that stood directly before it when it came. A trade at that price eats through this queue; a trade beyond the price
means that the price was emptied, and fills the order whole.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.settings import MatchingModel

__all__ = ["Fill", "RestingBook"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """`qty` of a resting order was executed at its own price."""

    order_id: str
    ticks: int
    qty: Decimal


@dataclass(slots=True)
class _Resting:
    order_id: str
    side: Side
    ticks: int
    leaves: Decimal
    ahead: Decimal


class _Ladder:
    """One side of the book: price in ticks to the queue there, and the prices in ascending order."""

    __slots__ = ("levels", "prices")

    def __init__(self) -> None:
        self.levels: dict[int, list[_Resting]] = {}
        self.prices: list[int] = []

    def add(self, order: _Resting) -> None:
        queue = self.levels.get(order.ticks)
        if queue is None:
            self.levels[order.ticks] = [order]
            insort(self.prices, order.ticks)
        else:
            queue.append(order)

    def drop_level(self, ticks: int) -> None:
        del self.levels[ticks]
        del self.prices[bisect_left(self.prices, ticks)]


class RestingBook:
    """Resting orders of one symbol, of all accounts. Quantities are base coin, prices whole ticks."""

    def __init__(self, model: MatchingModel = MatchingModel.QUEUE) -> None:
        self._model = model
        self._orders: dict[str, _Resting] = {}
        self._bids = _Ladder()
        self._asks = _Ladder()

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._orders

    @property
    def ids(self) -> Container[str]:
        """The orders that rest."""
        return self._orders

    def nearest(self) -> tuple[int | None, int | None]:
        """The highest bid and the lowest ask in whole ticks; None where none rests."""
        bids, asks = self._bids.prices, self._asks.prices
        return bids[-1] if bids else None, asks[0] if asks else None

    def add(self, order_id: str, side: Side, ticks: int, leaves: Decimal, market_volume: Decimal) -> None:
        """Append an order to the queue of its price; `market_volume` is what others show there now."""
        if order_id in self._orders or leaves <= 0:
            raise ValueError(f"expected a new order with something left, got {order_id} with {leaves}")
        ladder = self._ladder(side)
        ahead = market_volume
        if ticks in ladder.levels:
            ahead = max(ZERO, market_volume - sum((other.ahead for other in ladder.levels[ticks]), ZERO))
        order = _Resting(order_id, side, ticks, leaves, ahead)
        self._orders[order_id] = order
        ladder.add(order)

    def shrink(self, order_id: str, leaves: Decimal) -> None:
        """Lower what is left of an order without losing its place (amending the quantity down)."""
        order = self._orders[order_id]
        if not 0 < leaves <= order.leaves:
            raise ValueError(f"expected 0 < leaves <= {order.leaves}, got {leaves}")
        order.leaves = leaves

    def remove(self, order_id: str) -> bool:
        """Take an order out; False when it is not resting. The queue before it now counts for the next one."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return False
        ladder = self._ladder(order.side)
        queue = ladder.levels[order.ticks]
        place = next(i for i, other in enumerate(queue) if other is order)
        del queue[place]
        if place < len(queue):
            queue[place].ahead += order.ahead
        if not queue:
            ladder.drop_level(order.ticks)
        return True

    def trade(self, taker: Side, ticks: int, size: Decimal) -> list[Fill]:
        """A public trade happened: return the fills it means for resting orders, best price first.

        A size of zero moves the price without volume: only orders that it passes are filled.
        """
        fills: list[Fill] = []
        asks, bids = self._asks, self._bids
        while asks.prices and asks.prices[0] < ticks:
            self._fill_level(asks, asks.prices[0], fills)
        while bids.prices and bids.prices[-1] > ticks:
            self._fill_level(bids, bids.prices[-1], fills)
        maker_side = asks if taker is Side.BUY else bids
        if size > 0 and ticks in maker_side.levels:
            if self._model is MatchingModel.TOUCH:
                self._fill_level(maker_side, ticks, fills)
            elif self._model is MatchingModel.QUEUE:
                self._eat_queue(maker_side, ticks, size, fills)
        return fills

    def _ladder(self, side: Side) -> _Ladder:
        return self._bids if side is Side.BUY else self._asks

    def _fill_level(self, ladder: _Ladder, ticks: int, fills: list[Fill]) -> None:
        for order in ladder.levels[ticks]:
            fills.append(Fill(order.order_id, ticks, order.leaves))
            del self._orders[order.order_id]
        ladder.drop_level(ticks)

    def _eat_queue(self, ladder: _Ladder, ticks: int, volume: Decimal, fills: list[Fill]) -> None:
        queue = ladder.levels[ticks]
        done = 0
        for order in queue:
            passed = min(volume, order.ahead)
            order.ahead -= passed
            volume -= passed
            if volume <= 0:
                break
            taken = min(volume, order.leaves)
            order.leaves -= taken
            volume -= taken
            fills.append(Fill(order.order_id, ticks, taken))
            if order.leaves > 0:
                break
            del self._orders[order.order_id]
            done += 1
        del queue[:done]
        if not queue:
            ladder.drop_level(ticks)
