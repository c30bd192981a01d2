"""How we become equal to the exchange again: what is asked, in which order, and what each answer changes. Pure.

A pass runs at start, after every reconnect, each minute, and whenever something does not fit::

    idle ──Asked──► EXECUTIONS ──► LISTING ──► ORDERS ──► FIGURES ──► idle
     ▲               since the       rows        missing or     all legs and │
     │               watermark,      applied,    contradicted   the wallet,  │
     │               applied,        adopted     orders by id   taken as     │
     │               it moves                                   they come    │
     └── QueryFailed in any phase: the pass is broken off, what was applied stays ◄┘

    Asked during a pass is a wish: when the pass has ended, in whatever way, another one begins.

The order matters: executions since the watermark are applied *first*, in exchange order; then the complete list of open
orders is compared. So a fill in the gap reaches the grid before its order can be taken for cancelled (incident L18).
The watermark is moved by finished paging alone, never by a live fill, which may come before older ones (incident L49).
A start trades sooner: it pages since shortly before the newest execution that is counted, and the legs are compared
with that before anything trades. It moves no watermark, and the next pass, seconds later, pages everything: so it is
where a worker that never died is between two passes.
After a gap of the private stream paging begins at the gap's start if that is earlier: a pass during the gap has moved
the watermark on, and only the list, which may be late, tells of what came before. While the exchange's clock is behind
the watermark, since it was set back, paging begins where the last one was asked (`set_back`).

| event | in | leads to |
|---|---|---|
| Asked | idle / a pass | AskExecutions / a wish |
| ExecutionsAnswered | EXECUTIONS | ApplyExecution for each new one, Advance, AskListing |
| ListingAnswered | LISTING | ApplyRow, Adopt, Revive (cancel without effect); AskOrder (missing, contradicted); legs |
| ListingAnswered | LISTING | EndUnseen is due for what is open by our records alone; Restate (`reconcile_ends`) |
| ListingAnswered, OrderAnswered | any | EndUnseen, where it was asked for that and nothing has executed |
| ExecutionsAnswered | any | EndUnseen, where an order that has ended unseen had executed |
| OrderAnswered | ORDERS, or between passes | ApplyRow, Revive, LookedUp (`reconcile_look_ups`) |
| PositionsAnswered | FIGURES, or between passes | TakePosition, Adjust, or AskExecutions first (`reconcile_legs`) |
| WalletAnswered | FIGURES | TakeWallet |
| the last of both | FIGURES | Finished |
| LookUpWanted, Time | any | AskOrder and AskExecutionsOf when due; Settle |
| any answer | any | Halt of the symbols that a row of it, which cannot be read, is about; the rest of it counts |
| QueryFailed | any | Failed for a pass or reading; look-ups are asked again, after 1, 2, 4 … 30 s |
| Broke | any | as QueryFailed for all that is under way, and ReportFault; paging begins where it began |

Executions count whoever asked for them and whatever has become of the asker. Of other answers only the one counts that
its part still waits for. Effects are to be carried out at once and in order: the next step sees what they did.
"""

from __future__ import annotations

from dataclasses import replace

from gridbot.core import ExecutionEvent, WalletEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.listing import UnreadableRows
from gridbot.exchange.remedies import with_reading_remedy
from gridbot.orders import reconcile_ends as ends
from gridbot.orders import reconcile_legs as legs
from gridbot.orders import reconcile_look_ups as look_ups
from gridbot.orders.reconcile import answered_cancels, compare
from gridbot.orders.reconcile_state import (
    Now,
    Part,
    Pass,
    Phase,
    ReconcileState,
    View,
    Who,
    Wish,
)
from gridbot.orders.reconcile_turn import Turn, earlier
from gridbot.orders.reconcile_words import (
    Adopt,
    ApplyRow,
    Asked,
    AskListing,
    AskWallet,
    Effect,
    Event,
    ExecutionsAnswered,
    Failed,
    Finished,
    LegsWanted,
    ListingAnswered,
    LookUpWanted,
    OrderAnswered,
    PositionsAnswered,
    QueryFailed,
    ReportFault,
    Revive,
    TakeWallet,
    Time,
    WalletAnswered,
)

