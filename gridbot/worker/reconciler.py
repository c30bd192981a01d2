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
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any

from gridbot import background
from gridbot.core import WalletEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from gridbot.orders.order import TrackedOrder
from gridbot.orders.reconcile_state import Report
from gridbot.orders.reconcile_turn import FIRST_WAIT_S
from gridbot.orders.reconciliation import step
from gridbot.ports import ExchangeQueries, Timer
from gridbot.worker.context import WorkerContext
from gridbot.worker.job_watch import Reading
from gridbot.worker.reconcile_calls import (
    WAITED_FOR,
    answer_of,
    record_end,
    record_unfollowed,
    record_unseen_end,
    record_untraded,
    tell_strategy,
)
from gridbot.worker.reconcile_waiters import Waiters
from gridbot.worker.refused_strategies import NOBODY, RefusedStrategies
from gridbot.worker.startup import CLOCK_AGE_S
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Reconciler"]

log = logging.getLogger(__name__)

TIMER_MIN_S = 0.001
REST_WITHIN_S = 15.0
"""So long after a start everything is paged that it has left out; the periodic pass mostly comes sooner."""
ASKED = {
    words.AskOrder: ("look_up", "reading the state"),
    words.AskExecutions: ("executions", "reading executions"),
    words.AskExecutionsOf: ("missing", "reading the missing executions"),
    words.AskClosed: ("closed", "reading which orders have ended"),
}
"""What is asked for until it is answered, in words. It is about an order; `AskClosed` is about all that have ended."""


