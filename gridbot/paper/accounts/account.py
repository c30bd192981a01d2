"""One account's ledger: wallet, legs, open and closed orders. Pure.

Each amount moves the wallet by exactly what is recorded of it, so at any time
`wallet = deposit + realised - fees + funding + insurance`, to the last digit; insurance is paid only in a liquidation.
Margin of legs and orders is set aside from the wallet, never taken out of it: in isolated margin, too.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from gridbot.core.margin import LegMargin
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.bookings import ClosedPnl, Transfer
from gridbot.paper.accounts.changes import Unnoticed
from gridbot.paper.accounts.charges import Charges
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.histories import ClosedOrders, ClosedPnlRows, Executions
from gridbot.paper.accounts.leg import Leg, LegChange, rounded

__all__ = ["KEEP_CLOSED_PNL", "KEEP_EXECUTIONS", "KEEP_ORDERS", "KEEP_TRANSFERS", "Account"]

ZERO = Decimal(0)
NO_MARGIN = LegMargin(ZERO, ZERO)
NO_NOTES = Unnoticed()
# The newest of each kind, for each account: in memory and in the state file alike (docs/paper.md).
KEEP_ORDERS = 5_000
KEEP_EXECUTIONS = 20_000
KEEP_CLOSED_PNL = 5_000
KEEP_TRANSFERS = 1_000


class Account:
    """State of one account, USDT throughout. The exchange changes it; rows read it."""

    def __init__(
        self, name: str, uid: int, api_key: str, api_secret: str, balance: Decimal, *, opened_ms: int = 0
    ) -> None:
        self.name = name
        self.uid = uid
        self.api_key = api_key
        self.api_secret = api_secret
        self.opened_ms = opened_ms
        self.ips: tuple[str, ...] = ()
        self.expires_ms: int | None = None  # when its key does
        self.rsa_public_key = ""
        self.deposit = balance
        self.wallet = balance
        self.realised = ZERO
        self.fees = ZERO
        self.funding = ZERO
        self.insurance = ZERO
        self.order_margin = ZERO
        self.order_maintenance = ZERO
        self._maintenance: dict[str, Decimal] = {}  # of each open order that adds some
        self.reprice = True
        self.charges = Charges()
        self.legs: dict[tuple[str, int], Leg] = {}
        self.isolated = False
        self.mode_ms = opened_ms  # when the margin mode was last changed
        self.leverage: dict[str, Decimal] = {}
        self.sell_leverage: dict[str, Decimal] = {}  # of the short side, where it differs
        self.hedge: dict[str, bool] = {}
        self.partial_stops: set[str] = set()  # symbols whose stops are partial where a request does not say
        self.order_seqs: dict[tuple[str, int], int] = {}
        self.open: dict[str, Order] = {}
        self.open_by_symbol: dict[str, dict[str, Order]] = {}
        self.closing: dict[tuple[str, int], dict[str, Order]] = {}  # those of them that may only close, by their leg
        self.closed = ClosedOrders(KEEP_ORDERS)
        self.by_link: dict[str, str] = {}  # ids of open orders
        self.executions = Executions(KEEP_EXECUTIONS)
        self.transfers: deque[Transfer] = deque(maxlen=KEEP_TRANSFERS)
        self.closed_pnl = ClosedPnlRows(KEEP_CLOSED_PNL)
        self.dcp_window_s: int | None = None
        self.cached_from = 0  # closed orders with a smaller number have left the cache of order/realtime
        self.listening: set[str] = set()
        self.changes = NO_NOTES

    def __repr__(self) -> str:
        return f"Account({self.name!r}, uid={self.uid}, wallet={self.wallet})"

    def pay(
        self, *, realised: Decimal = ZERO, fee: Decimal = ZERO, funding: Decimal = ZERO, insurance: Decimal = ZERO
    ) -> None:
        """The only way money moves. `funding` is positive when received; `insurance` covers a loss beyond zero."""
        self.realised += realised
        self.fees += fee
        self.funding += funding
        self.insurance += insurance
        self.wallet += realised - fee + funding + insurance
        self.changes.money()

    def reserve(self, order: Order, margin: LegMargin) -> None:
        """Set the margin that an open order locks, and the maintenance margin that it adds."""
        self.order_margin += margin.initial - order.reserved
        order.reserved = margin.initial
        if margin.maintenance:
            self.order_maintenance += margin.maintenance - self._maintenance.get(order.order_id, ZERO)
            self._maintenance[order.order_id] = margin.maintenance
        else:
            self.order_maintenance -= self._maintenance.pop(order.order_id, ZERO)
        if order.order_id in self.open:  # a new one is noted when it is added
            self.changes.order(order)

    def transfer(self, number: int, kind: str, change: Decimal, now_ms: int) -> None:
        """Note an amount that has come into the wallet other than by an execution."""
        transfer = Transfer(number, now_ms, kind, change, self.wallet)
        self.transfers.append(transfer)
        self.changes.transfer(transfer)

    def leg(self, symbol: str, idx: int) -> Leg:
        """The row of a position index, made when it is first asked for."""
        leg = self.legs.get((symbol, idx))
        if leg is None:
            direction = Direction.SHORT if idx == 2 else Direction.LONG
            leg = Leg(symbol, idx, direction, self.opened_ms, updated_ms=self.opened_ms)
            self.legs[(symbol, idx)] = leg
        return leg

    def seq_of(self, leg: Leg) -> int:
        """Sequence number of a leg's row: of its last trade, or of a later change of an order; -1 before a trade."""
        return leg.seq if leg.seq < 0 else max(leg.seq, self.order_seqs.get((leg.symbol, leg.position_idx), -1))

    def held(self, symbol: str) -> tuple[Leg | None, Leg | None]:
        """(long, short) legs that hold something, whatever the mode."""
        long = short = None
        for idx in (0, 1, 2):
            leg = self.legs.get((symbol, idx))
            if leg is not None and leg.size:
                if leg.direction is Direction.LONG:
                    long = leg
                else:
                    short = leg
        return long, short

    def add_execution(self, execution: Execution) -> None:
        self.changes.execution(self.executions.append(execution))

    def book_closed_pnl(self, order: Order, change: LegChange, execution: Execution, leverage: Decimal) -> None:
        """Add what an execution closed to the row of its order."""
        row = self.closed_pnl.get(order.order_id)
        if row is None:
            now_ms = execution.time_ms
            row = ClosedPnl(execution.number, order, leverage, now_ms, now_ms, execution.exec_type)
            self.closed_pnl.add(row)
        row.updated_ms = execution.time_ms
        row.closed_size += execution.closed_size
        row.entry_value += change.released_cost
        row.exit_value += execution.closed_size * execution.price
        row.open_fee += change.released_fee
        row.close_fee += rounded(execution.cost * execution.closed_size / execution.qty)
        row.realised += execution.realised
        row.fill_count += 1
        self.changes.closed_pnl(row)

    def add_open(self, order: Order) -> None:
        self.open[order.order_id] = order
        self.open_by_symbol.setdefault(order.symbol, {})[order.order_id] = order
        if order.link_id:
            self.by_link[order.link_id] = order.order_id
        if order.closing:
            self._closes(order)
        self.changes.order(order)

    def becomes(self, order: Order, *, closing: bool) -> None:
        """Whether an open order may only close, which is decided anew when its trigger is met."""
        order.closing = closing
        if closing:
            self._closes(order)
        else:
            self.closing.get((order.symbol, order.request.position_idx), {}).pop(order.order_id, None)

    def _closes(self, order: Order) -> None:
        self.closing.setdefault((order.symbol, order.request.position_idx), {})[order.order_id] = order

    def finish(self, order: Order) -> None:
        """Move a closed order from the open ones to the history."""
        self.reserve(order, NO_MARGIN)
        if self.open.pop(order.order_id, None) is not None:
            del self.open_by_symbol[order.symbol][order.order_id]
            if order.closing:
                del self.closing[order.symbol, order.request.position_idx][order.order_id]
        if self.by_link.get(order.link_id) == order.order_id:
            del self.by_link[order.link_id]
        self.closed.put(order)
        self.closed_pnl.finish(order)
        self.changes.closed(order)

    def set_children(self, order: Order, stops: list[Order]) -> None:
        """Note which stops the fills of an order made; its last fill has closed it before."""
        order.children = tuple(stop.order_id for stop in stops)
        if order.order_id in self.closed:
            self.closed.put(order)
            self.closed_pnl.differs(order)

    def find(self, order_id: str, link_id: str) -> Order | None:
        """Open or kept closed order, the open one or the newest of several; the order id wins when both are given."""
        if order_id:
            return self.open.get(order_id) or self.closed.get(order_id)
        if link_id in self.by_link:
            return self.open[self.by_link[link_id]]
        return self.closed.of_link(link_id) if link_id else None

    def resting_on(self, symbol: str) -> list[Order]:
        return list(self.open_by_symbol.get(symbol, {}).values())
