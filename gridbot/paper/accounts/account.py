"""One account's ledger: wallet, legs, open and closed orders. Pure.

Money is exact: a leg keeps its cost (not a rounded average), fees and released cost are rounded once to 1e-8 USDT, and
each of them moves the wallet by exactly the amount that is recorded. So at any time
`wallet = deposit + realised - fees + funding + insurance`, to the last digit; insurance is paid only in a liquidation.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.exchange_order import Execution, Order

__all__ = ["Account", "ClosedPnl", "Leg", "LegChange", "Transfer", "rounded"]

ZERO = Decimal(0)
UNIT = Decimal("0.00000001")
KEEP_ORDERS = 20_000
KEEP_EXECUTIONS = 50_000


def rounded(amount: Decimal) -> Decimal:
    """To the exchange's money unit, 1e-8 USDT."""
    return amount.quantize(UNIT, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class LegChange:
    """What a fill did to a leg: quantity closed, profit of it before fees, its cost and its share of opening fees."""

    closed: Decimal = ZERO
    realised: Decimal = ZERO
    released_cost: Decimal = ZERO
    released_fee: Decimal = ZERO


@dataclass(slots=True)
class Leg:
    """One row of `position/list`. `size` is absolute; `direction` tells the sign and changes only in one-way mode.

    `cost` is what the present size cost in USDT, `open_fees` what was paid to open it. `current_realised` is for the
    present holding, `total_realised` for all time; both are net of fees.
    """

    symbol: str
    position_idx: int
    direction: Direction
    created_ms: int
    size: Decimal = ZERO
    cost: Decimal = ZERO
    open_fees: Decimal = ZERO
    current_realised: Decimal = ZERO
    total_realised: Decimal = ZERO
    seq: int = -1
    opened_ms: int = 0
    updated_ms: int = 0
    status: str = "Normal"
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None

    @property
    def signed_size(self) -> Decimal:
        """Size, negative for a short."""
        return self.size if self.direction is Direction.LONG else -self.size

    @property
    def entry(self) -> Decimal:
        """Average entry price, 0 when flat."""
        return self.cost / self.size if self.size else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        value = self.size * mark
        return value - self.cost if self.direction is Direction.LONG else self.cost - value

    def apply(self, side: Side, qty: Decimal, price: Decimal, fee: Decimal, now_ms: int, seq: int) -> LegChange:
        """Book a fill. A leg of a hedge pair is never turned around; a one-way leg may be."""
        change = LegChange()
        closing = min(qty, self.size) if side is self.direction.close_side else ZERO
        if closing:
            change = self._close(closing, price)
        opening = qty - closing
        self.current_realised += change.realised
        self.total_realised += change.realised - fee
        if opening:
            if self.position_idx == 0 and not self.size:
                self.direction = Direction.LONG if side is Side.BUY else Direction.SHORT
            elif side is self.direction.close_side:
                raise ValueError(f"{self.symbol} {self.direction}: expected to close at most {closing}, got {qty}")
            if not self.size:
                self.opened_ms = now_ms
                self.current_realised = ZERO
            open_fee = rounded(fee * opening / qty)
            self.size += opening
            self.cost += opening * price
            self.open_fees += open_fee
        self.current_realised -= fee
        if not self.size:
            self.current_realised = ZERO
            self.opened_ms = 0
        self.seq = seq
        self.updated_ms = now_ms
        return change

    def pay_funding(self, payment: Decimal, now_ms: int, seq: int) -> None:
        self.current_realised -= payment
        self.total_realised -= payment
        self.seq = seq
        self.updated_ms = now_ms

    def _close(self, qty: Decimal, price: Decimal) -> LegChange:
        whole = qty == self.size
        cost = self.cost if whole else rounded(self.cost * qty / self.size)
        fees = self.open_fees if whole else rounded(self.open_fees * qty / self.size)
        self.size -= qty
        self.cost -= cost
        self.open_fees -= fees
        value = qty * price
        realised = value - cost if self.direction is Direction.LONG else cost - value
        return LegChange(qty, realised, cost, fees)


@dataclass(frozen=True, slots=True)
class Transfer:
    """USDT that came into the wallet other than by an execution; `kind` as the transaction log calls it."""

    number: int
    time_ms: int
    kind: str
    change: Decimal
    wallet: Decimal


@dataclass(slots=True)
class ClosedPnl:
    """One row of `position/closed-pnl`: a closing order, growing with its fills."""

    number: int
    order: Order
    leverage: Decimal
    created_ms: int
    updated_ms: int
    exec_type: str = "Trade"
    closed_size: Decimal = ZERO
    entry_value: Decimal = ZERO
    exit_value: Decimal = ZERO
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    realised: Decimal = ZERO
    fill_count: int = 0

    @property
    def net(self) -> Decimal:
        return self.realised - self.open_fee - self.close_fee


class Account:
    """State of one account. The exchange changes it; views read it."""

    def __init__(self, name: str, uid: int, api_key: str, api_secret: str, balance: Decimal) -> None:
        self.name = name
        self.uid = uid
        self.api_key = api_key
        self.api_secret = api_secret
        self.ips: tuple[str, ...] = ()
        self.rsa_public_key = ""
        self.deposit = balance
        self.wallet = balance
        self.realised = ZERO
        self.fees = ZERO
        self.funding = ZERO
        self.insurance = ZERO
        self.order_margin = ZERO
        self.reprice = True
        self.legs: dict[tuple[str, int], Leg] = {}
        self.leverage: dict[str, Decimal] = {}
        self.hedge: dict[str, bool] = {}
        self.open: dict[str, Order] = {}
        self.open_by_symbol: dict[str, dict[str, Order]] = {}
        self.closed: OrderedDict[str, Order] = OrderedDict()
        self.by_link: OrderedDict[str, Order] = OrderedDict()
        self.executions: deque[Execution] = deque(maxlen=KEEP_EXECUTIONS)
        self.transfers: list[Transfer] = []
        self.closed_pnl: OrderedDict[str, ClosedPnl] = OrderedDict()
        self.dcp_window_s: int | None = None
        self.cached_from = 0  # closed orders with a smaller number have left the cache of order/realtime
        self.listening: set[str] = set()

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

    def reserve(self, order: Order, amount: Decimal) -> None:
        """Set the margin that an open order locks."""
        self.order_margin += amount - order.reserved
        order.reserved = amount

    def add_open(self, order: Order) -> None:
        self.open[order.order_id] = order
        self.open_by_symbol.setdefault(order.symbol, {})[order.order_id] = order
        if order.link_id:
            self.by_link[order.link_id] = order

    def finish(self, order: Order) -> None:
        """Move a closed order from the open ones to the history."""
        self.reserve(order, ZERO)
        if self.open.pop(order.order_id, None) is not None:
            del self.open_by_symbol[order.symbol][order.order_id]
        self.closed[order.order_id] = order
        while len(self.closed) > KEEP_ORDERS:
            _, old = self.closed.popitem(last=False)
            if self.by_link.get(old.link_id) is old:
                del self.by_link[old.link_id]

    def find(self, order_id: str, link_id: str) -> Order | None:
        """Open or kept closed order; the order id wins when both are given."""
        if order_id:
            return self.open.get(order_id) or self.closed.get(order_id)
        return self.by_link.get(link_id)

    def resting_on(self, symbol: str) -> list[Order]:
        return list(self.open_by_symbol.get(symbol, {}).values())