class Reconciler:
    """One per account; `runners` are the live strategies by symbol, `refused` those that could not start.

    Each wallet read goes to `on_wallet`; `saw` hears the id of each order that an answer names.
    """

    def __init__(
        self,
        queries: ExchangeQueries,
        runners: Mapping[str, StrategyRunner],
        context: WorkerContext,
        *,
        on_wallet: Callable[[WalletEvent, str], None],
        refused: RefusedStrategies = NOBODY,
        saw: Callable[[str], None] | None = None,
    ) -> None:
        self._saw = saw
        self._queries = queries
        self._runners = runners
        self._context = context
        self._on_wallet = on_wallet
        self._refused = refused
        self._state = states.ReconcileState(complete_to_ms=context.ledger.complete_to)
        held = {symbol: states.Held(r.orders.owner, r.instrument, r.book) for symbol, r in runners.items()}
        self._held = held
        recorded, tag = context.recorded, context.account_tag
        self._view = states.View(held, context.ledger, context.retry, recorded.by_key, tag, recorded.known)
        self._questions: dict[asyncio.Task[None], None] = {}
        self._waiters = Waiters()
        self._timer: Timer | None = None
        self._stopped = False

    @property
    def last_s(self) -> float | None:
        """When the last complete pass ended, on the account's monotonic clock."""
        return self._state.last_s

    @property
    def open_questions(self) -> list[str]:
        """Legs that our executions do not add up to until a second reading decides, and orders that ended unseen."""
        legs = (f"{direction} of {symbol}" for symbol, direction in self._state.doubts)
        return sorted([*legs, *self._state.ends.orders])

    @property
    def has_questions(self) -> bool:
        """Whether there are any `open_questions`."""
        return bool(self._state.doubts or self._state.ends.orders)

    @property
    def asks(self) -> bool:
        """Whether anything is open between two passes: a leg, or an order that ended unseen or lacks executions."""
        return bool(self._state.doubts or self._state.ends.orders or self._state.missing)

    # ------------------------------------------------------------------ strategies come and go

    def enroll(self, runner: StrategyRunner) -> None:
        """A live strategy has come: the next pass reads its orders and legs."""
        self._held[runner.symbol] = states.Held(runner.orders.owner, runner.instrument, runner.book)

    def may_withdraw(self, symbol: str) -> bool:
        """Whether nothing is asked about a symbol now."""
        state = self._state
        asked = [look.symbol for look in state.looking.values()]
        asked += [missing.symbol for missing in state.missing.values()]
        asked += [legs.symbol for legs in state.legs.values()]
        return state.run is None and symbol not in asked

    def withdraw(self, symbol: str) -> None:
        """Its strategy is gone. Only while `may_withdraw`."""
        self._held.pop(symbol, None)
        doubts = {name: doubt for name, doubt in self._state.doubts.items() if name[0] != symbol}
        self._state = replace(self._state, doubts=doubts)

    # ------------------------------------------------------------------ what is wanted

    def reconcile(self, reason: str) -> Coroutine[Any, Any, None]:
        """Ask for a full pass now; the coroutine waits for its end, and raises ExchangeError when it failed.

        During a pass this leads to another one, also when the coroutine is dropped.
        """
        ticket, told = self._waiters.ticket()
        self._feed(words.Asked(reason, ticket, self._gap_ms()))
        return _logged(reason, told)

    async def run(self, reason: str = "asked for") -> Report:
        """One full pass, recorded with its reason. Raises ExchangeError; what was applied before that stays."""
        ticket, told = self._waiters.ticket()
        self._feed(words.Asked(reason, ticket, self._gap_ms()))
        return await told or Report()

    async def begin(self, *, knows_last: bool = True) -> Report:
        """The pass of a start, as `run`; it leaves to the next one the executions that an earlier life has counted.

        Not where another host had the account until now (`knows_last` is false): then it pages all since the watermark.
        """
        ticket, told = self._waiters.ticket()
        counted_ms = self._context.ledger.last_exec_ts if knows_last else None
        self._feed(words.Asked("start", ticket, self._gap_ms(), counted_ms))
        return await told or Report()

    async def positions(self, symbol: str) -> None:
        """Read both legs of a symbol; a reading by REST clears `unsure`. Raises ExchangeError."""
        if symbol not in self._held:
            return  # its strategy was removed since somebody asked
        ticket, told = self._waiters.ticket()
        self._feed(words.LegsWanted(symbol, ticket))
        await told

    async def wallet(self) -> None:
        """Read the wallet. Raises ExchangeError."""
        self._on_wallet(await self._queries.wallet(), "rest")

    async def measure_clock(self) -> None:
        """Measure the offset to the exchange's clock again: drift causes 10002 (incident L45). One account for all."""
        await self._queries.server_time_ms(max_age_s=CLOCK_AGE_S)

    def look_up(self, order: TrackedOrder) -> None:
        """Ask for one order in the background, until the exchange answers."""
        self._feed(words.LookUpWanted(order.symbol, order.key))

    def again(self, of: Iterable[StrategyRunner] | None = None) -> str:
        """Why another pass is needed, whoever asked for the last one; "" for none. Call it each second.

        `of`: the strategies whose orders may have ended unseen, for whoever knows that others have not.
        """
        state = self._state
        is_unsettled = any(runner.book.unsettled() for runner in (self._runners.values() if of is None else of))
        if is_unsettled or state.missing or state.next_due_s is not None:
            self._feed(words.Time())  # else nothing is due, and there is nothing new to ask for
        now_s = self._context.clock.monotonic_s()
        if any(now_s - missing.since_s > FIRST_WAIT_S for missing in self._state.missing.values()):
            return "executions of a finished order are missing"
        if state.owes_rest and state.last_s is not None and now_s - state.last_s > REST_WITHIN_S:
            return "the start has paged the last moment only"
        return "the last one failed" if self._state.failure else ""

    @property
    def behind(self) -> str:
        """Why executions that the exchange made may not be counted yet; "" when nothing says so."""
        if self._state.failure:
            return f"comparing with the exchange failed, it is tried again each 10 s: {self._state.failure}"
        return "what the private stream missed is not read yet" if self.misses_news else ""

    @property
    def misses_news(self) -> bool:
        """Whether the private stream was away, and what happened meanwhile is not read yet."""
        return self._context.requests.has_gap or self._state.has_gap

    async def stop(self) -> None:
        """Ask nothing more, and tell those who wait."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._questions:
            task.cancel()
        await asyncio.gather(*self._questions, return_exceptions=True)
        self._waiters.close()

    # ------------------------------------------------------------------ events in

    def _feed(self, event: words.Event) -> None:
        """One step, and its effects at once. It never raises: somebody would wait for the answer in vain."""
        if not self._stopped:
            broken = self._step(event)
            if broken is not None:
                again = self._step(words.Broke(broken))
                if again is not None:
                    self._context.faults.report("comparing with the exchange", again)
            self._forget_given_up()
            self._set_timer()

    def _forget_given_up(self) -> None:
        """What nobody asks any more is not told as failing."""
        state = self._state
        orders = {*state.looking, *state.missing, *state.ends.orders}
        kinds = {kind for kind, _ in ASKED.values()}
        self._context.jobs.asked_still(kinds, orders | {""} if state.ends.orders else orders)

    def _step(self, event: words.Event) -> Exception | None:
        """Carry out what one event leads to; the first fault of ours, if there was one."""
        clock = self._context.clock
        broken: Exception | None = None
        try:
            wall_ms = clock.wall_ms()
            now = states.Now(clock.monotonic_s(), wall_ms, wall_ms + self._queries.clock_offset_ms)
            self._state, effects = step(self._state, event, now, self._view)
        except Exception as error:  # noqa: BLE001 - `Broke` reports it
            return error
        for effect in effects:
            try:
                self._perform(effect if broken is None else _after_fault(effect, broken))
            except Exception as error:  # noqa: BLE001 - `Broke` reports it
                broken = broken or error
        return broken

    def _gap_ms(self) -> int | None:
        """The start of the oldest gap that waits for a pass, which is noted by our clock, by the exchange's."""
        gap_ms = self._context.requests.take_gap()
        return None if gap_ms is None else gap_ms + self._queries.clock_offset_ms

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self._state.next_due_s
        if due_s is not None:
            wait_s = max(due_s - self._context.clock.monotonic_s(), TIMER_MIN_S)
            self._timer = self._context.clock.call_later(wait_s, lambda: self._feed(words.Time()))

    # ------------------------------------------------------------------ effects

    def _perform(self, effect: words.Effect | None) -> None:
        context = self._context
        match effect:
            case None:
                pass
            case words.Advance():
                context.ledger.reached(complete_to=effect.up_to_ms)
            case words.TakeWallet():
                self._on_wallet(effect.wallet, "rest")
            case words.Alert():
                context.alert(effect.level, effect.key, effect.text, effect.strategy)
            case words.ReportFault(part, error, symbol):
                context.faults.report(part, error, symbol)
            case words.Finished() | words.Failed():
                self._waiters.tell(effect)
                record_end(context, effect)
            case words.ApplyExecution() if effect.execution.symbol not in self._runners:
                record_untraded(context, effect.execution, self._refused)
            case words.ApplyExecution():
                tell_strategy(self._runners[effect.execution.symbol], context, effect)
            case words.ApplyRow() | words.Adopt() | words.Revive() | words.TakePosition() | words.Adjust():
                tell_strategy(self._runners[effect.row.symbol], context, effect)
            case words.EndUnseen():
                record_unseen_end(context, effect)
            case words.RestsUnfollowed(row):
                record_unfollowed(context, row, self._refused)
            case words.LookedUp() | words.Restate() | words.Settle() | words.Halt():
                tell_strategy(self._runners[effect.symbol], context, effect)
            case _:
                task = background.start(self._ask(effect), name=f"the reconciler's {type(effect).__name__}")
                self._questions[task] = None
                task.add_done_callback(self._questions.pop)

    async def _ask(self, question: words.Question) -> None:
        # Of a host each row is heard, also of what is counted: another holder of the account may have made it.
        is_new = self._context.ledger.is_new if self._saw is None else None
        answer = await answer_of(self._queries, question, is_new)
        self._watch(question, answer)
        if self._saw is not None and isinstance(answer, words.ListingAnswered | words.ExecutionsAnswered):
            for row in answer.rows:
                self._saw(row.order_link_id)
        match question, answer:
            case words.AskPositions(), words.PositionsAnswered(rows=[], unreadable=()):
                # Hedge mode has rows of flat legs too: a hand has changed it.
                self._context.requests.read_terms(question.symbol)
        self._feed(answer)

    def _watch(self, question: words.Question, answer: words.Event) -> None:
        """What nobody waits for is asked until it is answered; if that takes minutes, it is told.

        What a pass or a reading of positions asks fails with its job.
        """
        error = answer.error if isinstance(answer, words.QueryFailed) else None
        if question.who.part not in WAITED_FOR and (error is None or isinstance(error, ExchangeError)):
            kind, in_words = ASKED[type(question)]
            reading = Reading(kind, in_words, question.who.subject)
            self._context.jobs.ended(reading, error, self._context.clock.monotonic_s())


async def _logged(reason: str, told: asyncio.Future[Report | None]) -> None:
    report = await told or Report()
    level = logging.INFO if report.executions or report.adopted or report.looked_up else logging.DEBUG
    log.log(level, "reconciled (%s): %s", reason, report)


def _after_fault(effect: words.Effect, fault: Exception) -> words.Effect | None:
    """What becomes of an effect that follows one which could not be carried out: nothing counts as complete."""
    match effect:
        case words.Advance():
            return None
        case words.Finished():
            return words.Failed(effect.tickets, fault, effect.reason, effect.took_s)
    return effect
