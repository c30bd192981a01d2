"""One strategy, live or shadow: what the market and the exchange say goes in, decisions go through the gate.

The runner owns the strategy's `StrategyRiskState` (what the gate looks at), its `PositionSizer` and its `OrderManager`,
which follows the orders from there on. It does no I/O: REST, streams and files are the orchestrator's. A shadow
strategy is the same runner with a `ShadowVenue` in place of the executor, so nothing above the wire can behave
differently.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

from gridbot.config.models import StrategyConfig
from gridbot.core import (
    CancelIntent,
    Direction,
    ExecType,
    ExecutionEvent,
    Instrument,
    Intent,
    PlaceLimitIntent,
    PositionEvent,
    TickerEvent,
    WalletEvent,
    client_order_id,
)
from gridbot.orders.book import OrderBook
from gridbot.orders.breakers import RateCap
from gridbot.orders.ids import client_id_of
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records import builders
from gridbot.risk.gate import PRICE_BLIND, Caps, Gate, Leg, Proposal, Refusal, StrategyRiskState, wire_order
from gridbot.strategies.grid import GridEngine
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_manager import OrderManager
from gridbot.worker.position_sizer import PositionSizer

__all__ = ["StrategyRunner"]

ZERO = Decimal(0)


class StrategyRunner:
    """See the module. `save_grid` is told whenever the grid has changed, with the exchange time (ms) of the cause."""

    def __init__(
        self,
        config: StrategyConfig,
        instrument: Instrument,
        engine: GridEngine,
        context: WorkerContext,
        *,
        save_grid: Callable[[int], None] = lambda exchange_ts: None,
        venue: ShadowVenue | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.config = config
        self.instrument = instrument
        self.engine = engine
        self.strat_id = config.strat_id
        self.symbol = config.symbol
        self.is_shadow = venue is not None
        self.log = logging.LoggerAdapter(
            logging.getLogger(__name__), {"account": context.name, "strategy": config.strat_id}
        )
        self._context = context
        self._gate = gate or context.gate
        self._venue = venue
        self._save_grid = save_grid
        self.book = OrderBook(instrument)
        self.sizer = PositionSizer(config, instrument)
        self.risk_state = StrategyRiskState(
            strat_id=config.strat_id,
            symbol=config.symbol,
            book=self.book,
            caps=Caps(
                max_notional=config.caps.max_notional,
                max_open_orders=config.caps.max_open_orders,
                max_margin=config.max_margin,
            ),
            rate=RateCap(config.caps.max_orders_per_minute),
        )
        self._gate.strategies[config.strat_id] = self.risk_state
        self.orders = OrderManager(self.risk_state, instrument, context, self._gate, log=self.log, venue=venue)
        self.positions: dict[Direction, PositionEvent] = {}
        self.ticker: TickerEvent | None = None
        self._grid_version: int | None = None
        self._snapshot_version: int | None = None
        self._refused: dict[tuple[Direction, int], Refusal] = {}
        self._settled: Sequence[Intent] = ()
        """An answer of which nothing may be sent until the epoch changes: the engine repeats the same object."""
        self._settled_epoch = 0
        self.refusals: Counter[Refusal] = Counter()
        """How many levels wait for what, as of the last decision: why there are fewer orders than levels."""

    def begin(self) -> None:
        """Everything is known and equal to the exchange: decide from the next price on."""
        self._shadow_positions()
        self.risk_state.ready = True

    # ------------------------------------------------------------------ market

    def see(self, ticker: TickerEvent) -> None:
        """Know the price without deciding: a halted strategy still has positions to value, and perhaps to close."""
        self.ticker = self.orders.ticker = ticker
        self.risk_state.last_price = ticker.last_price
        self.risk_state.price_s = self._context.clock_s()

    def on_ticker(self, ticker: TickerEvent) -> None:
        """Decide at a new price. This is the hot path: no disk, no wait."""
        risk_state = self.risk_state
        self.see(ticker)
        if self._venue is not None:
            for fill in self._venue.on_ticker(ticker):
                self.on_execution(fill, source="shadow")
                self._shadow_positions()
        intents = self.engine.on_event(ticker, self.book.limit_orders)
        self._context.trace.decided()
        if self.engine.grid_version != self._grid_version:
            self._grid_changed(ticker.exchange_ts)
        if intents and not (intents is self._settled and risk_state.epoch == self._settled_epoch):
            self._act(intents)

    def _act(self, intents: Sequence[Intent]) -> None:
        """Cancels first, then closes, then opens from the nearest price outwards."""
        places = []
        refused: dict[tuple[Direction, int], Refusal] = {}
        for intent in intents:
            if isinstance(intent, CancelIntent):
                self.orders.cancel(intent.key, intent.reason)
            elif intent.reduce_only and not self.risk_state.legs[intent.direction].size:
                refused[intent.direction, intent.ticks] = Refusal.NOT_COVERED  # half the levels of a flat leg
            else:
                places.append(self._proposal(intent))
        now_s = self._context.clock_s()
        for proposal in wire_order(places):
            refusal = self._gate.admit(self.risk_state, proposal, now_s)
            if refusal is None:
                self.orders.submit(proposal)
            else:
                refused[proposal.direction, proposal.ticks] = refusal
                if self._refused.get((proposal.direction, proposal.ticks)) is not refusal:
                    self._record_refusal(proposal, refusal)
        self._refused, self.refusals = refused, Counter(refused.values())
        if len(refused) == len(intents) and self.refusals.keys() <= PRICE_BLIND:
            self._settled, self._settled_epoch = intents, self.risk_state.epoch
        self.orders.pump()

    def _proposal(self, intent: PlaceLimitIntent) -> Proposal:
        price = self.instrument.price(intent.ticks)
        qty = self.sizer.quantity(
            intent.direction,
            intent.side,
            price,
            resting_close=self.book.resting_close_qty(intent.direction) if intent.reduce_only else ZERO,
        )
        last = self.risk_state.last_price or price
        return Proposal(
            side=intent.side,
            direction=intent.direction,
            ticks=intent.ticks,
            price=price,
            qty=qty,
            reduce_only=intent.reduce_only,
            client_id=intent.client_order_id,
            level_distance=abs(price - last) / last,  # a ratio: strategies of an account share the budget
        )

    def _record_refusal(self, proposal: Proposal, refusal: Refusal) -> None:
        """Only the first time in a row for a level: a refusal each tick would drown everything else (incident L12)."""
        if refusal in (Refusal.LEVEL_TAKEN, Refusal.NOT_COVERED):
            return  # the everyday ones: the level waits for its own order to go, or for a position to close
        self._context.recorder.record(
            builders.of_proposal(
                self.strat_id, self.symbol, proposal, verdict="refused", reason=refusal, ticker=self.ticker
            )
        )

    # ------------------------------------------------------------------ what the exchange says

    def on_execution(self, execution: ExecutionEvent, *, source: str = "stream") -> None:
        """Count an execution once; a complete order moves the grid."""
        realised = self._context.ledger.apply(self.strat_id, execution, shadow=self.is_shadow)
        if realised is None:
            return
        self._context.recorder.record(
            builders.of_execution(self.strat_id, execution, realised, shadow=self.is_shadow, source=source)
        )
        self._context.record_raw(builders.raw_execution(self.strat_id, execution))
        if execution.exec_type is not ExecType.TRADE:
            self._not_a_fill(execution)
            return
        key = execution.order_link_id or execution.order_id
        order = self.book.get(key)
        self.orders.executed(key, execution)
        self.log.info(
            "[fill] %s %s %s @ %s, realised %s, fee %s",
            execution.direction,
            execution.side,
            execution.qty,
            execution.price,
            f"{realised:.4f}",
            f"{execution.fee:.4f}",
        )
        if order is not None or self._is_ours(execution):
            self.engine.on_event(execution, self.book.limit_orders)
            if self.engine.grid_version != self._grid_version:
                self._grid_changed(execution.exchange_ts)

    def _is_ours(self, execution: ExecutionEvent) -> bool:
        """A fill of an order that an earlier run placed, by its id (the book has forgotten it, the grid must not)."""
        price = execution.order_price if execution.order_price is not None else execution.price
        ticks = self.instrument.ticks(price)
        expected = client_order_id(self.strat_id, self.symbol, execution.side, ticks, execution.direction)
        return client_id_of(execution.order_link_id) == expected

    def _not_a_fill(self, execution: ExecutionEvent) -> None:
        """Funding is a ledger row; being liquidated or deleveraged needs a human (incident L51)."""
        if execution.exec_type in (ExecType.BUST, ExecType.ADL):
            self.risk_state.paused = True
            self._context.requests.refresh_positions(self.symbol)
            self._context.requests.alert(
                "error",
                f"{execution.exec_type}.{self.symbol}",
                f"{self.symbol}: the exchange reduced our {execution.direction} by {execution.qty} "
                f"({execution.exec_type}); the strategy is paused",
                self.strat_id,
            )

    def on_position(self, position: PositionEvent, *, source: str = "stream") -> None:
        """Take a leg as the exchange has it; flat is news like any other."""
        before = self.positions.get(position.direction)
        leg = self.risk_state.legs[position.direction]
        if source == "stream":
            if leg.unsure:
                return  # the exchange contradicted these figures: only a fresh reading by REST counts now
            if before is not None and position.exchange_ts < before.exchange_ts:
                return
        self.positions[position.direction] = position
        self.risk_state.legs[position.direction] = Leg(
            size=position.size,
            entry_price=position.entry_price,
            leverage=position.leverage or leg.leverage,
        )
        self.risk_state.epoch += 1
        self._assess(position)
        changed = before is None or (before.size, before.entry_price) != (position.size, position.entry_price)
        if changed or source == "rest":
            self._record_position(position, source)

    def on_wallet(self, wallet: WalletEvent) -> None:
        """The account's money changed: sizes and multipliers may, too."""
        self.sizer.set_wallet(wallet)
        self.risk_state.epoch += 1
        if self.is_shadow:
            self._gate.funds.update(wallet, self._context.clock_s())

    def _assess(self, position: PositionEvent) -> None:
        """Recompute the risk multipliers from what is known now; unknown is not zero (incident L25)."""
        before = self.sizer.rule
        self.sizer.assess(position, self.risk_state.last_price)
        if self.sizer.rule != before:
            self.log.info("[risk] rule %s -> %s", before or "none", self.sizer.rule or "none")

    def record_grid(self) -> None:
        """Keep a snapshot of the grid when it has changed since the last one. Not for the hot path."""
        if self.engine.grid is not None and self.engine.grid_version != self._snapshot_version:
            self._snapshot_version = self.engine.grid_version
            self._context.recorder.record(builders.of_grid(self.strat_id, self.engine.state()))

    # ------------------------------------------------------------------ inside

    def _shadow_positions(self) -> None:
        if self._venue is not None:
            mark = self.ticker.mark_price if self.ticker else None
            for position in self._venue.positions(mark, self._context.clock_ms()):
                self.on_position(position, source="shadow")

    def _record_position(self, position: PositionEvent, source: str) -> None:
        self._context.recorder.record(
            builders.of_position(
                self.strat_id,
                position,
                multipliers=self.sizer.multipliers(position.direction),
                rule=self.sizer.rule,
                shadow=self.is_shadow,
                source=source,
            )
        )

    def _grid_changed(self, exchange_ts: int) -> None:
        self._grid_version = self.engine.grid_version
        self._save_grid(exchange_ts)
