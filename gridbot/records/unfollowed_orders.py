"""Records of orders that no worker follows: how one ended, that one rests, and that one is adopted. Pure."""

from __future__ import annotations

from dataclasses import replace

from gridbot.core import OrderUpdateEvent
from gridbot.orders.order import OrderState, state_of
from gridbot.records.record_types import OrderRecord, UtcMs

__all__ = ["of_adoption", "of_end", "of_resting"]

UNSEEN = "ended while no worker followed it"


def of_adoption(strategy: str, row: OrderUpdateEvent, who: str) -> OrderRecord:
    """An order of another program that `who` has a strategy take over. From this record on it is the strategy's."""
    return replace(of_resting(strategy, row), reason=f"adopted from another program by {who}")


def of_resting(strategy: str, row: OrderUpdateEvent) -> OrderRecord:
    """An order that rests by the exchange's `row`, though nobody follows it and our records hold it for over."""
    return OrderRecord(
        strategy=strategy,
        symbol=row.symbol,
        order_link_id=row.order_link_id,
        order_id=row.order_id,
        direction=row.direction or "",
        side=row.side,
        price=row.price,
        qty=row.qty,
        cum_exec_qty=row.cum_exec_qty,
        reduce_only=row.direction is not None and row.side is row.direction.close_side,
        state=state_of(row.status, row.cum_exec_qty),
        ret_code=None,
        reason="it rests, and no worker follows it",
        exchange_ts=UtcMs(row.exchange_ts),
    )


def of_end(newest: OrderRecord, row: OrderUpdateEvent | None, reason: str = "") -> OrderRecord:
    """The last record of an order that ended while no worker followed it: by the exchange's `row`.

    Without one, as far as the `newest` record goes; `reason` says why there is none, other than that nobody knows.
    """
    if row is None:
        state = OrderState.FILLED if newest.cum_exec_qty >= newest.qty else OrderState.CANCELLED
        why = f"{UNSEEN}; the exchange does not tell how any more"
        if newest.state in (OrderState.PENDING, OrderState.UNRESOLVED) and not newest.order_id:
            state, why = OrderState.REJECTED, "never reached the exchange, as far as it tells"
        return replace(newest, state=state, ret_code=None, reason=reason or why, exchange_ts=None)
    details = [text for text in (row.cancel_type, row.reject_reason) if text not in ("", "UNKNOWN", "EC_NoError")]
    return replace(
        newest,
        order_id=row.order_id,
        price=row.price,
        qty=row.qty,
        cum_exec_qty=row.cum_exec_qty,
        state=state_of(row.status, row.cum_exec_qty),
        ret_code=None,
        reason=": ".join([UNSEEN, *details[:1]]),
        exchange_ts=UtcMs(row.exchange_ts),
    )
