"""Orders that rest in the books of all symbols, and whose they are. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.ledger.matching import RestingBook
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.settings import MatchingModel

__all__ = ["RestingOrders"]


class RestingOrders:
    """One book a symbol."""

    def __init__(self, markets: Mapping[str, SymbolMarket], model: MatchingModel) -> None:
        self._markets = markets
        self._model = model
        self._books = {symbol: RestingBook(model) for symbol in markets}
        self._owners: dict[str, tuple[Account, Order]] = {}

    def __contains__(self, order: Order) -> bool:
        return order.order_id in self._books[order.symbol]

    def ids(self, symbol: str) -> Container[str]:
        """The orders that rest in a symbol's book."""
        return self._books[symbol].ids

    def add(self, account: Account, order: Order, ticks: int) -> None:
        """Put what is left of an order at the end of the queue of its price, which is `ticks` whole ticks."""
        symbol, side = order.symbol, order.side
        self._owners[order.order_id] = (account, order)
        volume = self._markets[symbol].depth.shown_volume(side, ticks)
        self._books[symbol].add(order.order_id, side, ticks, order.unfilled, volume)

    def nearest(self, symbol: str) -> tuple[int | None, int | None]:
        """Highest bid and lowest ask of a symbol's resting orders, in whole ticks; None where none rests."""
        return self._books[symbol].nearest()

    def rebuild(self, symbol: str) -> None:
        """The size of a tick has changed: the book in new ticks, the oldest orders first.

        An order between two ticks keeps its price, and fills at the next tick that is no better for the other side.
        """
        self._books[symbol] = RestingBook(self._model)
        instrument = self._markets[symbol].instrument
        for account, order in list(self._owners.values()):
            if order.symbol == symbol:
                assert order.price is not None
                ticks = order.price / instrument.tick_size
                towards = ROUND_FLOOR if order.side is Side.BUY else ROUND_CEILING
                self.add(account, order, int(ticks.to_integral_value(towards)))

    def shrink(self, order: Order) -> None:
        """The order has less left than before; it keeps its place."""
        self._books[order.symbol].shrink(order.order_id, order.unfilled)

    def remove(self, order: Order) -> None:
        """Take an order out, if it rests."""
        if self._owners.pop(order.order_id, None) is not None:
            self._books[order.symbol].remove(order.order_id)

    def trade(self, symbol: str, side: Side, ticks: int, size: Decimal) -> list[tuple[Account, Order, Decimal]]:
        """A public trade happened: (account, order, quantity) of the fills it means, best price first.

        A fill may end orders that come later in the list: look whether each is still open.
        """
        return [(*self._owners[fill.order_id], fill.qty) for fill in self._books[symbol].trade(side, ticks, size)]