__all__ = ["step"]

FOR_THE_PASS = 0
"""The first ticket of legs that a pass reads; that of the next symbol is one less."""


def step(state: ReconcileState, event: Event, now: Now, view: View) -> tuple[ReconcileState, list[Effect]]:
    """Apply one event, then ask what is due. `view` is only read."""
    turn = Turn(state, view, now)
    _on_event(turn, event)
    look_ups.ask_due(turn)
    ends.ask_due(turn)
    return turn.state, turn.effects


def _on_event(turn: Turn, event: Event) -> None:
    match event:
        case Time():
            pass  # `step` asks what is due after every event
        case Asked():
            _on_asked(turn, event)
        case LookUpWanted():
            look_ups.want(turn, event.symbol, event.key)
        case LegsWanted():
            legs.begin(turn, event.symbol, event.ticket)
        case ExecutionsAnswered():
            _on_executions(turn, event)
        case ListingAnswered() if event.who.part is Part.END:
            ends.on_closed(turn, event.who, event.rows)
        case ListingAnswered():
            _on_listing(turn, event)
        case OrderAnswered() if event.who.part is Part.END:
            ends.on_order(turn, event.who, event.row)
        case OrderAnswered():
            if look_ups.on_order(turn, event.who, event.row):
                _order_done(turn, event.who.subject)
        case PositionsAnswered():
            bad = turn.set_aside(event.unreadable)
            _legs_done(turn, legs.on_positions(turn, event.who, () if bad else event.rows))
        case WalletAnswered():
            _on_wallet(turn, event.who, event.wallet)
        case QueryFailed():
            _on_failure(turn, event)
        case _:
            _on_broke(turn, event.error)


def _on_executions(turn: Turn, event: ExecutionsAnswered) -> None:
    who = event.who
    turn.set_aside(event.unreadable)
    is_whole = _is_whole(turn, who)
    fresh = turn.apply(event.rows, since_watermark=is_whole, unreadable=event.unreadable)
    match who.part:
        case Part.PASS:
            if not is_whole:
                turn.change(paged_ms=max([turn.state.paged_ms, *(row.exchange_ts for row in event.rows)]))
            _after_executions(turn, who, fresh)
        case Part.ORDER:
            if look_ups.on_executions(turn, who):
                _order_done(turn, who.subject)
        case Part.MISSING:
            look_ups.on_missing_executions(turn, who, event.rows)
        case Part.END:
            ends.on_executions(turn, who, event.rows)
        case _:
            _legs_done(turn, legs.on_executions(turn, who, fresh))


def _is_whole(turn: Turn, who: Who) -> bool:
    """Whether an answer has all executions since the watermark and its overlap."""
    match who.part:
        case Part.MISSING | Part.END:
            return False
        case Part.LEGS:
            return legs.pages_all(turn, who)
        case Part.PASS:
            return who.number != turn.state.moment
    return True


# ---------------------------------------------------------------------- the pass


def _on_asked(turn: Turn, event: Asked) -> None:
    run, wish = turn.state.run, turn.state.wish
    asked = Wish(event.reason, (event.ticket,), event.since_ms, event.counted_ms)
    if run is None:
        _begin(turn, asked)
    elif wish is None:
        turn.change(wish=replace(asked, counted_ms=None))
    else:
        since_ms = earlier(wish.since_ms, event.since_ms)
        turn.change(wish=replace(wish, tickets=(*wish.tickets, event.ticket), since_ms=since_ms))


def _begin(turn: Turn, wish: Wish) -> None:
    number = turn.number()
    gap_ms = earlier(turn.state.gap_from_ms, wish.since_ms)
    turn.change(run=Pass(number, wish, turn.now.mono_s), wish=None, gap_from_ms=gap_ms)
    who = Who(Part.PASS, "", number)
    if wish.counted_ms is None or not turn.ask_last_moment(who, wish.counted_ms):
        turn.ask_executions(who)


def _in(turn: Turn, who: Who, phase: Phase) -> Pass | None:
    """The pass, if it is in this phase and waits for this answer."""
    run = turn.state.run
    return run if run is not None and run.number == who.number and run.phase is phase else None


