"""A tiny exchange whose answers may be late, old, lost or wrong in time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, Side
from gridbot.orders.order import TrackedOrder
from tests.orders.helpers import INSTRUMENT, update

__all__ = ["HAND_SYMBOL", "HELD", "START_MS", "Exchange"]

D = Decimal
SYMBOL, HAND_SYMBOL = INSTRUMENT.symbol, "ETHUSDT"
START_MS = 10_000_000
HELD = D("0.5")
HELD_SEQ = 1
"""The exchange's number of what made the legs that are held at first."""


@dataclass
class Exchange:
    """Knows the truth. An order may be listed late, and an execution too; both at most as late as they are told."""

    now_ms: int = START_MS
    skew_ms: int = 0
    """How far its own clock, which stamps what it makes, is ahead of the true time."""
    orders: dict[str, OrderUpdateEvent] = field(default_factory=dict)
    listed_from: dict[str, int] = field(default_factory=dict)
    executions: list[tuple[ExecutionEvent, int]] = field(default_factory=list)
    past: list[tuple[int, dict[str, OrderUpdateEvent]]] = field(default_factory=list)
    made_at: dict[str, int] = field(default_factory=dict)
    """The true time at which an execution was made."""
    numbers: int = 0
    held: Decimal = HELD
    """The size of both legs before our first execution."""

    @property
    def stamp_ms(self) -> int:
        """The time by its own clock."""
        return self.now_ms + self.skew_ms

    def accept(self, order: TrackedOrder, late_ms: int) -> OrderUpdateEvent:
        row = update(order, OrderStatus.NEW, ts=self.stamp_ms, created_ts=self.stamp_ms)
        self.listed_from[order.link_id] = self.now_ms + late_ms
        return self._set(row)

    def cancel(self, link_id: str) -> OrderUpdateEvent | None:
        row = self.orders.get(link_id)
        if row is None or not row.status.is_open:
            return None
        return self._set(replace(row, status=OrderStatus.CANCELLED, exchange_ts=self.stamp_ms))

    def fill(self, link_id: str, qty: Decimal, late_ms: int) -> tuple[ExecutionEvent, OrderUpdateEvent]:
        row = self.orders[link_id]
        done = row.cum_exec_qty + qty
        status = OrderStatus.FILLED if done == row.qty else OrderStatus.PARTIALLY_FILLED
        execution = self._made(row.symbol, row.order_id, link_id, row.side, row.price, qty, row.qty - done, late_ms)
        return execution, self._set(replace(row, status=status, cum_exec_qty=done, exchange_ts=self.stamp_ms))

    def trade_by_hand(self, late_ms: int) -> ExecutionEvent:
        return self._made(HAND_SYMBOL, "by hand", "", Side.BUY, D(2500), D(1), D(0), late_ms)

    # ------------------------------------------------------------------ answers, as of a time

    def listing(self, at_ms: int) -> list[OrderUpdateEvent]:
        return [row for row in self._orders_at(at_ms).values() if row.status.is_open and self._is_listed(row, at_ms)]

    def order(self, link_id: str, order_id: str, at_ms: int) -> OrderUpdateEvent | None:
        for row in self._orders_at(at_ms).values():
            if (row.order_id == order_id if order_id else row.order_link_id == link_id) and self._is_listed(row, at_ms):
                return row
        return None

    def closed(self, at_ms: int) -> list[OrderUpdateEvent]:
        return [
            row for row in self._orders_at(at_ms).values() if not row.status.is_open and self._is_listed(row, at_ms)
        ]

    def executions_since(self, from_ms: int, at_ms: int) -> list[ExecutionEvent]:
        """A page may repeat rows of the page before."""
        rows = [row for row, seen_ms in self.executions if from_ms <= row.exchange_ts and seen_ms <= at_ms]
        return [*rows, *rows[-2:]]

    def executions_of(self, link_id: str, at_ms: int) -> list[ExecutionEvent]:
        return [row for row in self.executions_since(0, at_ms) if row.order_link_id == link_id]

    def positions(self, at_ms: int) -> list[PositionEvent]:
        legs = []
        for direction in Direction:
            side = direction.open_side
            made = [
                r
                for r, _ in self.executions
                if r.symbol == SYMBOL and r.side is side and self.made_at[r.exec_id] <= at_ms
            ]
            size = self.held + sum((r.qty for r in made), D(0))
            value = self.held * 100 + sum((r.qty * r.price for r in made), D(0))
            seq, since_ms = (made[-1].seq, made[-1].exchange_ts) if made else (HELD_SEQ if self.held else -1, START_MS)
            entry = value / size if size else None
            legs.append(PositionEvent(SYMBOL, direction, size, entry, seq=seq, exchange_ts=since_ms))
        return legs

    # ------------------------------------------------------------------ inside

    def _set(self, row: OrderUpdateEvent) -> OrderUpdateEvent:
        self.past.append((self.now_ms, dict(self.orders)))
        self.orders[row.order_link_id] = row
        return row

    def _orders_at(self, at_ms: int) -> dict[str, OrderUpdateEvent]:
        return next((orders for changed_ms, orders in self.past if at_ms < changed_ms), self.orders)

    def _is_listed(self, row: OrderUpdateEvent, at_ms: int) -> bool:
        return self.listed_from[row.order_link_id] <= at_ms

    def _made(
        self,
        symbol: str,
        order_id: str,
        link_id: str,
        side: Side,
        price: Decimal,
        qty: Decimal,
        left: Decimal,
        late: int,
    ) -> ExecutionEvent:
        self.numbers += 1
        made = ExecutionEvent(
            symbol,
            f"e{self.numbers}",
            order_id,
            link_id,
            side,
            price,
            qty,
            left,
            exchange_ts=self.stamp_ms,
            seq=HELD_SEQ + self.numbers,
        )
        self.made_at[made.exec_id] = self.now_ms
        self.executions.append((made, self.now_ms + late))
        return made
