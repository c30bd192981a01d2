"""The pass: what is asked in which order, wishes meanwhile, and how it is broken off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import pytest

from gridbot.core import Direction, Side, WalletEvent
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.listing import Unreadable, UnreadableRows
from gridbot.exchange.remedies import with_reading_remedy
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from gridbot.orders.book import OrderBook
from gridbot.orders.former_ids import hash_of
from gridbot.orders.order import OrderState
from gridbot.orders.reconciliation import step
from tests.orders.helpers import INSTRUMENT, begin_cancel, hold_for_gone, make_order
from tests.orders.model_exchange import Exchange
from tests.orders.reconcile_model import STRATEGY, Account, Told
from tests.orders.reconcile_talk import finish, go_on, only, resting

T = TypeVar("T", bound=words.Effect)
BUSY = make_error("busy", ErrorKind.RETRY)
SYMBOL = INSTRUMENT.symbol
WALLET = WalletEvent("USDT", Decimal(1))


@pytest.fixture
def account() -> Account:
    return Account(Exchange())


def test_a_pass_asks_for_executions_then_orders_then_legs_and_wallet_at_once(account: Account) -> None:
    resting(account)
    ticket = account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    assert [type(each.question) for each in account.asking] == [words.AskPositions, words.AskWallet]
    assert finish(account) == ["AskPositions", "AskWallet", "AskExecutions", "AskExecutions"], "nothing was traded yet"
    end = account.told[ticket]
    assert isinstance(end, words.Finished)
    assert (end.reason, end.report, account.state.last_s) == ("asked for", states.Report(), account.mono_s)
    assert account.state.run is None
    account.want_pass()
    assert finish(account) == ["AskExecutions", "AskListing", "AskPositions", "AskWallet"], "the legs add up now"


def test_a_pass_ends_with_the_last_leg_or_the_wallet_whichever_comes_last(account: Account) -> None:
    """Of two symbols, in any order; what fails breaks it off, and what comes later counts for nobody."""
    held = resting(account)
    other = replace(held, instrument=replace(INSTRUMENT, symbol="ETHUSDT"), book=OrderBook(INSTRUMENT))
    account.view = replace(account.view, strategies={SYMBOL: held, "ETHUSDT": other})
    for first in range(3):
        ticket = account.want_pass()
        go_on(account, words.AskExecutions, words.AskListing)
        assert [type(each.question) for each in account.asking] == [words.AskPositions] * 2 + [words.AskWallet]
        asked = [account.asking[(first + each) % 3] for each in range(3)]
        for asking in asked:
            assert ticket not in account.told
            account.asking.remove(asking)
            who = asking.question.who
            is_wallet = isinstance(asking.question, words.AskWallet)
            account.feed(words.WalletAnswered(who, WALLET) if is_wallet else words.PositionsAnswered(who, []))
        assert isinstance(account.told[ticket], words.Finished)
    ticket = account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    late = list(account.asking)
    account.fail(late[1], BUSY)
    assert isinstance(account.told[ticket], words.Failed)
    account.feed(words.WalletAnswered(late[2].question.who, WALLET))
    account.feed(words.PositionsAnswered(late[0].question.who, []))
    assert (account.state.run, account.state.legs) == (None, {})


def test_a_start_owes_what_it_has_not_paged_until_the_next_pass(account: Account) -> None:
    account.ledger.last_exec_ts = account.exchange.now_ms = account.state.complete_to_ms + 10_000
    account.want_pass("start")
    assert only(account, words.AskExecutions).question.from_ms == account.state.complete_to_ms + 5_000  # type: ignore[union-attr]
    finish(account)
    assert account.state.owes_rest
    account.want_pass()
    finish(account)
    assert not account.state.owes_rest


def test_the_report_counts_what_was_found(account: Account) -> None:
    held = resting(account)
    missing, listed = make_order(50, ticks=1005), make_order(51, ticks=1006)
    theirs = account.exchange.accept(make_order(52, ticks=1007), 0)
    account.exchange.orders["by hand"] = theirs
    account.exchange.listed_from["by hand"] = 0
    account.exchange.accept(listed, 0)
    held.book.add(missing)
    account.exchange.fill(next(iter(held.book)).link_id, missing.qty, 0)
    ticket = account.want_pass()
    account.exchange.now_ms += 10_000
    finish(account)
    end = account.told[ticket]
    assert isinstance(end, words.Finished)
    assert end.report == states.Report(executions=1, adopted=2, looked_up=1, foreign_orders=0)


def test_missing_orders_are_asked_for_before_the_legs_are_read(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    account.exchange.cancel(order.link_id)
    account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    assert account.state.run is not None
    assert (account.state.run.phase, account.state.run.waiting) == (states.Phase.ORDERS, {order.key})
    go_on(account, words.AskOrder)
    assert order.state is OrderState.CANCELLED
    only(account, words.AskPositions)


def test_an_order_that_waits_for_another_try_is_not_asked_for(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    account.exchange.cancel(order.link_id)
    account.view = states.View({SYMBOL: held}, account.ledger, {order.key}, account.recorded)
    account.want_pass()
    assert "AskOrder" not in finish(account)


def test_a_contradicted_end_is_asked_for_and_revived(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    hold_for_gone(held.book, order.key, "a stale answer")
    account.want_pass()
    assert "AskOrder" in finish(account)
    assert list(held.book) == [order]
    assert order.state is OrderState.OPEN


def test_a_contradicted_end_whose_order_waits_for_another_try_stays(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    hold_for_gone(held.book, order.key, "a stale answer")
    account.view = states.View({SYMBOL: held}, account.ledger, {order.key}, account.recorded)
    account.want_pass()
    assert "AskOrder" not in finish(account)


def test_a_cancel_without_effect_is_sent_again_by_a_listing_alone(account: Account) -> None:
    """The stream told nothing and nobody looked the order up: it stayed withdrawn and resting for good."""
    held = resting(account)
    [order] = held.book
    begin_cancel(held.book, order.key, "outside_grid")
    account.cancel_answered(order)
    account.want_pass()
    assert "AskOrder" not in finish(account)
    assert account.cancelled_again == [order.key]
    assert (order.cancelling, order.cancel_tries.made) == (True, 1)


def test_a_listing_asked_for_before_the_cancel_was_answered_repeats_nothing(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    account.want_pass()
    begin_cancel(held.book, order.key, "outside_grid")
    go_on(account, words.AskExecutions)
    account.cancel_answered(order)
    finish(account)
    assert account.cancelled_again == []
    account.want_pass()
    go_on(account, words.AskExecutions)
    order.cancelling = True  # by a look-up, meanwhile
    go_on(account, words.AskListing)
    assert account.cancelled_again == []


def test_wishes_during_a_pass_lead_to_one_more(account: Account) -> None:
    first = account.want_pass("first")
    second, third = account.want_pass("second"), account.want_pass("third")
    assert len(account.asking) == 1
    finish(account)
    ends = [account.told[ticket] for ticket in (first, second, third)]
    assert [end.reason for end in ends] == ["first", "second", "second"]
    assert ends[1] is ends[2]


PHASES: list[tuple[list[type[words.Question]], type[words.Question]]] = [
    ([], words.AskExecutions),
    ([words.AskExecutions], words.AskListing),
    ([words.AskExecutions, words.AskListing], words.AskOrder),
    ([words.AskExecutions, words.AskListing, words.AskOrder], words.AskExecutions),
    ([words.AskExecutions, words.AskListing, words.AskOrder, words.AskExecutions], words.AskPositions),
]


@pytest.mark.parametrize(("before", "failing"), PHASES)
def test_a_failure_in_any_phase_breaks_the_pass_off_and_grants_the_wish(
    account: Account, before: list[type[words.Question]], failing: type[words.Question]
) -> None:
    held = resting(account)
    [order] = held.book
    account.exchange.fill(order.link_id, order.qty, 30_000)
    first = account.want_pass()
    second = account.want_pass("again")
    go_on(account, *before)
    account.fail(only(account, failing), BUSY)
    end = account.told[first]
    assert isinstance(end, words.Failed)
    assert (end.error, end.reason) == (BUSY, "asked for")
    assert account.state.failure == with_reading_remedy(BUSY)
    finish(account)
    assert account.state.failure == ""
    assert isinstance(account.told[second], words.Finished)


def test_late_failures_and_answers_of_a_pass_that_is_over_change_nothing(account: Account) -> None:
    account.want_pass()
    late = [states.Who(part, "0", 99) for part in states.Part]
    events: list[Callable[[states.Who], words.Event]] = [
        lambda who: words.QueryFailed(who, BUSY),
        lambda who: words.ExecutionsAnswered(who, []),
    ]
    before = account.state
    for who in late:
        for event in events:
            account.feed(event(who))
    account.feed(words.ListingAnswered(late[0], []))
    account.feed(words.WalletAnswered(late[0], None))  # type: ignore[arg-type]
    account.feed(words.OrderAnswered(late[1], None))
    account.feed(words.PositionsAnswered(late[3], []))
    assert account.state == before
    finish(account)
    account.feed(words.QueryFailed(late[0], BUSY))
    assert account.state.run is None


def test_an_order_is_looked_up_between_passes_too(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    account.exchange.cancel(order.link_id)
    account.feed(words.LookUpWanted(SYMBOL, order.key))
    account.mono_s += 1
    account.feed(words.Time())
    assert finish(account) == ["AskOrder"]
    assert order.state is OrderState.CANCELLED
    assert account.state.run is None


def test_legs_are_read_between_passes_too(account: Account) -> None:
    for ticket in (1, 2):
        account.feed(words.LegsWanted(SYMBOL, ticket))
    account.fail(account.asking[0], BUSY)
    assert account.told[1] == words.Failed((1,), BUSY)
    assert finish(account) == ["AskPositions", "AskExecutions", "AskExecutions"]
    assert account.told[2] == words.Finished((2,))


def test_a_fault_of_ours_is_told_and_breaks_off_what_is_under_way(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    account.feed(words.LookUpWanted(SYMBOL, order.key))
    filled = make_order(60, ticks=1009)
    held.book.add(filled)
    hold_for_gone(held.book, filled.key, "over")
    filled.cum_exec_qty = filled.qty
    lost = make_order(61, ticks=1010)
    held.book.add(lost)
    row = account.exchange.accept(lost, 0)
    account.exchange.fill(lost.link_id, lost.qty, 60_000)
    account.hear(account.exchange.orders[row.order_link_id])
    account.feed(words.Time())
    ticket = account.want_pass()
    account.feed(words.LegsWanted(SYMBOL, 99))
    account.mono_s += 1
    account.feed(words.Time())
    account.asking.clear()
    error = RuntimeError("ours")
    account.feed(words.Broke(error))
    assert account.told[99] == words.Failed((99,), error)
    assert isinstance(account.told[ticket], words.Failed)
    assert [fault.error for fault in account.faults] == [error]
    assert account.state.run is None
    assert account.state.next_due_s == account.mono_s + 2
    account.feed(words.Broke(error))


def test_a_fault_while_asking_is_told(account: Account) -> None:
    account.want_pass()
    account.fail(account.asking[0], ValueError("unreadable"), is_fault=True)
    [fault] = account.faults
    assert (fault.part, str(fault.error), fault.symbol) == ("comparing with the exchange", "unreadable", "")


@pytest.mark.parametrize("part", ["an order", "missing executions", "legs"])
def test_a_fault_while_asking_about_a_symbol_belongs_to_its_strategy(account: Account, part: str) -> None:
    held = resting(account)
    [order] = held.book
    if part == "an order":
        account.feed(words.LookUpWanted(SYMBOL, order.key))
    elif part == "legs":
        account.feed(words.LegsWanted(SYMBOL, 99))
    else:
        account.exchange.fill(order.link_id, order.qty, 60_000)
        account.hear(account.exchange.orders[order.link_id])
        account.feed(words.Time())
    account.mono_s += 2
    account.feed(words.Time())
    account.fail(account.asking[0], ValueError("unreadable"), is_fault=True)
    assert [fault.symbol for fault in account.faults] == [SYMBOL]


def test_a_watermark_that_could_not_be_noted_is_not_believed(account: Account) -> None:
    ahead = states.ReconcileState(complete_to_ms=account.ledger.complete_to + 5)
    state, _ = step(ahead, words.Broke(OSError("the disk is full")), account.now, account.view)
    assert state.complete_to_ms == account.ledger.complete_to


@pytest.mark.parametrize("part", ["listing", "an order", "missing executions"])
def test_what_cannot_be_read_halts_its_symbol_and_breaks_no_pass_off(account: Account, part: str) -> None:
    """`test_unreadable_rows` has what becomes of each."""
    held = resting(account)
    [order] = held.book
    bad = Unreadable(SYMBOL, "row 3", 5)
    if part == "missing executions":
        account.exchange.fill(order.link_id, order.qty, 60_000)
        account.hear(account.exchange.orders[order.link_id])
        account.feed(words.Time())
        account.mono_s += 2
        account.feed(words.Time())
    else:
        account.exchange.orders.pop(order.link_id)
        account.want_pass()
        go_on(account, words.AskExecutions, *([words.AskListing] if part == "an order" else []))
    who = account.asking[0].question.who
    answer = words.QueryFailed(who, UnreadableRows("row 3", bad))
    _, effects = step(
        account.state, words.ListingAnswered(who, [], [bad]) if part == "listing" else answer, account.now, account.view
    )
    assert [effect.symbol for effect in effects if isinstance(effect, words.Halt)] == [SYMBOL]
    assert not any(isinstance(effect, words.Failed) for effect in effects)


@pytest.mark.parametrize("count", [1, 5])
def test_orders_that_ended_while_no_worker_followed_them_get_their_last_record(account: Account, count: int) -> None:
    """Of many the list of what ended last is read; no pass waits for it."""
    for ticks in range(1000, 1000 + count):
        resting(account, ticks)
    account.record()
    for link_id in list(account.exchange.orders):
        account.exchange.cancel(link_id)
    account.die()
    account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    assert len(account.recorded) == count
    assert ("AskClosed" in finish(account)) is (count > 1)
    assert account.recorded == {}


def test_an_order_of_the_layout_before_that_a_hand_moved_meanwhile_is_adopted(account: Account) -> None:
    """Issue 11: its id no longer fits its price, but our records know it."""
    order = make_order(ticks=993)
    link_id = order.link_id = f"{hash_of(STRATEGY, SYMBOL, Side.BUY, 1000, Direction.LONG)}-7"
    row = account.exchange.accept(order, 0)
    account.recorded[link_id] = Told(link_id, row.order_id)
    account.exchange.now_ms += 10_000
    ticket = account.want_pass()
    finish(account)
    end = account.told[ticket]
    assert isinstance(end, words.Finished)
    assert end.report == states.Report(adopted=1)
    [held] = account.book
    assert (held.link_id, held.ticks) == (link_id, 993)


def test_a_fault_of_ours_while_an_end_is_asked_for_names_the_symbol(account: Account) -> None:
    resting(account)
    account.record()
    account.exchange.cancel(next(iter(account.exchange.orders)))
    account.die()
    account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    [asking] = [each for each in account.asking if each.question.who.part is states.Part.END]
    account.fail(asking, ValueError("odd"), is_fault=True)
    [fault] = account.faults
    assert (fault.part, fault.symbol) == ("looking up an order", SYMBOL)
    assert account.recorded
