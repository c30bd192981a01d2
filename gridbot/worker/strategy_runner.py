"""One strategy, live or shadow: events of market and exchange go in, orders and cancels go out through the gate.

The runner owns the strategy's `StrategyRiskState` (what the gate looks at), its positions, its `PositionSizer` and its
`OrderManager`, which tracks the orders once they are submitted. It does no I/O: REST, streams and files belong to the
orchestrator. A shadow strategy is the same runner with a `ShadowWire` in place of the executor, so that everything
else behaves in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.config.account_models import StrategyConfig
from gridbot.core import (
    Event,
    ExecType,
    ExecutionEvent,
    Instrument,
    OrderUpdateEvent,
    PositionEvent,
    TickerEvent,
    WalletEvent,
)
from gridbot.orders.book import OrderBook
from gridbot.orders.reconcile import owns_execution
from gridbot.records import builders
from gridbot.risk.caps import Caps
from gridbot.risk.holds import Holds, Who
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.risk.unusual import unusual
from gridbot.strategies.base import Strategy
from gridbot.worker.context import WorkerContext
from gridbot.worker.fill_lines import FillLines
from gridbot.worker.order_manager import OrderManager
from gridbot.worker.placement import Placement
from gridbot.worker.position_sizer import PositionSizer
from gridbot.worker.shadow_side import ShadowSide
from gridbot.worker.shadow_wire import ShadowWire
from gridbot.worker.strategy_positions import StrategyPositions
from gridbot.worker.strategy_saving import StrategySaving

__all__ = ["Keeping", "StrategyRunner"]


@dataclass(frozen=True, slots=True)
class Keeping:
    """What an earlier process left of a strategy, and how this one leaves it to the next. No call waits for the disk.

    `save_state` is called when the state has changed, with the executions that are not recorded yet; `told` are
    executions that the engine knows from an earlier life though nobody may have counted them. `keep_holds` is called
    when pause or halt (`holds`) have changed.
    """

    save_state: Callable[[Collection[str]], None] = lambda told: None
    told: Collection[str] = ()
    keep_holds: Callable[[Holds], None] = lambda holds: None
    holds: Holds = field(default_factory=Holds)


NOTHING = Keeping()
SETTLED = frozenset({"CancelBySettle", "CancelByDelivery"})
"""How orders end when their symbol does."""


class StrategyRunner:
    """See the module. A `wire` makes it a shadow strategy."""

    def __init__(
        self,
        config: StrategyConfig,
        instrument: Instrument,
        engine: Strategy,
        context: WorkerContext,
        *,
        keeping: Keeping = NOTHING,
        wire: ShadowWire | None = None,
    ) -> None:
        self.instrument = instrument
        self.engine = engine
        self.settings = config
        self.strat_id = config.strat_id
        self.symbol = config.symbol
        self.is_shadow = wire is not None
        self._leverage = config.leverage
        self.log = logging.LoggerAdapter(
            logging.getLogger(__name__), {"account": context.name, "strategy": config.strat_id}
        )
        self.fill_lines = FillLines(self.log, context.clock.monotonic_s)
        self._context = context
        self.gate = context.gate if wire is None else wire.shadows.gate
        self._wire = wire
        self.book = OrderBook(instrument)
        self.sizer = PositionSizer(config, instrument, self.gate)
        self.risk_state = _risk_state(config, self.book, context.clock.wall_ms, keeping.keep_holds)
        self.risk_state.restore(keeping.holds)
        self.gate.enroll(self.risk_state)
        self.orders = OrderManager(self.risk_state, instrument, context, self.gate, log=self.log, wire=wire)
        self.positions = StrategyPositions(
            *(self.risk_state, self.sizer, context.recorder),
            log=self.log,
            is_shadow=self.is_shadow,
            now_s=context.clock.monotonic_s,
        )
        self.placement = Placement(
            self.risk_state, instrument, context, sizer=self.sizer, orders=self.orders, gate=self.gate
        )
        self.saving = StrategySaving(self.strat_id, engine, context.recorder, keeping.save_state, keeping.told)
        self._wants = config.decided_by.wants
        self.hears_wallet = WalletEvent in self._wants
        """Whether the strategy itself wants to hear of the wallet; sizes follow from the gate's anyhow."""
        context.faults.enroll(self.symbol, self.halt)
        self.shadow = None if wire is None else ShadowSide(self, wire, context)
        """What only a shadow strategy has."""

    # ------------------------------------------------------------------ control

    def renew(self, config: StrategyConfig, engine: Strategy | None) -> None:
        """Go on by other settings of the same strategy; what rests, holds and figures stay.

        `engine` decides from now on (None: the one there is). With the next price it withdraws what its ladder does not
        have, and places what is missing.
        """
        before, self.settings = self.risk_state.caps, config
        self._leverage = config.leverage
        self.risk_state.limit(_caps(config))
        if before.max_orders_per_minute != config.caps.max_orders_per_minute:
            self.gate.enroll(self.risk_state)
        self.sizer.renew(config)
        self.positions.judge_again()
        if engine is not None:
            self.engine = engine
            self.saving.follow(engine)

    def ready(self) -> None:
        """Everything is reconciled with the exchange: decide from the next price on."""
        if self.shadow is not None:
            self.shadow.read_legs()
        self.risk_state.set_ready(ready=True)

    def stop(self) -> None:
        """Decide nothing more and drop the orders whose request has not left yet; resting ones stay."""
        self.risk_state.set_ready(ready=False)
        self.orders.drop_unsent("stop")

    def pause(self, *, cancel: bool = False, reason: str = "paused by the operator") -> None:
        """Place nothing until `resume`, not even what waits to be sent; with `cancel` all orders are withdrawn."""
        self.risk_state.pause(reason=reason)
        if cancel:
            self.orders.cancel_all("paused")
        else:
            self.orders.drop_unsent("paused")

    def reduce(self, who: Who, reason: str) -> None:
        """Open nothing until `resume`: what rests or waits to open is withdrawn, closes go on."""
        self.risk_state.reduce(who, reason)
        for order in self.book:
            if not order.reduce_only:
                self.orders.cancel(order.key, "reducing")
        self.orders.pump()

    def resume(self) -> None:
        """An operator ends pause, halt, latch and reduction."""
        self.risk_state.resume()
        for key in ("halt", "reduced"):
            text = f"{self.strat_id} may trade again: an operator has resumed it"
            self._context.alert.over(f"{key}.{self.symbol}", text, self.strat_id)

    def halt(self, reason: str) -> bool:
        """Decide nothing until an operator resumes; orders are still tracked. False, and no alert, if halted before."""
        if not self.risk_state.halt(reason, Who.FAULT):
            return False
        self.orders.drop_unsent("halted")
        text = f"{self.strat_id} is halted: {reason}"
        self._context.alert("error", f"halt.{self.symbol}", text, self.strat_id)
        return True

    # ------------------------------------------------------------------ market

    def set_price(self, ticker: TickerEvent) -> None:
        """Update the price without a decision: a halted strategy still has positions to value, and perhaps to close."""
        self.risk_state.set_price(ticker, self._context.clock.monotonic_s())

    def on_ticker(self, ticker: TickerEvent) -> None:
        """Decide at a new price. This is the hot path: it waits for nothing, not even the disk."""
        self.risk_state.set_price(ticker, self._context.clock.monotonic_s())
        if self._wire is not None:
            self._wire.on_ticker(ticker)
        intents = self.engine.on_event(ticker, self.book.limit_orders)
        self._context.trace.decided()
        if self.engine.state_version != self.saving.saved_version:
            self.saving.save()
        if intents:
            self.placement.act(intents)

    def prepare(self) -> None:
        """Work that the next price would find undone: the views of a changed book, the decision. Off the hot path."""
        self.engine.prepare(self.book.limit_orders)

    def settle(self) -> tuple[Decimal, Decimal] | None:
        """Decide at the last price, and refuse what the next one would only refuse: closes that no leg covers.

        Where that is all: the prices (as `quiet_interval`) at which nothing but such closes is asked for. Else None.
        """
        if self.placement.covers_a_close:
            return None
        self.engine.prepare(self.book.limit_orders)
        known = self.engine.known_interval
        return self.engine.opening_interval if known is not None and self.placement.settle(known[2]) else None

    @property
    def quiet_interval(self) -> tuple[Decimal, Decimal] | None:
        """Prices from low to high (USDT, both included) at which a ticker changes nothing but the price; None: unknown.

        It holds until anything but such a ticker happens to the strategy, its account or its orders. A shadow
        strategy's orders are filled by prices (`shadow_orders`), which this does not look at.
        """
        self._show_orders()
        known = self.engine.known_interval
        if known is None or self.placement.settled.counts_others(known[2]) or not self.placement.is_settled(known[2]):
            return None
        return self.placement.settled.within(*known[:2]) if known[2] else known[:2]

    @property
    def is_steady(self) -> bool:
        """Whether legs, orders, sizes and the ladder alone decide what `quiet_interval`, asked just before, is.

        That is: no time, hold or wallet.
        """
        known = self.engine.known_interval
        return known is not None and (not known[2] or self.placement.settled.is_blind(known[2]))

    @property
    def minds_money(self) -> bool:
        """Whether another size, or another balance of the wallet, may make `quiet_interval` another."""
        known = self.engine.known_interval
        return known is None or (bool(known[2]) and not self.placement.settled.is_bare(known[2]))

    def _show_orders(self) -> None:
        """The engine's orders are those of the book when they were read last: let it see what has changed since."""
        _ = self.book.limit_orders

    def shadow_orders(self) -> tuple[int | None, int | None]:
        """Highest Buy and lowest Sell (whole ticks) that rest on a shadow strategy's own venue; None for none."""
        return (None, None) if self._wire is None else self._wire.nearest()

    # ------------------------------------------------------------------ what the exchange reports

    def on_execution(self, execution: ExecutionEvent, *, source: str = "stream") -> None:
        """Count an execution once; the strategy learns of each fill of its orders."""
        realised = self._context.ledger.apply(self.strat_id, execution, shadow=self.is_shadow)
        self._context.record_corrections()
        if realised is None:
            return
        try:
            self._take_in(execution, realised)
        finally:  # after the state that knows it (`strategy_saving`)
            self._context.recorder.record(
                builders.of_execution(self.strat_id, execution, realised, shadow=self.is_shadow, source=source)
            )
            self.saving.recorded(execution.exec_id)
            self._context.record_raw(builders.raw_execution(self.strat_id, execution))

    def catch_up(self, executions: Iterable[ExecutionEvent]) -> None:
        """Tell the strategy what an earlier life counted and its saved state does not know.

        Before the first price, and before the state is saved: none of them may seem told that is not.
        """
        for execution in executions:
            with self._context.faults.contained(f"{self.symbol}: an execution of an earlier run", self.symbol):
                is_ours = self._owns(execution)
                if execution.exec_type is ExecType.TRADE and is_ours:
                    self.engine.on_event(execution, self.book.limit_orders)

    def _take_in(self, execution: ExecutionEvent, realised: Decimal) -> None:
        if execution.exec_type is not ExecType.TRADE:
            self._not_a_fill(execution)
            return
        key = execution.order_link_id or execution.order_id
        is_known = self.book.get(key) is not None
        self.orders.on_execution(key, execution)
        self.fill_lines.tell(execution, realised)
        # The book may no longer have an order of an earlier run; the strategy must not miss its fill.
        is_ours = is_known or self._owns(execution)
        if is_ours and self.saving.is_news(execution.exec_id):
            self._note(execution)

    def _owns(self, execution: ExecutionEvent) -> bool:
        return owns_execution(execution, self.orders.owner, self.instrument, self._context.recorded.known)

    def on_order_update(self, update: OrderUpdateEvent) -> None:
        """An update of an order of this symbol, ours or not."""
        self.orders.on_order_update(update)
        if update.cancel_type in SETTLED:
            self._context.requests.read_terms(self.symbol)
        if OrderUpdateEvent in self._wants:
            self._note(update)

    def on_position_update(self, position: PositionEvent, *, source: str = "stream") -> None:
        """An update of a leg; `source` is stream, rest or shadow."""
        self.positions.update(position, source)
        if source != "shadow" and self._leverage is not None and position.leverage not in (None, self._leverage):
            self._context.requests.read_terms(self.symbol)  # somebody has changed it
        if PositionEvent in self._wants:
            self._note(position)

    def on_wallet(self, wallet: WalletEvent) -> None:
        """The wallet has changed; who `hears_wallet` takes note of it."""
        if self.hears_wallet:
            self._note(wallet)

    def _note(self, event: Event) -> None:
        """Let the strategy take note of an event other than a ticker; it decides with the next ticker.

        An execution is noted with the state also when it changed nothing: the next life would tell it again.
        """
        self.engine.on_event(event, self.book.limit_orders)
        if isinstance(event, ExecutionEvent) or self.engine.state_version != self.saving.saved_version:
            self.saving.save()

    def _not_a_fill(self, execution: ExecutionEvent) -> None:
        """The ledger has its money; whether an operator has to look is `risk/unusual.py`'s (incident L51)."""
        found = unusual(execution)
        if found is None:
            return
        text = f"{self.symbol}: {found.text}"
        self._context.requests.refresh_positions(self.symbol)
        self._context.requests.check_money()
        if found.pauses is not None:
            self.risk_state.pause(found.pauses, found.text)
            self.orders.drop_unsent("paused")
            text += "; the strategy is paused"
        self._context.alert(found.level, f"{found.kind}.{self.symbol}", text, self.strat_id)


def _risk_state(
    config: StrategyConfig, book: OrderBook, wall_ms: Callable[[], int], keep: Callable[[Holds], None]
) -> StrategyRiskState:
    return StrategyRiskState(
        strat_id=config.strat_id,
        symbol=config.symbol,
        book=book,
        caps=_caps(config),
        wall_ms=wall_ms,
        keep=keep,
    )


def _caps(config: StrategyConfig) -> Caps:
    return Caps(
        max_notional=config.caps.max_notional,
        max_open_orders=config.caps.max_open_orders,
        max_margin=config.max_margin,
        max_orders_per_minute=config.caps.max_orders_per_minute,
    )
