"""Events in, intents out: the decisions of one strategy (docs/strategy.md 2).

`GridEngine` keeps what the pure parts need from one event to the next, and carries nothing out: no I/O, no clock, no
logging. A ticker goes through `grid_memory` (build, rebuild, kept fills), then `decision` (long leg, short leg); an
execution through `grid_memory` alone. What a step returned is kept before the next one is asked, so where a ladder is
impossible, the steps before it stand.

The known interval. With the grid and the orders fixed, the answer to a price changes only at a few thresholds
(`known_interval`). Between the nearest of them the engine gives the same answer again (the same object) after comparing
the price with two bounds, without looking at an order and without allocating anything. The bounds are dropped when the
grid changes, and hold only for the same `LimitOrders` with the same `version`. While the known answer is empty, the
interval is *quiet* and `quiet_interval` gives it. Intents that were refused are repeated with every tick.

Whoever has time after a change of grid or orders asks for `prepare`, which decides at the last price once more: where
the next price is in the same interval, its answer is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.core.events import Event, ExecutionEvent, TickerEvent
from gridbot.core.instrument import Instrument
from gridbot.core.intents import Intent, LimitOrders
from gridbot.core.vocabulary import Side
from gridbot.strategies.base import Wish
from gridbot.strategies.grid.decision import OrdersView, edges_of_opens, judge
from gridbot.strategies.grid.grid_memory import (
    GridMemory,
    GridSetup,
    at_price,
    from_state,
    is_fill,
    keep_fill,
    plan_of,
    to_state,
    use_fill,
)
from gridbot.strategies.grid.known_interval import Edges, Eligibility
from gridbot.strategies.grid.ladder import Grid, GridConfig
from gridbot.strategies.grid.laid_ladder import laid_on
from gridbot.strategies.grid.leg_decision import LevelOrders, most_orders
from gridbot.strategies.grid.plan import Plan
from gridbot.strategies.grid.state import GridState
from gridbot.strategies.grid.wishes import wishes_at

__all__ = ["GridEngine"]

_NOTHING: tuple[Intent, ...] = ()


class GridEngine:
    """Decisions of one strategy on one symbol.

    The first grid is built around `anchor_price` (USDT) if given, else around the market price. `restored` is a saved
    state: its grid is used if it fits, else a grid is built around its anchor, and `restore_note` says why.
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
        self._setup = GridSetup(symbol, instrument, config)
        self._rule = Eligibility.of(config, instrument)
        self._levels = LevelOrders(symbol)
        self._memory, self.restore_note = from_state(self._setup, anchor_price, restored)
        self.state_version = self._memory.version
        self._known_orders: LimitOrders | None = None
        self._known_version = 0
        self._known_low = Decimal(0)
        self._known_high = Decimal(0)
        self._known_answer: Sequence[Intent] = _NOTHING
        self._unmeasured: tuple[Plan, Edges | None] | None = None
        """What the known bounds follow from. They are worked out when somebody asks: no order waits for them."""

    # ------------------------------------------------------------------ what others may read

    @property
    def grid(self) -> Grid | None:
        """The grid now; None before the first price."""
        plan = self._memory.plan
        return None if plan is None else plan.grid

    @property
    def quiet_interval(self) -> tuple[Decimal, Decimal] | None:
        """Prices from low to high (USDT, both included) at which the answer stays empty, or None.

        It holds until the next event other than a ticker inside it, and only while the orders' `version` is unchanged.
        A caller that skips ticks inside it must pass the last one before an execution: it is judged by the last price.
        """
        known = self._measured()
        if known is None or self._known_answer or known.version != self._known_version:
            return None
        return (self._known_low, self._known_high) if self._known_low <= self._known_high else None

    @property
    def known_interval(self) -> tuple[Decimal, Decimal, Sequence[Intent]] | None:
        """As `quiet_interval`, with the answer that is given inside, the same object each time; it may hold intents."""
        known = self._measured()
        if known is None or known.version != self._known_version or self._known_low > self._known_high:
            return None
        return self._known_low, self._known_high, self._known_answer

    @property
    def opening_interval(self) -> tuple[Decimal, Decimal] | None:
        """As `known_interval`, where the answer asks for no cancel: inside, it differs by nothing but closes."""
        known = self.known_interval
        if known is None or self._known_orders is None or self.last_price is None:
            return None
        plan = plan_of(self._memory)
        return self._rule.holds(plan, edges_of_opens(plan, self.last_price, self._known_orders, self._rule))

    def state(self) -> GridState:
        """Everything that has to survive a restart. Save it at start and whenever `state_version` has changed."""
        return to_state(self._setup, self._memory)

    def ladder(self) -> GridState | None:
        """The grid with its levels, for records and status; None before the first price."""
        return None if self._memory.plan is None else self.state()

    def wishes(self, price: Decimal) -> Sequence[Wish]:
        """Two orders a level, one of each leg; none before the first price."""
        plan = self._memory.plan
        return () if plan is None else wishes_at(plan, self._rule, price)

    def wishes_on(self, orders: Sequence[tuple[int, Side]], price: Decimal) -> Sequence[Wish]:
        """The same with the ladder on these orders (whole ticks, side). Raises CannotTrade when none lies on them."""
        return wishes_at(plan_of(self._laid(orders)), self._rule, price)

    # ------------------------------------------------------------------ events

    def lay_on(self, orders: Sequence[tuple[int, Side]]) -> None:
        """Have the ladder on these orders from now on. Raises CannotTrade, and changes nothing then."""
        self._keep(self._laid(orders))

    def _laid(self, orders: Sequence[tuple[int, Side]]) -> GridMemory:
        return from_state(self._setup, None, laid_on(self.state(), self.config, orders))[0]

    def on_event(self, event: Event, limit_orders: OrdersView) -> Sequence[Intent]:
        """Decide. Intents come from tickers only; executions move the grid; everything else changes nothing.

        `limit_orders` are the live and in-flight orders of this strategy: a `LimitOrders`, or a mapping with the keys
        `long` and `short` (then every tick is evaluated). Events of another symbol and prices that are not positive are
        ignored.
        Raise `ImpossibleLadder` when the grid has to be rebuilt where it cannot be; the grid stays as it was.
        """
        if isinstance(event, TickerEvent):
            known = self._known_orders if self._unmeasured is None else self._measured()
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

    def prepare(self, limit_orders: LimitOrders) -> None:
        """Have the answer ready in case the next price is near the last one. Off the hot path.

        No answer becomes another by it: what would change the memory is left to the price itself.
        """
        price, memory, plan = self.last_price, self._memory, self._memory.plan
        if price is None or plan is None or memory.pending or not plan.low <= price <= plan.high:
            return
        if self._measured() is limit_orders and self._known_version == limit_orders.version:
            return
        if max(len(limit_orders.long), len(limit_orders.short)) <= most_orders(plan):
            event = TickerEvent(self.symbol, price)
            _, answer, edges, _ = judge(memory, event, limit_orders, self._rule, self._levels)
            self._remember(limit_orders, answer, edges)
            self._measured()

    def _on_ticker(self, event: TickerEvent, limit_orders: OrdersView) -> Sequence[Intent]:
        price = event.last_price
        if event.symbol != self.symbol or not price > 0:
            return _NOTHING
        self._known_orders = None
        self.last_price = price
        self._keep(at_price(self._setup, self._memory, price, event.exchange_ts))
        if self._memory.pending:
            self._use_fills(price, event.exchange_ts)
        memory, answer, edges, recognisable = judge(self._memory, event, limit_orders, self._rule, self._levels)
        if memory is not self._memory:
            self._keep(memory)
        if recognisable and isinstance(limit_orders, LimitOrders):
            self._remember(limit_orders, answer, edges)
        return answer

    def _remember(self, limit_orders: LimitOrders, answer: Sequence[Intent], edges: Edges | None) -> None:
        self._known_orders = limit_orders
        self._known_version = limit_orders.version
        self._known_answer = answer
        self._unmeasured = plan_of(self._memory), edges

    def _measured(self) -> LimitOrders | None:
        """The orders of the known answer, once its bounds are worked out."""
        if self._unmeasured is not None:
            self._known_low, self._known_high = self._rule.holds(*self._unmeasured)
            self._unmeasured = None
        return self._known_orders

    def _on_execution(self, event: ExecutionEvent) -> None:
        if event.symbol != self.symbol or not is_fill(event):
            return
        market = self.last_price
        self._keep(keep_fill(self._memory, event, market_known=market is not None))
        if market is not None:
            self._use_fills(market, event.exchange_ts)

    def _use_fills(self, market: Decimal, exchange_ts: int) -> None:
        while self._memory.pending:
            self._keep(use_fill(self._setup, self._memory, market, exchange_ts))

    def _keep(self, memory: GridMemory) -> None:
        if memory.plan is not self._memory.plan:
            self._known_orders = None
        self._memory = memory
        self.state_version = memory.version
