"""The orders of one strategy: what others want of them or have heard about them becomes an event of `orders/life.py`.

The order manager owns the strategy's `OrderBook`. It decides nothing, neither about levels or prices (the runner does)
nor about an order's life (`step` does), and does no I/O. For a shadow strategy a `ShadowWire` takes the place of the
executor.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

from gridbot.core import ExecutionEvent, Instrument, OrderUpdateEvent
from gridbot.orders import life_events
from gridbot.orders.ids import Owner, wire_id
from gridbot.orders.life_events import LookUp
from gridbot.orders.order import TrackedOrder
from gridbot.orders.proposal import Proposal
from gridbot.orders.reconcile import adopted, owns
from gridbot.orders.retry import RetryItem
from gridbot.risk.gate import Gate
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_steps import OrderSteps
from gridbot.worker.shadow_wire import ShadowWire

__all__ = ["LookUp", "OrderManager"]

LogTo = logging.LoggerAdapter[logging.Logger]


class OrderManager:
    """See the module. `risk_state.book` is the book it owns; `log` carries account and strategy."""

    def __init__(
        self,
        risk_state: StrategyRiskState,
        instrument: Instrument,
        context: WorkerContext,
        gate: Gate,
        *,
        log: LogTo,
        wire: ShadowWire | None,
    ) -> None:
        self.book = risk_state.book
        self.strat_id = risk_state.strat_id
        self.symbol = risk_state.symbol
        self.owner = Owner.of(context.account_tag, risk_state.strat_id, context.epoch)
        """Whose the orders are, by their ids."""
        self._instrument = instrument
        self._context = context
        self._is_shadow = wire is not None
        self.batch: AbstractContextManager[None] = nullcontext() if self._is_shadow else context.executor.batch
        """What is submitted and withdrawn in it is sent at its end."""
        self._steps = OrderSteps(risk_state, context, gate, wire, log)

    # ------------------------------------------------------------------ what is wanted

    def submit(self, proposal: Proposal) -> None:
        """Queue a new order that the gate has admitted; several in a `batch`, or call `pump` after the last one."""
        order = TrackedOrder(
            strat_id=self.strat_id,
            symbol=self.symbol,
            side=proposal.side,
            direction=proposal.direction,
            ticks=proposal.ticks,
            price=proposal.price,
            qty=proposal.qty,
            reduce_only=proposal.reduce_only,
            link_id=wire_id(
                self.owner, proposal.side, proposal.direction, proposal.ticks, self._context.generations.next()
            ),
            post_only=proposal.post_only,
        )
        self._steps.take(life_events.Submitted(order, proposal))

    def cancel(self, key: str, reason: str) -> None:
        """Withdraw an order, once; what has not left needs no request. Call `pump` afterwards."""
        self._steps.take(life_events.Withdrawn(key, reason))

    def cancel_all(self, reason: str) -> None:
        """Withdraw every live order, and send the requests."""
        for order in self.book:
            self.cancel(order.key, reason)
        self.pump()

    def pump(self) -> None:
        """Send what was submitted and withdrawn."""
        if not self._is_shadow:
            self._context.executor.pump()

    def drop_unsent(self, reason: str) -> None:
        """Drop the orders that the exchange does not have: not sent yet, or waiting for another try."""
        self._steps.take(life_events.Stopped(reason))

    def retry(self, item: RetryItem) -> None:
        """A request has waited long enough for its next try."""
        self._steps.take(life_events.RetryDue(item))

    # ------------------------------------------------------------------ what the exchange reports

    def on_order_update(self, update: OrderUpdateEvent) -> None:
        """An update by stream, look-up or listing: of an order in the book, or of another, ours by its id or not."""
        known = self.book.get(update.order_link_id) or self.book.get(update.order_id)
        if known is not None:
            self._steps.take(life_events.Heard(known, update))
        else:
            recorded = self._context.recorded.known
            ours = update.status.is_open and owns(update, self.owner, self._instrument, recorded)
            self._steps.take(life_events.StrangerSeen(update, ours, self.strat_id))

    def revive(self, row: OrderUpdateEvent) -> None:
        """A row of a complete listing that contradicts us: an order that is over lives again, a cancel is sent again.

        Nothing when the row is older than what the exchange has said since, or the book does not know the order.
        """
        self._steps.take(life_events.Revived(row))

    def adopt(self, row: OrderUpdateEvent, source: str) -> None:
        """Add one of our orders that rests on the exchange to the book: after a restart, or after a lost reply."""
        self._steps.take(life_events.Adopted(adopted(row, self.strat_id, self._instrument), source))

    def on_look_up(self, order: TrackedOrder, found: LookUp) -> None:
        """What a look-up of one order found."""
        self._steps.take(life_events.LookedUp(order, found))

    def on_execution(self, key: str, execution: ExecutionEvent) -> None:
        """Apply a new execution to its order."""
        self._steps.take(life_events.Executed(key, execution))

    def give_up_executions(self, order: TrackedOrder) -> None:
        """The executions of a finished order have not come in time: settle it as it is."""
        self._steps.take(life_events.GivenUp(order))