def _after_executions(turn: Turn, who: Who, fresh: list[ExecutionEvent]) -> None:
    run = _in(turn, who, Phase.EXECUTIONS)
    if run is not None:
        report = replace(run.report, executions=len(fresh))
        cancels = {key: n for held in turn.view.strategies.values() for key, n in answered_cancels(held.book).items()}
        paged = turn.state.gap_from_ms, turn.state.set_back
        run = replace(run, phase=Phase.LISTING, asked_ms=turn.now.wall_ms, cancels=cancels, paged=paged, report=report)
        turn.change(run=run, gap_from_ms=None)
        if who.number != turn.state.moment:
            now, complete_ms = turn.now, turn.state.complete_to_ms
            set_back = turn.state.set_back.answered(complete_ms, now.exchange_ms, now.mono_s)
            turn.change(owes_rest=False, set_back=set_back)
        turn.effects.append(AskListing(who))


def _on_listing(turn: Turn, event: ListingAnswered) -> None:
    run, rows = _in(turn, event.who, Phase.LISTING), event.rows
    if run is None:
        return
    report, waiting = run.report, set[str]()
    bad = turn.set_aside(event.unreadable)
    turn.change(unreadable=turn.state.unreadable & bad)
    for symbol, held in turn.view.strategies.items():
        if symbol in bad:
            continue  # an order that seems to be missing may be the row that cannot be read
        plan = compare(
            held.book,
            rows,
            owner=held.owner,
            instrument=held.instrument,
            asked_ms=run.asked_ms,
            cancels=run.cancels,
            recorded=turn.view.by_record,
        )
        turn.effects += [ApplyRow(row) for row in (*plan.update, *plan.foreign, *plan.gone)]
        turn.effects += [Revive(row) for row in plan.undone]
        turn.effects += [Adopt(row) for row in plan.adopt]
        for row in plan.revive:
            order = held.book.get(row.order_link_id) or held.book.get(row.order_id)
            if order is not None and look_ups.ask_now(turn, order, contradicted=True):
                waiting.add(order.key)
        waiting |= {order.key for order in plan.missing if look_ups.ask_now(turn, order)}
        report = replace(
            report,
            adopted=report.adopted + len(plan.adopt),
            looked_up=report.looked_up + len(plan.missing) + len(plan.revive),
            foreign_orders=report.foreign_orders + len(plan.foreign),
        )
    ends.on_listing(turn, rows, bad)
    _wait_for(turn, replace(run, phase=Phase.ORDERS, report=report), frozenset(waiting))


def _order_done(turn: Turn, key: str) -> None:
    run = turn.state.run
    if run is not None and key in run.waiting:
        _wait_for(turn, run, run.waiting - {key})


def _wait_for(turn: Turn, run: Pass, waiting: frozenset[str]) -> None:
    """Wait for the answers about these orders, then read the legs and the wallet, all at once."""
    turn.change(run=replace(run, waiting=waiting))
    if waiting:
        return
    symbols = {FOR_THE_PASS - number: symbol for number, symbol in enumerate(turn.view.strategies)}
    turn.change(run=replace(run, waiting=waiting, phase=Phase.FIGURES, legs=frozenset(symbols), has_wallet=False))
    for ticket, symbol in symbols.items():
        legs.begin(turn, symbol, ticket)
    turn.effects.append(AskWallet(Who(Part.PASS, "", run.number)))


def _legs_done(turn: Turn, ticket: int | None) -> None:
    run = turn.state.run
    if ticket is None:
        return
    if run is None or ticket > FOR_THE_PASS:
        turn.effects.append(Finished((ticket,)))
    else:
        _end_with(turn, replace(run, legs=run.legs - {ticket}))


def _on_wallet(turn: Turn, who: Who, wallet: WalletEvent) -> None:
    run = _in(turn, who, Phase.FIGURES)
    if run is not None and not run.has_wallet:
        turn.effects.append(TakeWallet(wallet))
        _end_with(turn, replace(run, has_wallet=True))


