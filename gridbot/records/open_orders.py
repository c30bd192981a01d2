"""Which orders our records hold for open: the fold of all order records, as the view `open_orders` is. Pure.

The order's newest record counts. The worker takes in each record that it makes, a start those of earlier lives
(`gridbot/state/ledger_checkpoint.py`), so both know at any moment what the view will show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from gridbot.core.strict_numbers import saved_decimal
from gridbot.records.columns import ColumnKind, columns_of
from gridbot.records.record_types import OrderRecord

__all__ = ["OpenOrders", "is_over"]

OVER: Final = frozenset({"filled", "cancelled", "rejected"})
_LEFT_OUT: Final = frozenset({"ret_code", "reason", "exchange_ts"})
"""What the newest record says of how it came to be: of no use to the next one."""
_COLUMNS: Final = tuple(column for column in columns_of(OrderRecord) if column.name not in _LEFT_OUT)


def is_over(record: OrderRecord) -> bool:
    """Whether the order has ended by this record."""
    return record.state.lower() in OVER


class OpenOrders:
    """The newest record of each order that is not over, by our wire id, or the exchange's for an order without one."""

    def __init__(self) -> None:
        self._newest: dict[str, OrderRecord] = {}
        self.by_key: Mapping[str, OrderRecord] = MappingProxyType(self._newest)

    def take(self, record: OrderRecord) -> None:
        """Take in the next record. On the hot path."""
        key = record.order_link_id or record.order_id
        if record.state.lower() in OVER:
            self._newest.pop(key, None)
        else:
            self._newest[key] = record

    def to_rows(self) -> list[dict[str, Any]]:
        """What a JSON document keeps of them."""
        return [{column.name: _plain(getattr(record, column.name)) for column in _COLUMNS} for record in self]

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
