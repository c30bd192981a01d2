"""What only a shadow strategy does: its `ShadowWire` tells it what REST and the private stream tell a live one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gridbot.core import Direction, ExecutionEvent, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records import unfollowed_orders
from gridbot.worker.context import WorkerContext
from gridbot.worker.shadow_wire import ShadowNews, ShadowWire
from gridbot.worker.startup import PreparedSymbol

__all__ = ["ShadowSide", "end_shadow_orders", "shadow_wire"]


class Listener(Protocol):
    """The strategy, as far as it hears of its account."""

    symbol: str

    def on_execution(self, execution: ExecutionEvent, *, source: str = ...) -> None: ...
    def on_order_update(self, update: OrderUpdateEvent) -> None: ...
    def on_position_update(self, position: PositionEvent, *, source: str = ...) -> None: ...
    def on_wallet(self, wallet: WalletEvent) -> None: ...


class ShadowSide:
    """One per shadow strategy; for its wire the `ShadowHearer`."""

    def __init__(self, strategy: Listener, wire: ShadowWire, context: WorkerContext) -> None:
        self._strategy = strategy
        self._wire = wire
        self._context = context
        wire.connect(self)

    def leave(self) -> None:
        """The strategy is gone."""
        self._wire.disconnect()

    def come_back(self) -> None:
        """It has not gone after all."""
        self._wire.connect(self)

    def read_legs(self) -> None:
        """Take both legs as they would be now."""
        for position in self._wire.positions():
            self._strategy.on_position_update(position, source="shadow")

    def hear(self, news: Sequence[ShadowNews]) -> None:
        """What became of its orders."""
        strategy, symbol = self._strategy, self._strategy.symbol
        with self._context.faults.contained(f"{symbol}: news of the shadow's orders", symbol):
            for event in news:
                if isinstance(event, ExecutionEvent):
                    strategy.on_execution(event, source="shadow")
                else:
                    strategy.on_order_update(event)
            self.read_legs()  # the exchange tells both legs and wallet with each change of an order
        self._context.shadows.wallet_changed()

    def hear_wallet(self, wallet: WalletEvent) -> None:
        """The account's wallet as it would be."""
        symbol = self._strategy.symbol
        with self._context.faults.contained(f"{symbol}: the shadow's wallet", symbol):
            self._strategy.on_wallet(wallet)


def shadow_wire(context: WorkerContext, name: str, symbol: PreparedSymbol) -> ShadowWire:
    """To a venue of a strategy's own, with the legs and the money that an earlier life has left."""
    account = context.shadows.account
    venue = ShadowVenue(symbol.instrument, account, run_id=context.run_id, terms=symbol.shadow)
    for direction in Direction:
        venue.restore(direction, *context.ledger.leg(name, direction))
    account.restore(context.ledger.of(name).net)
    return context.shadows.wire(venue)


def end_shadow_orders(context: WorkerContext) -> None:
    """The venues of shadow strategies end with their worker, and so did the orders there."""
    for record in context.recorded:
        if record.shadow:
            context.record_order(unfollowed_orders.of_end(record, None, "its shadow venue ended with the worker"))
