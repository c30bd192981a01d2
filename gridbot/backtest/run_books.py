"""The account at the exchange of a backtest: of the past it lists the newest orders and executions, as they are.

The paper exchange packs them into text, as it keeps tens of thousands and writes them into its state file. Here nobody
writes them, and only what the worker misses is ever asked for: by the id of an order, soon after its end. Its records
have everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, cast

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.bookings import Transfer
from gridbot.paper.accounts.changes import Unnoticed
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.histories import ClosedOrders, ClosedPnlRows, Executions
from gridbot.paper.accounts.leg import Leg, LegChange

__all__ = ["ChangeCount", "NewestExecutions", "NewestOrders", "RunBooks"]

KEEP: Final = 2_000


class NewestExecutions:
    """The newest executions, as `Executions` lists them."""

    def __init__(self, keep: int) -> None:
        self._rows: deque[Execution] = deque(maxlen=keep)

    def append(self, execution: Execution) -> bytes:
        """Add the newest one. No text of it is made."""
        self._rows.append(execution)
        return b""

    def __len__(self) -> int:
        return len(self._rows)

    def newest_first(
        self, below: int | None = None, start_ms: int = 0, end_ms: int | None = None, mention: str = ""
    ) -> Iterator[Execution]:
        """Executions with a number below one, of a time, that are of a symbol, an order, or a type (`mention`)."""
        return (
            each
            for each in reversed(self._rows)
            if (below is None or each.number < below)
            and each.time_ms >= start_ms
            and (end_ms is None or each.time_ms <= end_ms)
            and (not mention or mention in (each.symbol, each.order_id, each.order_link_id, each.exec_type))
        )


class NewestOrders:
    """The newest closed orders by id, as `ClosedOrders` has them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._rows: dict[str, Order] = {}
        self._links: dict[str, Order] = {}

    def put(self, order: Order) -> None:
        """Add the newest one; one that is there already keeps its place."""
        rows, links = self._rows, self._links
        rows[order.order_id] = order
        if link := order.request.order_link_id:
            links[link] = order
        if len(rows) > self._keep:
            gone = rows.pop(next(iter(rows)))
            if links.get(gone.link_id) is gone:
                del links[gone.link_id]

    def of_link(self, link_id: str) -> Order | None:
        """The newest order with this link id."""
        return self._links.get(link_id)

    def get(self, order_id: str) -> Order | None:
        """An order by its id; None for one that is not kept."""
        return self._rows.get(order_id)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def highest_first(self, below: int | None = None, mention: str = "", last: int | None = None) -> Iterator[Order]:
        """Orders by number, those below one, of a symbol (`mention`); of the `last` closed ones, or of all."""
        newest = list(self._rows.values())[-last if last else 0 :]
        newest.sort(key=lambda order: order.number, reverse=True)
        return (
            order
            for order in newest
            if (below is None or order.number < below) and (not mention or mention == order.symbol)
        )


class ChangeCount(Unnoticed):
    """Counts whatever may make the account's figures others, as it is noted for a state file where there is one."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def order(self, order: Order) -> None:
        self.count += 1

    def closed(self, order: Order) -> None:
        self.count += 1

    def leg(self, leg: Leg) -> None:
        self.count += 1

    def transfer(self, transfer: Transfer) -> None:
        self.count += 1

    def money(self) -> None:
        self.count += 1

    def settings(self) -> None:
        self.count += 1


class RunBooks(Account):
    """As the paper exchange's account, without rows of closed profit and loss, which nobody reads here."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.closed = cast(ClosedOrders, NewestOrders(KEEP))
        self.executions = cast(Executions, NewestExecutions(KEEP))
        self.closed_pnl = cast(ClosedPnlRows, _NoRows())

    def book_closed_pnl(self, order: Order, change: LegChange, execution: Execution, leverage: Decimal) -> None:
        """Nobody reads them."""


class _NoRows:
    """Rows that nobody reads."""

    def finish(self, order: Order) -> None:
        """An order is closed."""

    def differs(self, order: Order) -> None:
        """A closed order is not what it was."""
