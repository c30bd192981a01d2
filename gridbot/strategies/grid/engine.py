"""Events in, intents out: the decisions of one strategy (docs/strategy.md 2).

`GridEngine.on_event` is pure but for the engine's own memory: no I/O, no clock, no logging. What it remembers is the
last price, the grid, and one answer with the prices at which it stays the same.

The known interval. With the grid and the orders fixed, the answer to a price changes only where the price leaves the
grid, or where a level without an order becomes eligible or stops being so. Between the nearest of those thresholds the
engine gives the same answer again (the same object) after comparing the price with two bounds, without looking at an
order and without allocating anything. The bounds are whole ticks, both included, rounded inwards. They are forgotten
when the grid changes, and hold only for the same `LimitOrders` with the same `version`. While the known answer is
empty the interval is *quiet* and can be asked for; intents that were refused come again with every tick instead.

Order of evaluation on a ticker: the grid first (build, rebuild, kept fills), then the long leg completely, then the
short leg completely. A leg with too many orders rebuilds the grid at its turn: when it is the short leg, the long leg
has already been decided with the grid before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from gridbot.core.events import Event, ExecType, ExecutionEvent, TickerEvent
from gridbot.core.exact import ceil_div
from gridbot.core.instrument import Instrument
from gridbot.core.intents import CancelIntent, Intent, LimitOrder, LimitOrders, PlaceLimitIntent, client_order_id
from gridbot.core.vocabulary import Direction, Side
from gridbot.strategies.grid.ladder import Grid, GridConfig
from gridbot.strategies.grid.plan import Plan
from gridbot.strategies.grid.state import GridState

__all__ = ["GridEngine"]

SPARE_ORDERS = 10
"""More orders than levels plus this on one leg mean that something went wrong: start over."""

_NOTHING: tuple[Intent, ...] = ()
_IDS_KEPT = 10_000
_DIRECTIONS = (Direction.LONG, Direction.SHORT)

OrdersView = LimitOrders | Mapping[str, Sequence[LimitOrder]]


class GridEngine:
    """Decisions of one strategy on one symbol.

    `anchor_price` (USDT) seeds the first build instead of the market price. `restored` is a saved state: its grid is
    taken back if it fits, else its anchor seeds the build, and `restore_note` says why.
    """

    def __init__(
        self,
        symbol: str,
        instrument: Instrument,
        config: GridConfig,
        strat_id: str,
        anchor_price: Decimal | None = None,
        restored: GridState | None = None,
    ) -> None:
        self.symbol = symbol
        self.instrument = instrument
        self.config = config
        self.strat_id = strat_id
        self.last_price: Decimal | None = None
        self.state_version = 0
        self.restore_note = ""
        self._seed = anchor_price
        self._plan: Plan | None = None
        self._pending: list[Decimal] = []
        self._changed_ts = 0
        self._ids: dict[tuple[Side, int, Direction], str] = {}
        self._known_orders: LimitOrders | None = None
        self._known_version = 0
        self._known_low = Decimal(0)
        self._known_high = Decimal(0)
        self._known_answer: Sequence[Intent] = _NOTHING
        # A Buy at L (ticks) is eligible if C·(200 − step) > 200·L, a Sell if C·(200 + step) < 200·L. In whole numbers:
        # L < C·_buy_factor/_divisor and L > C·_sell_factor/_divisor, with C in USDT.
        step, scale = config.grid_step.as_integer_ratio()
        tick, tick_scale = instrument.tick_size.as_integer_ratio()
        self._whole = 200 * scale
        self._step = step
        self._buy_factor = (self._whole - step) * tick_scale
        self._sell_factor = (self._whole + step) * tick_scale
        self._divisor = self._whole * tick
        if restored is not None:
            self._restore(restored)

    # ------------------------------------------------------------------ what others may see

    @property
    def grid(self) -> Grid | None:
        """The grid now; None before the first price."""
        return None if self._plan is None else self._plan.grid

    @property
    def quiet_interval(self) -> tuple[Decimal, Decimal] | None:
        """Prices from low to high (USDT, both included) at which the answer stays empty, or None.

        It holds until the next event other than a ticker inside it, and only while the orders' `version` is unchanged.
        Who jumps over ticks inside it has to feed the last one before an execution: a fill is judged by the last price.
        """
        known = self._known_orders
        if known is None or self._known_answer or known.version != self._known_version:
            return None
        return (self._known_low, self._known_high) if self._known_low <= self._known_high else None

    def state(self) -> GridState:
        """Everything that has to survive a restart. Save it at start and whenever `state_version` moved."""
        grid = self.grid
        return GridState(
            symbol=self.symbol,
            grid_count=self.config.grid_count,
            grid_step=self.config.grid_step,
            tick_size=self.instrument.tick_size,
            levels=() if grid is None else grid.levels,
            last_fill=None if grid is None else grid.last_fill,
            anchor=self._seed if grid is None else grid.anchor,
            version=self.state_version,
            exchange_ts=self._changed_ts,
            pending=tuple(self._pending),
        )

    def client_order_id(self, side: Side, ticks: int, direction: Direction) -> str:
        """The stable id of a level (16 hex digits), remembered: hashing costs more than the decision."""
        key = (side, ticks, direction)
        known = self._ids.get(key)
        if known is None:
            if len(self._ids) >= _IDS_KEPT:
                self._ids.clear()
            known = self._ids[key] = client_order_id(self.strat_id, self.symbol, side, ticks, direction)
        return known

    def ladder(self) -> GridState | None:
        """The grid with its levels, for records and status; None before the first price."""
        return None if self._plan is None else self.state()

    # ------------------------------------------------------------------ events

    def on_event(self, event: Event, limit_orders: OrdersView) -> Sequence[Intent]:
        """Decide. Intents come from tickers only; executions move the grid; everything else changes nothing.

        `limit_orders` are the live and in-flight orders of this strategy: a `LimitOrders`, or a mapping with the keys
        `long` and `short` (then every tick is evaluated). Events of another symbol and prices that are not positive are
        ignored.
        Raise `ImpossibleLadder` when the grid has to be rebuilt where it cannot be; the grid stays as it was.
        """
        if isinstance(event, TickerEvent):
            known = self._known_orders
            if (
                known is not None
                and known is limit_orders
                and known.version == self._known_version
                and self._known_low <= event.last_price <= self._known_high
                and event.symbol == self.symbol
            ):
                self.last_price = event.last_price
                return self._known_answer
            return self._on_ticker(event, limit_orders)
        if isinstance(event, ExecutionEvent):
            self._on_execution(event)
        return _NOTHING

    def _on_execution(self, event: ExecutionEvent) -> None:
        if (
            event.symbol != self.symbol
            or event.exec_type is not ExecType.TRADE
            or event.leaves_qty > 0
            or not event.price > 0
        ):
            return
        self._pending.append(event.price)
        if self.last_price is None:
            self.state_version += 1
            self._changed_ts = event.exchange_ts
        else:
            self._apply_pending(self.last_price, event.exchange_ts)

    def _on_ticker(self, event: TickerEvent, limit_orders: OrdersView) -> Sequence[Intent]:
        price = event.last_price
        if event.symbol != self.symbol or not price > 0:
            return _NOTHING
        self._known_orders = None
        self.last_price = price
        plan = self._plan
        if plan is None:
            around = price if self._seed is None else self._seed
            plan = self._move(Grid.build(self.config, self.instrument, around), event.exchange_ts)
        elif not plan.low <= price <= plan.high:
            plan = self._move(plan.grid.rebuilt(price), event.exchange_ts)
        if self._pending:
            plan = self._apply_pending(price, event.exchange_ts)
        return self._decide(plan, price, limit_orders, event.exchange_ts)

    # ------------------------------------------------------------------ the grid

    def _restore(self, state: GridState) -> None:
        self.state_version = state.version
        self._changed_ts = state.exchange_ts
        if state.symbol == self.symbol:
            self._pending.extend(state.pending)
        self.restore_note = state.refusal(self.config, self.instrument)
        if not self.restore_note:
            self._plan = Plan.of(state.grid(self.config, self.instrument))
        elif self._seed is None:
            self._seed = state.seed(self.config, self.instrument)

    def _move(self, grid: Grid, exchange_ts: int) -> Plan:
        plan = self._plan
        if plan is None or grid != plan.grid:
            plan = self._plan = Plan.of(grid)
            self._known_orders = None
            self.state_version += 1
            self._changed_ts = exchange_ts
        return plan

    def _apply_pending(self, price: Decimal, exchange_ts: int) -> Plan:
        plan = self._plan
        if plan is None:
            plan = self._move(Grid.build(self.config, self.instrument, price), exchange_ts)
        while self._pending:
            plan = self._move(plan.grid.filled(self._pending[0], price), exchange_ts)
            del self._pending[0]
        return plan

    # ------------------------------------------------------------------ decisions

    def _decide(self, plan: Plan, price: Decimal, limit_orders: OrdersView, exchange_ts: int) -> Sequence[Intent]:
        top, bottom = price.as_integer_ratio()
        divisor = self._divisor * bottom
        buy_limit = ceil_div(top * self._buy_factor, divisor) - 1
        sell_limit = top * self._sell_factor // divisor + 1
        intents: list[Intent] = []
        edges = _Edges(plan)
        too_many = False
        for direction in _DIRECTIONS:
            orders = limit_orders[direction]
            if len(orders) > len(plan.sides) + SPARE_ORDERS:
                plan = self._move(plan.grid.rebuilt(price), exchange_ts)
                intents.extend(self._cancels(orders, direction, "rebuild"))
                too_many = True
                continue
            self._leg(plan, direction, orders, buy_limit, sell_limit, intents, edges)
        answer = tuple(intents)
        if isinstance(limit_orders, LimitOrders) and not too_many:
            self._remember(plan, limit_orders, answer, edges)
        return answer

    def _leg(
        self,
        plan: Plan,
        direction: Direction,
        orders: Sequence[LimitOrder],
        buy_limit: int,
        sell_limit: int,
        intents: list[Intent],
        edges: _Edges,
    ) -> None:
        """Decide one leg: add to the intents, and note in `edges` which missing levels were and were not eligible."""
        resting = {order.ticks: order.side for order in orders}
        if len(resting) != len(orders):
            orders = self._survivors(plan, direction, orders, intents)
            resting = {order.ticks: order.side for order in orders}
        if resting == plan.wanted:
            return
        side_at, known = resting.get, plan.intents[direction]
        next_buy, next_sell = edges.next_buy, edges.next_sell
        last_buy, last_sell = edges.last_buy, edges.last_sell
        for index, ticks, side, buys in plan.walk:
            there = side_at(ticks)
            if there == side:
                continue
            if there is not None:
                wrong = [order for order in orders if order.ticks == ticks]
                intents.extend(self._cancels(wrong, direction, "side_mismatch"))
            if buys:
                if ticks > buy_limit:
                    if ticks < next_buy:
                        next_buy = ticks
                    continue
                if ticks > last_buy:
                    last_buy = ticks
            elif ticks < sell_limit:
                if ticks > next_sell:
                    next_sell = ticks
                continue
            elif ticks < last_sell:
                last_sell = ticks
            intents.append(known[index] or self._place(known, index, ticks, side, direction))
        edges.next_buy, edges.next_sell = next_buy, next_sell
        edges.last_buy, edges.last_sell = last_buy, last_sell
        if not resting.keys() <= plan.sides.keys():
            outside = [order for order in orders if order.ticks not in plan.sides]
            intents.extend(self._cancels(outside, direction, "outside_grid"))

    def _survivors(
        self, plan: Plan, direction: Direction, orders: Sequence[LimitOrder], intents: list[Intent]
    ) -> list[LimitOrder]:
        """One order per price: of the level's side if there is one, then one with fills, then the first."""
        best: dict[int, LimitOrder] = {}
        for order in orders:
            rival = best.get(order.ticks)
            if rival is None or _rank(order, plan) > _rank(rival, plan):
                best[order.ticks] = order
        lost = [order for order in orders if best[order.ticks] is not order]
        intents.extend(self._cancels(lost, direction, "duplicate"))
        return [order for order in orders if best[order.ticks] is order]

    def _place(
        self, known: list[PlaceLimitIntent | None], index: int, ticks: int, side: Side, direction: Direction
    ) -> PlaceLimitIntent:
        intent = known[index] = PlaceLimitIntent(
            symbol=self.symbol,
            side=side,
            ticks=ticks,
            direction=direction,
            reduce_only=side is direction.close_side,
            level=index,
            client_order_id=self.client_order_id(side, ticks, direction),
        )
        return intent

    def _cancels(self, orders: Iterable[LimitOrder], direction: Direction, reason: str) -> list[CancelIntent]:
        return [CancelIntent(self.symbol, order.key, reason, order.side, order.ticks, direction) for order in orders]

    def _remember(self, plan: Plan, limit_orders: LimitOrders, answer: Sequence[Intent], edges: _Edges) -> None:
        """Keep the answer and the whole ticks between which it stays: no level more becomes eligible, and none less."""
        whole, step = self._whole, self._step
        low = max(
            plan.lowest,
            ceil_div(edges.next_sell * whole, whole + step),
            edges.last_buy * whole // (whole - step) + 1,
        )
        high = min(
            plan.highest,
            edges.next_buy * whole // (whole - step),
            ceil_div(edges.last_sell * whole, whole + step) - 1,
        )
        self._known_orders = limit_orders
        self._known_version = limit_orders.version
        self._known_low = self.instrument.price(low)
        self._known_high = self.instrument.price(high)
        self._known_answer = answer


class _Edges:
    """Among the levels without an order: the lowest Buy and highest Sell that are not eligible yet (`next`), and the
    highest Buy and lowest Sell that are (`last`). Where there is none, a level so far out that it bounds nothing.
    """

    __slots__ = ("last_buy", "last_sell", "next_buy", "next_sell")

    def __init__(self, plan: Plan) -> None:
        self.next_buy = plan.highest
        self.next_sell = plan.lowest
        self.last_buy = 0
        self.last_sell = 2 * plan.highest


def _rank(order: LimitOrder, plan: Plan) -> tuple[bool, bool]:
    return plan.sides.get(order.ticks) == order.side, order.has_fills
