"""What an account lists of the past: closed orders, executions, closed profit and loss. Pure.

Rows that never change again are kept as text (`row_cells`), the older ones compressed (`packed_rows`), and become
objects for as long as somebody looks at them. The same text goes into journal and state file. The newest `keep` rows
stay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gridbot.paper.accounts.bookings import ClosedPnl
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.packed_rows import KeyIndex, PackedRows, Texts, key_hash
from gridbot.paper.accounts.row_cells import CLOSED_PNL, EXECUTIONS, ORDERS, ExecutionCells

__all__ = ["ClosedOrders", "ClosedPnlRows", "Executions"]


def _text(cells: list[Any]) -> bytes:
    """Text of just its length: orjson's own bytes keep the 4 kB that they were written into."""
    return bytes(memoryview(orjson.dumps(cells, default=str)))


class Executions:
    """Executions of an account, in the order of their numbers."""

    def __init__(self, keep: int) -> None:
        self._rows = PackedRows(keep, columns=2)
        self._numbers, self._times = self._rows.columns

    def append(self, execution: Execution) -> bytes:
        """Add the newest one; return its text."""
        packed = _text(EXECUTIONS.cells(execution))
        self._rows.append(packed, execution.number, execution.time_ms)
        self._rows.forget()
        return packed

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Execution:
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {index}")
        return _execution(self._rows.texts()[(self._rows.first if index >= 0 else self._rows.end) + index])

    def __iter__(self) -> Iterator[Execution]:
        return map(_execution, self._rows.texts())

    def copy(self) -> Texts:
        """Their texts as they are now, the oldest first."""
        return self._rows.copy()

    def newest_first(
        self, below: int | None = None, start_ms: int = 0, end_ms: int | None = None, mention: str = ""
    ) -> Iterator[Execution]:
        """Executions with a number below one, of a time, whose text has `mention` in it."""
        return map(_execution, self._newest_first(below, start_ms, end_ms, mention))

    def newest_cells(
        self, below: int | None = None, start_ms: int = 0, end_ms: int | None = None
    ) -> Iterator[ExecutionCells]:
        """The same as cells, for long listings."""
        return (ExecutionCells(*orjson.loads(packed)) for packed in self._newest_first(below, start_ms, end_ms, ""))

    def _newest_first(self, below: int | None, start_ms: int, end_ms: int | None, mention: str) -> Iterator[bytes]:
        text, texts, rows = mention.encode(), self._rows.texts(), self._rows
        base, oldest = rows.base, rows.first - rows.base
        newest = len(self._numbers) if below is None else bisect_left(self._numbers, below, oldest)
        for at in range(newest - 1, oldest - 1, -1):
            time_ms = self._times[at]
            if time_ms >= start_ms and (end_ms is None or time_ms <= end_ms):
                packed = texts[base + at]
                if text in packed:
                    yield packed


def _execution(packed: bytes) -> Execution:
    return EXECUTIONS.row(orjson.loads(packed))


class ClosedOrders(Mapping[str, Order]):
    """Closed orders by id, in the order in which they were closed. Each look-up makes an order of its own."""

    def __init__(self, keep: int) -> None:
        self._rows = PackedRows(keep, columns=3)
        self._numbers, self._id_hashes, self._link_hashes = self._rows.columns
        self._ids, self._links = KeyIndex(), KeyIndex()

    def put(self, order: Order) -> None:
        """Add the newest one; one that is there already keeps its place."""
        packed, rows = _text(ORDERS.cells(order)), self._rows
        id_hash, link_hash = key_hash(order.order_id), key_hash(order.link_id)
        there = self._place(order.order_id)
        if there is not None:
            rows.replace(there, packed)
            return
        gone = rows.append(packed, order.number, id_hash, link_hash)
        self._ids.add(id_hash, rows.end - 1)
        self._links.add(link_hash, rows.end - 1)
        if gone is not None:
            self._ids.remove(self._id_hashes[gone - rows.base], gone)
            self._links.remove(self._link_hashes[gone - rows.base], gone)
            rows.forget()

    def of_link(self, link_id: str) -> Order | None:
        """The newest order with this link id."""
        for place in self._links.newest_first(key_hash(link_id)):  # mostly none: each order that is placed asks
            order = _order(self._rows.texts()[place])
            if order.link_id == link_id:
                return order
        return None

    def __getitem__(self, order_id: str) -> Order:
        place = self._place(order_id)
        if place is None:
            raise KeyError(order_id)
        return _order(self._rows.texts()[place])

    def __iter__(self) -> Iterator[str]:
        return (_order(packed).order_id for packed in self._rows.texts())

    def __len__(self) -> int:
        return len(self._rows)

    def copy(self) -> Texts:
        """Their texts as they are now, the one that was closed first first."""
        return self._rows.copy()

    def highest_first(self, below: int | None = None, mention: str = "", last: int | None = None) -> Iterator[Order]:
        """Orders by number, those below one whose text has `mention` in it; of the `last` closed ones, or of all."""
        text, texts, rows = mention.encode(), self._rows.texts(), self._rows
        oldest = max(rows.first, rows.end - last if last else 0)
        numbered = [(number, oldest + at) for at, number in enumerate(self._numbers[oldest - rows.base :])]
        numbered.sort(reverse=True)
        found = (texts[place] for number, place in numbered if below is None or number < below)
        return (_order(packed) for packed in found if text in packed)

    def _place(self, order_id: str) -> int | None:
        texts, mark = self._rows.texts(), b',"%b",' % order_id.encode()
        for place in self._ids.newest_first(key_hash(order_id)):
            packed = texts[place]
            if packed.startswith(mark, packed.index(b",")):
                return place
        return None


