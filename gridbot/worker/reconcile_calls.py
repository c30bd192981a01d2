"""Whom the reconciler calls: the exchange with its questions, runners and ledger with its other effects."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

from gridbot.core import ExecutionEvent, OrderUpdateEvent, PositionEvent
from gridbot.core.leg_history import Holding
from gridbot.exchange.failures import ExchangeError
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from gridbot.orders.order import Transition
from gridbot.orders.reconcile_state import Report
from gridbot.ports import ExchangeQueries
from gridbot.records import builders, unfollowed_orders
from gridbot.records.record_types import ReconcileRecord
from gridbot.risk.unusual import unusual
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_manager import LookUp
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = [
    "WAITED_FOR",
    "answer_of",
    "record_end",
    "record_unfollowed",
    "record_unseen_end",
    "record_untraded",
    "tell_strategy",
]

log = logging.getLogger(__name__)

WAITED_FOR = (states.Part.PASS, states.Part.LEGS)
"""Whose questions somebody waits for, who is told when they fail."""


async def answer_of(
    queries: ExchangeQueries, question: words.Question, is_new: Callable[[str, int], bool] | None = None
) -> words.Event:
    """Ask the exchange. Never raises: that there is no answer is an answer.

    `is_new` says of an execution by id and time (ms) whether it is not counted yet; the others need not be read.
    """
    try:
        return await _ask(queries, question, is_new)
    except ExchangeError as error:
        alone = question.who.part not in WAITED_FOR
        log.log(logging.WARNING if alone else logging.DEBUG, "%s failed: %s", question, error)
        return words.QueryFailed(question.who, error)
    except Exception as error:
        log.exception("%s failed", question)
        return words.QueryFailed(question.who, error, is_fault=True)


async def _ask(
    queries: ExchangeQueries, question: words.Question, is_new: Callable[[str, int], bool] | None
) -> words.Event:
    who = question.who
    match question:
        case words.AskExecutions():
            executions = await queries.executions(question.from_ms, is_new=is_new)
            return words.ExecutionsAnswered(who, executions, executions.unreadable)
        case words.AskExecutionsOf(_, symbol, link_id, order_id):
            rows = await queries.executions_of(symbol, order_link_id=link_id, order_id=order_id)
            return words.ExecutionsAnswered(who, rows)
        case words.AskListing():
            orders = await queries.open_orders()
            return words.ListingAnswered(who, orders, orders.unreadable)
        case words.AskOrder(_, symbol, link_id, order_id):
            found = await queries.find_order(symbol, order_link_id=link_id, order_id=order_id)
            return words.OrderAnswered(who, found)
        case words.AskClosed(_, wanted):
            closed = await queries.closed_orders(wanted)
            return words.ListingAnswered(who, closed, closed.unreadable)
        case words.AskPositions(_, _, rows) if rows:
            return words.PositionsAnswered(who, rows)
        case words.AskPositions():
            positions = await queries.positions(question.symbol)
            return words.PositionsAnswered(who, positions, positions.unreadable)
        case words.AskWallet():
            return words.WalletAnswered(who, await queries.wallet())


def record_untraded(context: WorkerContext, execution: ExecutionEvent, refused: RefusedStrategies) -> None:
    """Count and record an execution of a symbol that nobody trades, or whose strategy could not start.

    What would pause the strategy if it traded pauses it for its next start.
    """
    strategy = refused.of_symbol(execution.symbol)
    strat_id = "" if strategy is None or strategy.shadow else strategy.strat_id
    realised = context.ledger.apply(strat_id, execution)
    context.record_corrections()
    if realised is None:
        return
    context.recorder.record(builders.of_execution(strat_id, execution, realised, shadow=False, source="backfill"))
    context.record_raw(builders.raw_execution(strat_id, execution))
    found = unusual(execution)
    if found is not None:
        context.requests.check_money()
        if strat_id and found.pauses is not None:
            refused.pause(strat_id, found.pauses, found.text)
            text = f"{execution.symbol}: {found.text}; the strategy is paused"
            context.alert(found.level, f"{found.kind}.{execution.symbol}", text, strat_id)
        else:
            context.alert("warning", f"unusual.{execution.symbol}", f"{execution.symbol}: {found.text}", strat_id)


def record_unseen_end(context: WorkerContext, end: words.EndUnseen) -> None:
    """Give an order that has ended unseen its last record."""
    newest = context.recorded.by_key.get(end.key)
    if newest is not None:
        last = unfollowed_orders.of_end(newest, end.row)
        context.record_order(last)
        log.info("%s: %s is %s: %s", newest.strategy or newest.symbol, end.key, last.state, last.reason)


def record_unfollowed(context: WorkerContext, row: OrderUpdateEvent, refused: RefusedStrategies) -> None:
    """Record that an order rests, of a strategy that could not start or of a symbol that nobody trades any more."""
    strategy = refused.of_symbol(row.symbol)
    last = unfollowed_orders.of_resting("" if strategy is None else strategy.strat_id, row)
    context.record_order(last)
    log.info("%s: %s is %s: %s", last.strategy or last.symbol, row.order_link_id, last.state, last.reason)


def record_end(context: WorkerContext, end: words.Finished | words.Failed) -> None:
    """Record the end of a pass; a reading of positions leaves no record."""
    if end.reason is None:
        return
    failed = isinstance(end, words.Failed)
    report = Report() if isinstance(end, words.Failed) else end.report or Report()
    context.tallies.compared(None if failed else report)
    error = str(end.error) if isinstance(end, words.Failed) else ""
    took_ms = round(end.took_s * 1000)
    record = ReconcileRecord(reason=end.reason, ok=not failed, took_ms=took_ms, error=error, **asdict(report))
    context.recorder.record(record)


def tell_strategy(runner: StrategyRunner, context: WorkerContext, effect: words.Effect) -> None:
    """Tell a strategy; one that raises is halted, and nobody else suffers."""
    with context.faults.contained(f"{runner.symbol}: taking in {type(effect).__name__}", runner.symbol):
        _tell(runner, context, effect)


def _tell(runner: StrategyRunner, context: WorkerContext, effect: words.Effect) -> None:
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
        case words.Restate(_, key):
            order = runner.book.get(key)
            if order is not None and order.state.is_final is (key in context.recorded.by_key):
                again = Transition(order, order.state, order.state, "its record had found no room")
                context.record_order(builders.of_transition(again, shadow=False))
        case words.Settle(_, key):
            order = runner.book.get(key)
            if order is not None:
                runner.orders.give_up_executions(order)
        case words.Halt(_, reason):
            runner.halt(reason)
        case words.TakePosition(row):
            runner.on_position_update(row, source="rest")
        case words.Adjust(row, ours, reason):
            _adjust(runner, context, row, ours, reason)


def _adjust(runner: StrategyRunner, context: WorkerContext, row: PositionEvent, ours: Holding, reason: str) -> None:
    """The ledger goes on from what the exchange says, and a record says so."""
    log.info(
        "%s %s: executions add up to %s @ %s, the exchange says %s @ %s, and goes on from there: %s",
        runner.strat_id,
        row.direction,
        ours.size,
        ours.entry,
        row.size,
        row.entry_price,
        reason,
    )
    context.ledger.believe(runner.strat_id, row)
    context.record_corrections()
    context.recorder.record(builders.of_adjustment(runner.strat_id, row, ours, reason))
