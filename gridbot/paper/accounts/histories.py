"""What an account lists of the past: closed orders, executions, closed profit and loss. Pure.

Rows that never change again are kept as text (`row_cells`), which needs less than half the memory, and become objects
for as long as somebody looks at them. The same text goes into journal and state file. The newest `keep` rows stay.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from gridbot.paper.accounts.bookings import ClosedPnl
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.row_cells import CLOSED_PNL, EXECUTIONS, ORDERS

__all__ = ["ClosedOrders", "ClosedPnlRows", "Executions"]


def _text(cells: list[Any]) -> bytes:
    """Text of just its length: orjson's own bytes keep the 4 kB that they were written into."""
    return bytes(memoryview(orjson.dumps(cells, default=str)))


class Executions:
    """Executions of an account, in the order of their numbers."""

    def __init__(self, keep: int) -> None:
        self._numbers: deque[int] = deque(maxlen=keep)
        self._times: deque[int] = deque(maxlen=keep)
        self.packed: deque[bytes] = deque(maxlen=keep)

    def append(self, execution: Execution) -> bytes:
        """Add the newest one; return its text."""
        packed = _text(EXECUTIONS.cells(execution))
        self._numbers.append(execution.number)
        self._times.append(execution.time_ms)
        self.packed.append(packed)
        return packed

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: int) -> Execution:
        return _execution(self.packed[index])

    def __iter__(self) -> Iterator[Execution]:
        return map(_execution, self.packed)

    def newest_first(
        self, below: int | None = None, start_ms: int = 0, end_ms: int | None = None, mention: str = ""
    ) -> Iterator[Execution]:
        """Executions with a number below one, of a time, whose text has `mention` in it."""
        text = mention.encode()
        for number, time_ms, packed in zip(
            reversed(self._numbers), reversed(self._times), reversed(self.packed), strict=True
        ):
            if below is not None and number >= below:
                continue
            if time_ms >= start_ms and (end_ms is None or time_ms <= end_ms) and text in packed:
                yield _execution(packed)


def _execution(packed: bytes) -> Execution:
    return EXECUTIONS.row(orjson.loads(packed))


class ClosedOrders(Mapping[str, Order]):
    """Closed orders by id, in the order in which they were closed. Each look-up makes an order of its own."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._packed: OrderedDict[str, bytes] = OrderedDict()

    def put(self, order: Order) -> list[tuple[str, str]]:
        """Add the newest one; return (order id, link id) of those that went for it."""
        self._packed[order.order_id] = _text(ORDERS.cells(order))
        gone = []
        while len(self._packed) > self._keep:
            order_id, packed = self._packed.popitem(last=False)
            gone.append((order_id, _order(packed).link_id))
        return gone

    def __getitem__(self, order_id: str) -> Order:
        return _order(self._packed[order_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def packed(self) -> Iterable[bytes]:
        """Their texts, the one that was closed first first."""
        return self._packed.values()

    def highest_first(self, below: int | None = None, mention: str = "", last: int | None = None) -> Iterator[Order]:
        """Orders by number, those below one whose text has `mention` in it; of the `last` closed ones, or of all."""
        text, packed = mention.encode(), list(self._packed.values())
        numbered = [(int(each[1 : each.index(b",")]), each) for each in packed[-last if last else 0 :] if text in each]
        numbered.sort(reverse=True)
        return (_order(each) for number, each in numbered if below is None or number < below)


def _order(packed: bytes) -> Order:
    return ORDERS.row(orjson.loads(packed))


class ClosedPnlRows(Mapping[str, ClosedPnl]):
    """Rows of closed profit and loss by order id, in the order of first fills. Those of open orders still grow."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._rows: OrderedDict[str, ClosedPnl | bytes] = OrderedDict()

    def add(self, row: ClosedPnl) -> None:
        """Add the newest one; it grows until `finish`."""
        self._rows[row.order.order_id] = row
        while len(self._rows) > self._keep:
            self._rows.popitem(last=False)

    def finish(self, order: Order) -> None:
        """An order is closed: so is its row, if it has one."""
        row = self._rows.get(order.order_id)
        if isinstance(row, ClosedPnl):
            self._rows[order.order_id] = _text(CLOSED_PNL.cells(row))

    def __getitem__(self, order_id: str) -> ClosedPnl:
        row = self._rows[order_id]
        return CLOSED_PNL.row(orjson.loads(row)) if isinstance(row, bytes) else row

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def newest_first(self, below: int | None = None) -> Iterator[ClosedPnl]:
        """Rows with a number below one."""
        for row in reversed(self._rows.values()):
            if not isinstance(row, bytes):
                if below is None or row.number < below:
                    yield row
            elif below is None or int(row[1 : row.index(b",")]) < below:
                yield CLOSED_PNL.row(orjson.loads(row))

    @property
    def packed(self) -> list[bytes]:
        """Their texts, as they are now."""
        return [row if isinstance(row, bytes) else _text(CLOSED_PNL.cells(row)) for row in self._rows.values()]
