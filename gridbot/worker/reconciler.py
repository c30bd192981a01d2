"""Reconciles with the exchange: at start, after every reconnect, each minute, and whenever something does not fit.

The shell of `orders/reconciliation.py`, which decides everything: what is asked, in which order, and what an answer
changes. Here each question becomes a task whose answer is fed back, and each other effect a call of the runner, the
order manager or the ledger concerned.

A strategy that raises on what it is told is halted, and the pass goes on for the others. Any other fault of ours breaks
off what is under way (`Broke`): nobody waits for ever, and the operator hears of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any

from gridbot.core import ExecutionEvent, WalletEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from gridbot.orders.order import TrackedOrder
from gridbot.orders.reconcile_state import (
    Report,
)
from gridbot.orders.reconcile_turn import FIRST_WAIT_S
from gridbot.orders.reconciliation import step
from gridbot.ports import ExchangeQueries, Timer
from gridbot.records import builders
from gridbot.records.record_types import ReconcileRecord
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_manager import LookUp
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Reconciler"]

log = logging.getLogger(__name__)

TIMER_MIN_S = 0.001


class Reconciler:
    """One per account; `runners` are the live strategies by symbol. Each wallet read goes to `on_wallet`."""

    def __init__(
        self,
        queries: ExchangeQueries,
        runners: Mapping[str, StrategyRunner],
        context: WorkerContext,
        *,
        on_wallet: Callable[[WalletEvent, str], None],
    ) -> None:
        self._queries = queries
        self._runners = runners
        self._context = context
        self._on_wallet = on_wallet
        self._state = states.ReconcileState(complete_to_ms=context.ledger.complete_to)
        held = {symbol: states.Held(r.strat_id, r.instrument, r.book) for symbol, r in runners.items()}
        self._view = states.View(held, context.ledger, context.retry)
        self._questions: set[asyncio.Task[None]] = set()
        self._told: dict[int, asyncio.Future[Report | None]] = {}
        self._tickets = 0
        self._timer: Timer | None = None
        self._stopped = False

    @property
    def last_s(self) -> float | None:
        """When the last complete pass ended, on the account's monotonic clock."""
        return self._state.last_s

    # ------------------------------------------------------------------ what is wanted

    def reconcile(self, reason: str) -> Coroutine[Any, Any, None]:
        """Ask for a full pass now; the coroutine waits for its end, and raises ExchangeError when it failed.

        During a pass this leads to another one, also when the coroutine is dropped.
        """
        return self._logged(reason, self._pass(reason))

    async def run(self, reason: str = "asked for") -> Report:
        """One full pass, recorded with its reason. Raises ExchangeError; what was applied before that stays."""
        return await self._pass(reason) or Report()

    async def positions(self, symbol: str) -> None:
        """Read both legs of a symbol; a reading by REST clears `unsure`. Raises ExchangeError."""
        ticket, told = self._ticket()
        self._feed(words.LegsWanted(symbol, ticket))
        await told

    async def wallet(self) -> None:
        """Read the wallet. Raises ExchangeError."""
        self._on_wallet(await self._queries.wallet(), "rest")

    async def measure_clock(self) -> None:
        """Measure the offset to the exchange's clock again: drift causes 10002 (incident L45)."""
        await self._queries.server_time_ms()

    def look_up(self, order: TrackedOrder) -> None:
        """Ask for one order in the background, until the exchange answers."""
        self._feed(words.LookUpWanted(order.symbol, order.key))

    def unsettled(self) -> bool:
        """Whether the executions of a finished order have been missing for over a second. Call it each second."""
        self._feed(words.Time())
        now_s = self._context.clock.monotonic_s()
        return any(now_s - missing.since_s > FIRST_WAIT_S for missing in self._state.missing.values())

    async def stop(self) -> None:
        """Ask nothing more, and tell those who wait."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._questions:
            task.cancel()
        await asyncio.gather(*self._questions, return_exceptions=True)
        for told in self._told.values():
            told.cancel()

    # ------------------------------------------------------------------ events in

    def _ticket(self) -> tuple[int, asyncio.Future[Report | None]]:
        self._tickets += 1
        told = self._told[self._tickets] = asyncio.get_running_loop().create_future()
        return self._tickets, told

    def _pass(self, reason: str) -> asyncio.Future[Report | None]:
        ticket, told = self._ticket()
        self._feed(words.Asked(reason, ticket))
        return told

    async def _logged(self, reason: str, told: asyncio.Future[Report | None]) -> None:
        report = await told or Report()
        level = logging.INFO if report.executions or report.adopted or report.looked_up else logging.DEBUG
        log.log(level, "reconciled (%s): %s", reason, report)

    def _feed(self, event: words.Event) -> None:
        """One step, and its effects at once. It never raises: somebody would wait for the answer in vain."""
        if not self._stopped:
            broken = self._step(event)
            if broken is not None:
                self._step(words.Broke(broken))
            self._set_timer()

    def _step(self, event: words.Event) -> Exception | None:
        """Carry out what one event leads to; the first fault of ours, if there was one."""
        clock = self._context.clock
        broken: Exception | None = None
        try:
            now = states.Now(clock.monotonic_s(), clock.wall_ms())
            self._state, effects = step(self._state, event, now, self._view)
        except Exception as error:
            log.exception("no step could be made from %s", type(event).__name__)
            return error
        for effect in effects:
            try:
                self._perform(effect if broken is None else _after_fault(effect, broken))
            except Exception as error:
                log.exception("%s could not be carried out", type(effect).__name__)
                broken = broken or error
        return broken

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self._state.next_due_s
        if due_s is not None:
            wait_s = max(due_s - self._context.clock.monotonic_s(), TIMER_MIN_S)
            self._timer = self._context.clock.call_later(wait_s, lambda: self._feed(words.Time()))

    # ------------------------------------------------------------------ questions

    async def _answer(self, question: words.Question) -> None:
        event: words.Event
        try:
            event = await self._query(question)
        except ExchangeError as error:
            log.log(
                logging.WARNING if question.who.part is states.Part.ORDER else logging.DEBUG,
                "asking for %s failed: %s",
                question,
                error,
            )
            event = words.QueryFailed(question.who, error)
        except Exception as error:
            log.exception("asking for %s failed", question)
            event = words.QueryFailed(question.who, error, is_fault=True)
        self._feed(event)

    async def _query(self, question: words.Question) -> words.Event:
        queries, who = self._queries, question.who
        match question:
            case words.AskExecutions():
                return words.ExecutionsAnswered(who, await queries.executions(question.from_ms))
            case words.AskExecutionsOf(_, symbol, link_id, order_id):
                rows = await queries.executions_of(symbol, order_link_id=link_id, order_id=order_id)
                return words.ExecutionsAnswered(who, rows)
            case words.AskListing():
                return words.ListingAnswered(who, await queries.open_orders())
            case words.AskOrder(_, symbol, link_id, order_id):
                found = await queries.find_order(symbol, order_link_id=link_id, order_id=order_id)
                return words.OrderAnswered(who, found)
            case words.AskPositions():
                return words.PositionsAnswered(who, await queries.positions(question.symbol))
            case words.AskWallet():
                return words.WalletAnswered(who, await queries.wallet())

    # ------------------------------------------------------------------ effects

    def _perform(self, effect: words.Effect | None) -> None:
        context = self._context
        match effect:
            case None:
                pass
            case words.Advance():
                context.ledger.complete(effect.up_to_ms)
            case words.TakeWallet():
                self._on_wallet(effect.wallet, "rest")
            case words.Alert():
                context.alert(effect.level, effect.key, effect.text, effect.strategy)
            case words.Finished() | words.Failed():
                self._tell(effect)
            case words.ApplyExecution() if effect.execution.symbol not in self._runners:
                self._record(effect.execution)
            case words.ApplyExecution():
                self._change(effect.execution.symbol, effect)
            case words.ApplyRow() | words.Adopt() | words.Revive() | words.TakePosition():
                self._change(effect.row.symbol, effect)
            case words.LookedUp() | words.Settle() | words.Align():
                self._change(effect.symbol, effect)
            case _:
                task = asyncio.create_task(self._answer(effect), name=f"reconciler: {type(effect).__name__}")
                self._questions.add(task)
                task.add_done_callback(self._questions.discard)

    def _change(self, symbol: str, effect: words.Effect) -> None:
        """Tell a strategy; one that raises is halted, and nobody else suffers."""
        runner = self._runners[symbol]
        try:
            _tell_strategy(runner, self._context, effect)
        except Exception as error:
            log.exception("%s could not take in %s", runner.strat_id, effect)
            runner.halt(f"{type(error).__name__}: {error}; the log file has the traceback")

    def _record(self, execution: ExecutionEvent) -> None:
        """Count and record an execution of a symbol that none of our strategies trades."""
        realised = self._context.ledger.apply("", execution)
        if realised is not None:
            record = builders.of_execution("", execution, realised, shadow=False, source="backfill")
            self._context.recorder.record(record)
            self._context.record_raw(builders.raw_execution("", execution))

    def _tell(self, end: words.Finished | words.Failed) -> None:
        """Record how a pass ended, and tell those who wait for it."""
        failed = end if isinstance(end, words.Failed) else None
        report = None if isinstance(end, words.Failed) else end.report
        if end.reason is not None:
            took_ms = round(end.took_s * 1000)
            error = "" if failed is None else str(failed.error)
            found = asdict(report or Report())
            record = ReconcileRecord(reason=end.reason, ok=failed is None, took_ms=took_ms, error=error, **found)
            self._context.recorder.record(record)
        for ticket in end.tickets:
            told = self._told.pop(ticket)
            if told.cancelled():
                continue
            if failed is None:
                told.set_result(report)
            else:
                told.set_exception(failed.error)
                told.exception()  # whoever asked may have stopped waiting


def _after_fault(effect: words.Effect, fault: Exception) -> words.Effect | None:
    """What becomes of an effect that follows one which could not be carried out: nothing counts as complete."""
    match effect:
        case words.Advance():
            return None
        case words.Finished():
            return words.Failed(effect.tickets, fault, effect.reason, effect.took_s)
    return effect


def _tell_strategy(runner: StrategyRunner, context: WorkerContext, effect: words.Effect) -> None:
    match effect:
        case words.ApplyExecution(execution):
            runner.on_execution(execution, source="backfill")
        case words.ApplyRow(row):
            runner.on_order_update(row)
        case words.Adopt(row):
            runner.orders.adopt(row, "reconcile")
        case words.Revive(row):
            runner.orders.revive(row)
        case words.LookedUp(_, key, finding):
            order = runner.book.get(key)
            if order is not None:
                runner.orders.on_look_up(order, LookUp[finding.name])
        case words.Settle(_, key):
            runner.book.settle(key)
        case words.TakePosition(row):
            runner.on_position_update(row, source="rest")
        case words.Align(_, direction, ours, size, entry):
            log.info(
                "%s %s: executions add up to %s, the exchange says %s @ %s; continuing from there",
                runner.strat_id,
                direction,
                ours,
                size,
                entry,
            )
            context.ledger.set_leg(runner.strat_id, direction, size, entry)
