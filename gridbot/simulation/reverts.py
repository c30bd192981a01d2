"""Fixes taken out again, by name: patches of the product inside a simulated run, never a flag of the product.

So it can be shown that the seeds find a kind of mistake by themselves: with its fix out, a campaign has to fail. To add
one, write a function that gives the patch, and an entry of `REVERTS` with the invariants that must break.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from gridbot.core import Instrument, OrderUpdateEvent, PositionEvent
from gridbot.core.leg_history import LegHistory, Stated, Step
from gridbot.execution.executor import Executor
from gridbot.orders import life, life_moves, reconcile, reconcile_ends, reconcile_legs
from gridbot.orders.book import OrderBook
from gridbot.orders.ids import Owner, parse
from gridbot.orders.life_effects import Effect
from gridbot.orders.life_events import Revived, Withdrawn
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.reconcile_state import Recorded
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import Adjust
from gridbot.simulation import reverts_of_bounds as unbounded
from gridbot.simulation import reverts_of_catching_up as behind
from gridbot.simulation import reverts_of_contracts as contracts
from gridbot.simulation import reverts_of_counting as money
from gridbot.simulation import reverts_of_ways as ways
from gridbot.simulation import reverts_of_words as words
from gridbot.simulation.taken_out import noting_faults, replaced, replaced_in, together
from gridbot.state.holds_file import HoldsFile
from gridbot.state.state_log import Document, StateLog
from gridbot.worker import order_manager, strategy_runner

__all__ = ["REVERTS", "Revert", "reverted"]


@dataclass(frozen=True, slots=True)
class Revert:
    """`apply` makes the patch; `finds` are invariants of which one must then be found broken.

    `seed` is where a search begins: a seed of so many `minutes` that found it once, or one before; `dense` as drawn.
    """

    what: str
    finds: tuple[str, ...]
    seed: int
    apply: Callable[[], AbstractContextManager[Any]]
    minutes: float = 2.0
    dense: bool = False
    is_slow: bool = False
    """A run takes half a minute and more: too long for the usual suite."""


def _believe_a_lost_reply() -> AbstractContextManager[Any]:
    def reject(book: OrderBook, key: str, reason: str, ret_code: int | None = None) -> Transition | None:
        order = book.get(key)
        return None if order is None else book.move(order, OrderState.REJECTED, reason, ret_code=ret_code)

    return together(
        replaced(OrderBook, lose_reply=reject),
        _hold_for_over(),  # which would put it right later
    )


def _send_what_is_withdrawn() -> AbstractContextManager[Any]:
    real = life._HANDLERS[Withdrawn]

    def withdrawn(book: OrderBook, event: Withdrawn, now_s: float) -> list[Effect]:
        order = book.get(event.key)
        if order is None or order.create_tries.due_s is None:
            return real(book, event, now_s)
        book.withdraw(order, event.reason)
        return []

    return replaced_in(life._HANDLERS, {Withdrawn: withdrawn})


def _hold_for_over() -> AbstractContextManager[Any]:
    def ignore(book: OrderBook, event: Revived, now_s: float) -> list[Effect]:
        return []

    return replaced_in(life._HANDLERS, {Revived: ignore})


def _legs_by_arrival() -> AbstractContextManager[Any]:
    """Executions move a leg as they come, and a position row by REST overwrites it."""

    def add(history: LegHistory, step: Step) -> bool:
        history.steps.append(step)
        history.now, step.realised = step.after(history.now, history.direction)
        return False

    def believe(history: LegHistory, row: Stated) -> None:
        history.now = row.held

    def judge(turn: Turn, row: PositionEvent) -> None:
        ours = turn.view.ledger.legs.about(turn.view.strategies[row.symbol].owner.strat_id, row).at(Stated.of(row))
        if ours.size != row.size:
            turn.effects.append(Adjust(row, ours, "as it is listed"))

    return together(
        replaced(
            LegHistory,
            add=add,
            believe=believe,
            settle=lambda history: iter(()),
            at=lambda history, row: history.now,
        ),
        replaced(reconcile_legs, _judge=judge),
    )


def _keep_no_holds() -> AbstractContextManager[Any]:
    return replaced(HoldsFile, keep=lambda *_: None)


def _derive_the_owner() -> AbstractContextManager[Any]:
    real = reconcile.owns

    def owns(row: OrderUpdateEvent, owner: Owner, instrument: Instrument, recorded: Mapping[str, Recorded]) -> bool:
        said = parse(row.order_link_id)
        return real(row, owner, instrument, recorded) and said is not None and said.ticks == instrument.ticks(row.price)

    return together(*(replaced(module, owns=owns) for module in (reconcile, order_manager)))


def _keep_what_fits_no_level() -> AbstractContextManager[Any]:
    return replaced(life_moves, OFF_TICK="")


FILES_S = 10.0


def _save_states_beside_the_journal() -> AbstractContextManager[Any]:
    def keep(states: StateLog, name: str, document: Document, *, at_once: bool = False) -> None:
        states._newest[name] = {**document, "seq": states._recorder.last_seq}
        states._in_file.setdefault(name, 0)
        states._waiting.add(name)

    release, last_s = StateLog.release, [0.0]

    def seldom(states: StateLog) -> None:
        """A checkpoint alone, as often as that of the ledger."""
        now_s = states._recorder._clock.monotonic_s()
        if not 0.0 <= now_s - last_s[0] < FILES_S:
            last_s[0] = now_s
            release(states)

    return replaced(StateLog, keep=keep, release=seldom, executions_after=lambda *_: [])


def _wait_for_the_second() -> AbstractContextManager[Any]:
    return replaced(Executor, _ask_next_turn=lambda executor: None)


def _pause_for_nothing() -> AbstractContextManager[Any]:
    return replaced(strategy_runner, unusual=lambda execution: None)


def _ask_for_no_ends() -> AbstractContextManager[Any]:
    return replaced(reconcile_ends, on_listing=lambda *_: None)


REVERTS: dict[str, Revert] = {
    "trades-only": Revert("Only known trades move a leg.", ("money",), 1, money.book_all_as_trades),
    "fees-by-coin": Revert("Taxes count, and a fee in MNT is no USDT.", ("money",), 20, money.take_each_fee_for_usdt),
    "pause-unknown": Revert(
        "What may have moved a leg in a way that nobody knows pauses its strategy.",
        ("halted-sends-nothing",),
        1,
        _pause_for_nothing,
    ),
    "unseen-ends": Revert(
        "An order that ended while no worker followed it gets its last record.", ("records-rest",), 5, _ask_for_no_ends
    ),
    "count-once": Revert(
        "An execution that comes twice is counted once.", ("executions-once",), 57, money.count_always
    ),
    "page-once": Revert(
        "What paging brings of the minute before is not counted again.",
        ("executions-once",),
        10,
        money.count_what_is_paged_again,
    ),
    "own-by-id": Revert(
        "The id says whose an order is, whatever its price and today's tick size.",
        ("no-unknown-order", "one-order-per-level"),
        8,
        _derive_the_owner,
    ),
    "off-tick": Revert("What fits no level of today is cancelled.", ("order-rules",), 60, _keep_what_fits_no_level),
    "page-executions": Revert(
        "Missed executions are paged.", ("executions-once", "money"), 14, money.page_nothing, is_slow=True
    ),
    "tell-standstill": Revert(
        "When every order is refused, health and an alert say so.",
        ("standstill-is-told",),
        22,
        words.say_nothing_of_refusals,
    ),
    "ended-at-once": Revert(
        "An order that is accepted and ended at once counts as refused.",
        ("level-is-calm",),
        60,
        words.count_no_end_at_once,
    ),
    "keep-holds": Revert("Pause and halt outlive the process.", ("halted-sends-nothing",), 142, _keep_no_holds),
    "keep-latch": Revert("The loss latch outlives the process.", ("halted-sends-nothing",), 41, behind.keep_no_latch),
    "keep-cap-latch": Revert(
        "The latch of a cap outlives the process.",
        ("halted-sends-nothing",),
        246,
        behind.keep_no_cap_latch,
        is_slow=True,
    ),
    "margin-brake": Revert(
        "Above the margin ratio nothing is opened.", ("halted-sends-nothing",), 51, behind.brake_nothing
    ),
    "grant-wishes": Revert(
        "A pass asked for during one is another one.", ("reconcile-rules",), 10, behind.drop_the_wish
    ),
    "ask-for-missing": Revert(
        "The executions that a finished order lacks are asked for by its id.",
        ("fills-are-asked-for",),
        53,
        behind.ask_for_no_missing,
    ),
    "newest-row": Revert(
        "A row of a leg that is older than the one we have is ignored, whoever brings it.",
        ("leg-is-newest",),
        16,
        behind.take_older_rows,
    ),
    "exchange-order": Revert(
        "Executions alone make our legs, in the exchange's order.", ("money",), 81, _legs_by_arrival
    ),
    "look-up-lost-replies": Revert(
        "An order whose reply was lost is looked up, not given up.",
        ("no-unknown-order", "one-order-per-level"),
        35,
        _believe_a_lost_reply,
    ),
    "watermark": Revert(
        "Paging goes on where it was finished, not at the newest execution.",
        ("executions-once",),
        55,
        money.continue_at_the_newest,
        minutes=10.0,
        is_slow=True,
    ),
    "state-log": Revert(
        "A strategy's state is in the journal with the execution that made it.",
        ("grid",),
        44,
        _save_states_beside_the_journal,
    ),
    "withdrawn": Revert(
        "What is withdrawn before it is sent again is never sent.", ("order-rules",), 35, _send_what_is_withdrawn
    ),
    "pump-at-once": Revert(
        "What news made necessary leaves in the next turn.", ("queue-rules",), 16, _wait_for_the_second
    ),
    "final-yet-listed": Revert(
        "A listing that shows an order which is over for us revives it.",
        ("no-unknown-order", "one-order-per-level"),
        88,
        _hold_for_over,
    ),
    "price-band": Revert(
        "A level whose price the exchange would move waits.", ("level-is-calm",), 2, words.place_beyond_the_band
    ),
    "read-terms": Revert(
        "What the exchange allows is read again when it is not what it was.", ("mode-is-ours",), 57, words.read_no_terms
    ),
    "odd-rows": Revert(
        "A row that cannot be read stops its symbol alone.", ("account-is-followed",), 30, words.take_no_odd_row
    ),
    "one-symbol-refused": Revert(
        "A symbol that is gone refuses its strategy alone.", ("account-is-followed",), 45, words.refuse_the_account
    ),
    "shadow-funds": Revert(
        "What keeps a live strategy's funds fresh keeps those of a shadow.",
        ("shadow-is-fresh",),
        7,
        words.shadow_funds_go_stale,
    ),
    "told-once": Revert("A repetition of an incident only counts.", ("told-once",), 23, words.tell_again),
    "caps-told-once": Revert(
        "A cap that comes and goes with each order is one incident.", ("told-once",), 23, words.forget_the_cap_at_once
    ),
    "name-cover": Revert(
        "It is said whose order covers a leg that cannot be closed.",
        ("standstill-is-told",),
        48,
        words.name_no_cover,
    ),
    "read-notices": Revert(
        "What the exchange announces is read.", ("maintenance-is-told",), 221, contracts.read_no_notices
    ),
    "wait-to-trade": Revert(
        "A symbol that does not trade gets no orders.",
        ("nothing-in-vain", "level-is-calm"),
        331,
        contracts.order_before_it_trades,
    ),
    "delisting": Revert(
        "Before a delisting positions are reduced only.",
        ("nothing-in-vain", "level-is-calm"),
        38,
        contracts.open_until_delisted,
    ),
    "cut-legs": Revert(
        "A leg whose risk tier was cut is reduced only.",
        ("nothing-in-vain", "level-is-calm"),
        25,
        contracts.overlook_cuts,
    ),
    "one-way": Revert(
        "What a lost trade socket leaves unresolved is not sent by HTTP.",
        ("unresolved-stays",),
        2,
        ways.send_again_by_http,
    ),
    "lost-socket": Revert(
        "What was under way on a lost trade socket may have had its effect.",
        ("unresolved-stays",),
        3,
        ways.believe_a_lost_socket,
    ),
    "socket-in-a-ban": Revert(
        "During a ban of the address orders go on over the trade socket.",
        ("ban-is-kept",),
        342,
        ways.silence_the_socket,
    ),
    "bound-orders": Revert(
        "Finished orders are forgotten, the oldest first.", ("bounded",), 1, unbounded.keep_all_orders
    ),
    "bound-levels": Revert(
        "A level without an order is forgotten.", ("bounded", "order-rules"), 1, unbounded.keep_all_levels
    ),
    "bound-executions": Revert(
        "Ids of executions that are final are forgotten.", ("bounded",), 1, unbounded.keep_all_executions
    ),
    "bound-refusals": Revert(
        "Refusals that count for no breaker any more are forgotten.", ("bounded",), 23, unbounded.keep_all_refusals
    ),
    "bound-attempts": Revert(
        "Attempts that are a minute old are forgotten.", ("bounded",), 16, unbounded.keep_all_attempts
    ),
}


@contextlib.contextmanager
def reverted(names: Sequence[str]) -> Iterator[list[str]]:
    """Run with these fixes out. Gives what their replacements themselves raise, in sentences, when the block is over.

    Raises KeyError for an unknown name, Misfit for a replacement that cannot be called as what it replaces.
    """
    with noting_faults() as faults, contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(REVERTS[name].apply())
        yield faults
