"""An account whose ladder rests, its reconciler, and queries that answer as told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.listing import Listing, Unreadable
from gridbot.exchange.notices import Notices
from gridbot.exchange.requests import Transaction
from gridbot.orders.order import TrackedOrder
from gridbot.worker.reconciler import Reconciler
from tests.execution.support import settle
from tests.worker.account_bench import SYMBOL, AccountBench, position, ticker, wallet

D = Decimal
BUSY = make_error("busy", ErrorKind.RETRY)


@dataclass
class FakeQueries:
    """Answers as told, and notes what was asked. `on_asked` is called before each answer."""

    asked: list[str] = field(default_factory=list)
    asked_from: list[int] = field(default_factory=list)
    listed_executions: list[ExecutionEvent] = field(default_factory=list)
    executions_by_order: dict[str, list[ExecutionEvent]] = field(default_factory=dict)
    listed_orders: list[OrderUpdateEvent] = field(default_factory=list)
    listed_positions: list[PositionEvent] = field(
        default_factory=lambda: [position(direction, "0", None) for direction in Direction]
    )
    unreadable: list[Unreadable] = field(default_factory=list)
    """Rows of the list of open orders."""
    found: dict[str, OrderUpdateEvent] = field(default_factory=dict)
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    on_asked: dict[str, Callable[[], None]] = field(default_factory=dict)

    def _note(self, what: str) -> None:
        self.asked.append(what)
        self.on_asked.get(what, lambda: None)()
        failures = self.failures.get(what)
        if failures:
            raise failures.pop(0)

    async def notices(self, *, max_age_s: float = 0.0) -> Notices:
        self._note("notices")
        return Notices()

    async def executions(self, start_ms: int, **_: object) -> Listing[ExecutionEvent]:
        self.asked_from.append(start_ms)
        self._note("executions")
        return Listing(row for row in self.listed_executions if row.exchange_ts >= start_ms)

    async def executions_of(self, symbol: str, *, order_link_id: str, order_id: str) -> list[ExecutionEvent]:
        self._note("executions of an order")
        return self.executions_by_order.get(order_link_id, [])

    async def open_orders(self) -> Listing[OrderUpdateEvent]:
        self._note("open orders")
        return Listing(self.listed_orders, self.unreadable)

    async def positions(self, symbol: str) -> Listing[PositionEvent]:
        self._note("positions")
        return Listing(self.listed_positions)

    async def wallet(self) -> WalletEvent:
        self._note("wallet")
        return wallet(ts=99)

    async def find_order(self, symbol: str, *, order_link_id: str, order_id: str) -> OrderUpdateEvent | None:
        self._note("order")
        return self.found.get(order_link_id)

    async def transactions(self, start_ms: int, end_ms: int) -> Listing[Transaction]:
        self._note("transaction log")
        return Listing()

    clock_offset_ms = 0

    async def server_time_ms(self, *, max_age_s: float = 0.0) -> int:
        self._note("clock")
        return 0


class Bench:
    """An account whose ladder rests, and whose exchange is `queries`."""

    def __init__(self) -> None:
        self.account = AccountBench()
        self.account.start()
        self.queries = FakeQueries()
        self.wallets: list[str] = []
        self.reconciler = Reconciler(
            self.queries,  # type: ignore[arg-type]
            {SYMBOL: self.account.runner},
            self.account.context,
            on_wallet=lambda event, source: self.wallets.append(source),
        )

    def made_anew(self) -> Reconciler:
        """Another one on the same ledger and book."""
        return Reconciler(
            self.queries,  # type: ignore[arg-type]
            {SYMBOL: self.account.runner},
            self.account.context,
            on_wallet=lambda event, source: None,
        )

    async def place(self) -> list[TrackedOrder]:
        """The first ladder, acknowledged and open, long enough ago to be listed."""
        account = self.account
        account.runner.on_ticker(ticker())
        await settle()
        for order in account.orders:
            account.runner.on_order_update(account.update(order, OrderStatus.NEW))
            order.sent_ms = 0
        self.queries.listed_orders = [account.update(order, OrderStatus.NEW) for order in account.orders]
        return account.orders
