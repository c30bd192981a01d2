"""Where paging of executions begins: at the watermark, at the start of a gap, at a start in its last moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.core import Side
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders import reconcile_words as words
from gridbot.orders.reconcile_turn import MOMENT_MS, NEWEST_MS
from tests.orders.model_exchange import Exchange
from tests.orders.reconcile_model import Account
from tests.orders.reconcile_talk import finish, go_on, only

BUSY = make_error("busy", ErrorKind.RETRY)


@pytest.fixture
def account() -> Account:
    return Account(Exchange())


def begin_of_paging(account: Account) -> int:
    asked = only(account, words.AskExecutions).question
    assert isinstance(asked, words.AskExecutions)
    return asked.from_ms


def test_after_a_gap_everything_since_its_start_is_paged_until_that_was_answered(account: Account) -> None:
    """A pass during the gap moved the watermark on; the list has an execution of before only now."""
    complete_ms, gap_ms = account.state.complete_to_ms + 600_000, account.state.complete_to_ms + 200_000
    account.ledger.reached(complete_to=complete_ms)
    account.state = replace(account.state, complete_to_ms=complete_ms)
    account.exchange.now_ms = complete_ms
    account.feed(words.Asked("the private stream reconnected", 1, gap_ms))
    assert begin_of_paging(account) == gap_ms - OVERLAP_MS
    account.feed(words.Asked("again", 2, gap_ms + 5))
    account.feed(words.Asked("and again", 3, gap_ms + 1))
    account.feed(words.Asked("no gap", 4))
    account.fail(only(account, words.AskExecutions), BUSY)
    assert begin_of_paging(account) == gap_ms - OVERLAP_MS, "a pass that failed has paged nothing"
    finish(account)
    account.feed(words.Asked("gap during a pass", 5))
    assert not account.state.has_gap
    account.feed(words.Asked("gap during a pass", 6, gap_ms + 7))
    assert account.state.has_gap
    go_on(account, words.AskExecutions)
    account.fail(only(account, words.AskListing), BUSY)
    assert begin_of_paging(account) == gap_ms + 7 - OVERLAP_MS, "the wish has a gap of its own"
    finish(account)
    account.feed(words.Asked("no gap any more", 7))
    assert begin_of_paging(account) == complete_ms - OVERLAP_MS


def paged_from(account: Account) -> list[int]:
    """Answer everything; where each paging of executions began."""
    begun = []
    while account.asking:
        question = account.asking[0].question
        begun += [question.from_ms] if isinstance(question, words.AskExecutions) else []
        account.answer(account.asking[0], account.exchange.now_ms)
    return begun


def started_anew(account: Account, *, lost: bool) -> None:
    """A fill came by the stream (`lost`: not) a minute before the death, another one behind it; a third one since."""
    orders = [account.place(ticks, Side.BUY) for ticks in (1000, 1001, 1002)]
    for order in orders:
        account.hear(account.exchange.accept(order, 0))
    account.exchange.now_ms += 10_000
    account.want_pass()
    finish(account)
    first, _ = account.exchange.fill(orders[0].link_id, orders[0].qty, 0)
    if not lost:
        account.count(first)
    account.exchange.now_ms += 60_000
    second, _ = account.exchange.fill(orders[1].link_id, orders[1].qty, 0)
    account.count(second)
    account.record()
    account.die()
    account.exchange.now_ms += 500
    account.exchange.fill(orders[2].link_id, orders[2].qty, 0)


def test_a_start_pages_the_last_moment_and_the_next_pass_everything(account: Account) -> None:
    started_anew(account, lost=False)
    complete_ms, counted_ms = account.state.complete_to_ms, account.ledger.last_exec_ts
    account.want_pass("start")
    assert paged_from(account) == [counted_ms - MOMENT_MS], "the legs add up"
    assert len(account.counted) == 3
    assert (account.state.complete_to_ms, account.state.owes_rest) == (complete_ms, True)
    account.want_pass("periodic")
    assert paged_from(account) == [complete_ms - OVERLAP_MS]
    assert (account.state.complete_to_ms, account.state.owes_rest) == (account.exchange.now_ms, False)


def test_what_the_last_moment_does_not_explain_has_everything_paged_before_a_start_ends(account: Account) -> None:
    """The stream had lost a fill a minute before the death: the legs tell, and nothing trades before it is counted."""
    started_anew(account, lost=True)
    complete_ms = account.state.complete_to_ms
    ticket = account.want_pass("start")
    counted_ms, newest_ms = account.ledger.last_exec_ts, account.exchange.now_ms
    assert paged_from(account) == [counted_ms - MOMENT_MS, newest_ms - NEWEST_MS, complete_ms - OVERLAP_MS]
    assert isinstance(account.told[ticket], words.Finished)
    assert set(account.counted.values()) == {1}
    assert len(account.counted) == 3
    assert account.state.doubts == {}


def test_a_pass_that_is_asked_for_while_a_start_reads_pages_everything(account: Account) -> None:
    started_anew(account, lost=False)
    account.want_pass("start")
    account.want_pass("start")
    account.fail(only(account, words.AskExecutions), BUSY)
    assert begin_of_paging(account) == account.state.complete_to_ms - OVERLAP_MS
    finish(account)
    assert not account.state.owes_rest


@pytest.mark.parametrize("back_ms", [3_000, 25_000, 90_000, 600_000])
@pytest.mark.parametrize("dies", [False, True])
def test_what_happens_while_the_exchanges_clock_was_set_back_is_paged(back_ms: int, *, dies: bool) -> None:
    """By its time it is older than all that is counted; the stream is dark, so the list alone tells of it."""
    account = Account(Exchange())
    account.want_pass()
    finish(account)
    for ticks, seconds in ((1000, 61), (1001, 61), (1002, 700)):
        account.exchange.skew_ms = 0 if ticks == 1000 else -back_ms
        order = account.place(ticks, Side.BUY)
        account.hear(account.exchange.accept(order, 0))
        account.exchange.now_ms += seconds * 1000
        account.mono_s += seconds
        execution, _ = account.exchange.fill(order.link_id, order.qty, 0)
        if dies and ticks == 1001:
            account.die()
        account.want_pass()
        finish(account)
        assert account.counted[execution.exec_id] == 1
    assert account.state.set_back.since_ms is None, "its clock has caught up"


def test_what_was_paged_and_could_not_be_counted_is_paged_again(account: Account) -> None:
    """A fault of ours after it, such as a full disk: neither a gap nor that the clock was set back is forgotten."""
    complete_ms = account.state.complete_to_ms
    account.exchange.now_ms, account.exchange.skew_ms = complete_ms + 200_000, -400_000
    account.feed(words.Asked("a gap", 1, complete_ms - 300_000))
    before = account.state
    assert before.set_back.since_ms is not None
    go_on(account, words.AskExecutions)
    assert not account.state.has_gap
    account.feed(words.Broke(OSError("the disk is full")))
    assert (account.state.gap_from_ms, account.state.set_back) == (before.gap_from_ms, before.set_back)
