"""A close of flattening as a request, and its records. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.exchange.failures import ExchangeError, Outcome
from gridbot.exchange.requests import OrderAck, OrderRequest, Taking
from gridbot.flatten.flatten_words import Close
from gridbot.orders.ids import Owner, wire_id
from gridbot.orders.order import OrderState
from gridbot.records.record_types import OrderRecord

__all__ = ["ended", "request_for", "sending", "taking_of"]

ZERO = Decimal(0)
SENDING = "flatten: a close that ends at once"


def taking_of(close: Close) -> Taking:
    """How a close takes."""
    if close.price is not None:
        return Taking.LIMIT
    return Taking.MARKET if close.qty else Taking.WHOLE


def request_for(close: Close, owner: Owner, *, reference: Decimal, leg_size: Decimal, generation: int) -> OrderRequest:
    """The request, with an id of ours, which names no level. `reference` (USDT) is what its record has as the price
    where it has no limit."""
    link_id = wire_id(owner, close.side, close.direction, 0, generation)
    return OrderRequest(
        symbol=close.symbol,
        side=close.side,
        direction=close.direction,
        qty=close.qty or leg_size,
        price=reference,
        order_link_id=link_id,
        reduce_only=True,
        post_only=False,
        taking=taking_of(close),
        one_way=close.one_way,
    )


def sending(request: OrderRequest, strategy: str) -> OrderRecord:
    """The record that goes before the request: from then on the exchange may have it."""
    return OrderRecord(
        strategy=strategy,
        symbol=request.symbol,
        order_link_id=request.order_link_id,
        order_id="",
        direction=request.direction,
        side=request.side,
        price=request.price,
        qty=request.qty,
        cum_exec_qty=ZERO,
        reduce_only=True,
        state=OrderState.PENDING,
        attempt=1,
        reason=SENDING,
    )


def ended(request: OrderRequest, strategy: str, answer: OrderAck | ExchangeError) -> OrderRecord | None:
    """The last record of a close that the exchange has proved not to have; None for what a listing has to tell."""
    if isinstance(answer, OrderAck) or answer.outcome is not Outcome.NOT_CREATED:
        return None
    sent = sending(request, strategy)
    return replace(sent, state=OrderState.REJECTED, ret_code=answer.ret_code, reason=str(answer))
