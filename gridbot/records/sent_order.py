"""The record of an order whose create request leaves, written before there is a record. Pure.

This one stands between a price and its request, so it is made from a text per strategy and leg in which all but five
figures is written already. Making and encoding an `OrderRecord` takes several times as long. Byte for byte it is what
the codec makes of that record (`tests/records/test_sent_order.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import orjson

from gridbot.core import Direction, Side
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.records.columns import columns_of
from gridbot.records.record_types import OrderRecord

__all__ = ["SentOrders"]

_FIGURES: Final = {"order_link_id": '"%s"', "price": '"%s"', "qty": '"%s"', "reduce_only": "%s", "attempt": "%d"}
"""What differs from order to order, in the order of the columns: ids of ours and numbers, which need no escapes."""
_PENDING: Final = OrderState.PENDING


class SentOrders:
    """One per strategy."""

    def __init__(self, strategy: str, symbol: str) -> None:
        self._strategy = strategy
        self._symbol = symbol
        self._templates: dict[tuple[Direction, Side], str] = {}

    def data(self, order: TrackedOrder) -> bytes | None:
        """The JSON of the record of an order that is being sent.

        None for one of which the exchange has told something already: that has more to say than fits here.
        """
        if order.order_id or order.cum_exec_qty or order.state is not _PENDING:
            return None
        leg = order.direction, order.side
        template = self._templates.get(leg) or self._made(*leg)
        closes = "true" if order.reduce_only else "false"
        return (template % (order.link_id, order.price, order.qty, closes, order.attempt)).encode()

    def _made(self, direction: Direction, side: Side) -> str:
        sample = OrderRecord(
            strategy=self._strategy,
            symbol=self._symbol,
            order_link_id="",
            order_id="",
            direction=direction,
            side=side,
            price=Decimal(0),
            qty=Decimal(0),
            cum_exec_qty=Decimal(0),
            reduce_only=False,
            state=_PENDING,
        )
        parts = [f'"{column.name}":{_part(sample, column.name)}' for column in columns_of(OrderRecord)]
        template = self._templates[direction, side] = "{" + ",".join(parts) + "}"
        return template


def _part(sample: OrderRecord, name: str) -> str:
    if name in _FIGURES:
        return _FIGURES[name]
    return orjson.dumps(getattr(sample, name), default=Decimal.__str__).decode().replace("%", "%%")
