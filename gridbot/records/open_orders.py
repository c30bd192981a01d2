"""Which orders our records hold for open: the fold of all order records, as the view `open_orders` is. Pure.

The order's newest record counts. The worker takes in each record that it makes, a start those of earlier lives
(`gridbot/state/ledger_checkpoint.py`), so both know at any moment what the view will show.
"""

from __future__ import annotations

from collections import ChainMap, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from gridbot.core.strict_numbers import saved_decimal
from gridbot.orders.ids import has_layout
from gridbot.records.columns import ColumnKind, columns_of
from gridbot.records.record_types import OrderRecord

__all__ = ["ADOPTED_KEPT", "OpenOrders", "is_over"]

OVER: Final = frozenset({"filled", "cancelled", "rejected"})
ADOPTED_KEPT: Final = 500
"""Adopted orders that have ended and are still known: as many as a book keeps of those that have."""
_LEFT_OUT: Final = frozenset({"ret_code", "reason", "exchange_ts"})
"""What the newest record says of how it came to be: of no use to the next one."""
_COLUMNS: Final = tuple(column for column in columns_of(OrderRecord) if column.name not in _LEFT_OUT)


def is_over(record: OrderRecord) -> bool:
    """Whether the order has ended by this record."""
    return record.state.lower() in OVER


class OpenOrders:
    """The newest record of each order that is not over, by our wire id, or the exchange's for an order without one.

    Of the orders that were adopted from another program the last ones are remembered when they are over as well: their
    ids do not say that they are ours, and a fill of one may be read late.
    """

    def __init__(self) -> None:
        self._newest: dict[str, OrderRecord] = {}
        self._ended: OrderedDict[str, OrderRecord] = OrderedDict()
        self.by_key: Mapping[str, OrderRecord] = MappingProxyType(self._newest)
        self.known: Mapping[str, OrderRecord] = ChainMap(self._newest, self._ended)
        """Those that are open, and adopted ones that have ended."""

    def take(self, record: OrderRecord) -> None:
        """Take in the next record. On the hot path."""
        key = record.order_link_id or record.order_id
        if record.state.lower() in OVER:
            self._newest.pop(key, None)
            if not has_layout(key):  # also of the layout before, which the original bot's ids have
                self._ended[key] = record
                if len(self._ended) > ADOPTED_KEPT:
                    self._ended.popitem(last=False)
        else:
            self._newest[key] = record
            if self._ended:
                self._ended.pop(key, None)

    def to_rows(self) -> list[dict[str, Any]]:
        """What a JSON document keeps of them."""
        kept = (*self._ended.values(), *self)
        return [{column.name: _plain(getattr(record, column.name)) for column in _COLUMNS} for record in kept]

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Begin with what a document has. Raises KeyError, TypeError, ValueError or ArithmeticError else."""
        for row in rows:
            values: dict[str, Any] = {
                column.name: saved_decimal(row[column.name]) if column.kind is ColumnKind.DECIMAL else row[column.name]
                for column in _COLUMNS
            }
            self.take(OrderRecord(**values))

    def missed(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Hold for open what a database holds for open and these do not: the next listing shows whether it has ended.

        Returns how many rows there are, known ones too. Raises ValueError for rows that are none, and takes none then.
        """
        found = OpenOrders()
        try:
            found.restore(rows)
        except (KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"expected rows of open_orders, got {rows!r:.200} ({error!r})") from None
        for key, record in found.by_key.items():
            self._newest.setdefault(key, record)
        return len(found)

    def __iter__(self) -> Iterator[OrderRecord]:
        return iter(list(self._newest.values()))

    def __len__(self) -> int:
        return len(self._newest)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value