def _order(packed: bytes) -> Order:
    return ORDERS.row(orjson.loads(packed))


class ClosedPnlRows(Mapping[str, ClosedPnl]):
    """Rows of closed profit and loss by order id, in the order of first fills. Those of open orders still grow."""

    def __init__(self, keep: int) -> None:
        self._rows = PackedRows(keep, columns=2)
        self._numbers, self._id_hashes = self._rows.columns
        self._ids = KeyIndex()
        self._growing: dict[int, ClosedPnl] = {}

    def add(self, row: ClosedPnl) -> None:
        """Add the newest one; it grows until `finish`."""
        rows, hashed = self._rows, key_hash(row.order.order_id)
        gone = rows.append(b"", row.number, hashed)
        self._growing[rows.end - 1] = row
        self._ids.add(hashed, rows.end - 1)
        if gone is not None:
            self._growing.pop(gone, None)
            self._ids.remove(self._id_hashes[gone - rows.base], gone)
            rows.forget()

    def finish(self, order: Order) -> None:
        """An order is closed: so is its row, if it has one."""
        place = self._place(order.order_id)
        if place is not None and place in self._growing:
            self._rows.replace(place, _text(CLOSED_PNL.cells(self._growing.pop(place))))

    def differs(self, order: Order) -> None:
        """A closed order is not what it was: its row shows that, if it has one."""
        place = self._place(order.order_id)
        if place is not None and place not in self._growing:
            row = self._row(self._rows.texts(), place)
            row.order = order
            self._rows.replace(place, _text(CLOSED_PNL.cells(row)))

    def __getitem__(self, order_id: str) -> ClosedPnl:
        place = self._place(order_id)
        if place is None:
            raise KeyError(order_id)
        return self._row(self._rows.texts(), place)

    def __iter__(self) -> Iterator[str]:
        texts = self._rows.texts()
        return (self._row(texts, place).order.order_id for place in range(self._rows.first, self._rows.end))

    def __len__(self) -> int:
        return len(self._rows)

    def newest_first(self, below: int | None = None) -> Iterator[ClosedPnl]:
        """Rows with a number below one."""
        rows, texts = self._rows, self._rows.texts()
        oldest = rows.first - rows.base
        newest = len(self._numbers) if below is None else bisect_left(self._numbers, below, oldest)
        return (self._row(texts, rows.base + at) for at in range(newest - 1, oldest - 1, -1))

    def copy(self) -> Texts:
        """Their texts, as they are now."""
        return self._rows.copy({place: _text(CLOSED_PNL.cells(row)) for place, row in self._growing.items()})

    def _place(self, order_id: str) -> int | None:
        texts = self._rows.texts()
        for place in self._ids.newest_first(key_hash(order_id)):
            if self._row(texts, place).order.order_id == order_id:
                return place
        return None

    def _row(self, texts: Texts, place: int) -> ClosedPnl:
        growing = self._growing.get(place)
        return CLOSED_PNL.row(orjson.loads(texts[place])) if growing is None else growing