def _end_with(turn: Turn, run: Pass) -> None:
    """One more figure is taken; the pass ends with the last one."""
    if run.legs or not run.has_wallet:
        turn.change(run=run)
        return
    now_s = turn.now.mono_s
    turn.effects.append(Finished(run.wish.tickets, run.wish.reason, run.report, now_s - run.started_s))
    turn.change(run=None, last_s=now_s, failure="")
    _grant(turn)


def _grant(turn: Turn) -> None:
    """Begin the pass that was asked for during the last one."""
    if turn.state.wish is not None:
        _begin(turn, turn.state.wish)


# ---------------------------------------------------------------------- failures


def _on_failure(turn: Turn, event: QueryFailed) -> None:
    who, run = event.who, turn.state.run
    if event.is_fault:
        of_order = who.part in (Part.ORDER, Part.END, Part.MISSING)
        part = "looking up an order" if of_order else "comparing with the exchange"
        turn.effects.append(ReportFault(part, event.error, _symbol_of(turn, who)))
    match who.part:
        case Part.PASS:
            if run is not None and run.number == who.number:
                _break_off(turn, event.error)
        case Part.ORDER:
            look_ups.on_failure(turn, who)
            if isinstance(event.error, UnreadableRows):
                turn.set_aside([event.error.unreadable])
                _order_done(turn, who.subject)
            elif run is not None and who.subject in run.waiting:
                _break_off(turn, event.error)
        case Part.END:
            ends.on_failure(turn, who, event.error)
        case Part.MISSING:
            look_ups.on_missing_failure(turn, who)
            if isinstance(event.error, UnreadableRows):
                turn.set_aside([event.error.unreadable])
        case _:
            _legs_failed(turn, who, event.error)


def _legs_failed(turn: Turn, who: Who, error: Exception) -> None:
    ticket = int(who.subject)
    reading = turn.state.legs.get(ticket)
    if reading is None or reading.number != who.number:
        return
    if ticket <= FOR_THE_PASS:
        _break_off(turn, error)
    else:
        legs.drop(turn, ticket)
        turn.effects.append(Failed((ticket,), error))


def _break_off(turn: Turn, error: Exception) -> None:
    run = turn.state.run
    if run is not None:
        for ticket in run.legs:
            legs.drop(turn, ticket)
        took_s = turn.now.mono_s - run.started_s
        turn.effects.append(Failed(run.wish.tickets, error, run.wish.reason, took_s))
        failure = with_reading_remedy(error) if isinstance(error, ExchangeError) else str(error) or type(error).__name__
        turn.change(run=None, failure=failure)
        _grant(turn)


def _on_broke(turn: Turn, error: Exception) -> None:
    turn.effects.append(ReportFault("comparing with the exchange", error))
    turn.change(complete_to_ms=turn.view.ledger.complete_to)
    if turn.state.run is not None and turn.state.run.paged is not None:
        gap_ms, set_back = turn.state.run.paged  # what was paged may not have been counted
        turn.change(gap_from_ms=gap_ms, set_back=set_back)
    for key, entry in turn.state.looking.items():
        look_ups.on_failure(turn, Who(Part.ORDER, key, entry.number))
    for key, missing in turn.state.missing.items():
        look_ups.on_missing_failure(turn, Who(Part.MISSING, key, missing.number))
    ends.on_failure(turn, Who(Part.END, "", turn.state.ends.number), error)
    for ticket in [each for each in turn.state.legs if each > FOR_THE_PASS]:
        legs.drop(turn, ticket)
        turn.effects.append(Failed((ticket,), error))
    _break_off(turn, error)


def _symbol_of(turn: Turn, who: Who) -> str:
    """The symbol that a question is about; empty for one about the account."""
    match who.part:
        case Part.END if who.subject in turn.view.recorded:
            return turn.view.recorded[who.subject].symbol
        case Part.ORDER if who.subject in turn.state.looking:
            return turn.state.looking[who.subject].symbol
        case Part.MISSING if who.subject in turn.state.missing:
            return turn.state.missing[who.subject].symbol
        case Part.LEGS if int(who.subject) in turn.state.legs:
            return turn.state.legs[int(who.subject)].symbol
    return ""
