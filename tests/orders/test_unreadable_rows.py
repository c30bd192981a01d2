"""Rows of the exchange that cannot be read: their symbols halt, and the rest of an answer counts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import pytest

from gridbot.core import WalletEvent
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.listing import Unreadable, UnreadableRows
from gridbot.orders import reconcile_words as words
from gridbot.orders.reconciliation import step
from tests.orders.helpers import INSTRUMENT
from tests.orders.model_exchange import Exchange
from tests.orders.reconcile_model import Account
from tests.orders.reconcile_talk import finish, go_on, only, resting

T = TypeVar("T", bound=words.Effect)
BUSY = make_error("busy", ErrorKind.RETRY)
SYMBOL = INSTRUMENT.symbol


@pytest.fixture
def account() -> Account:
    return Account(Exchange())


OURS = Unreadable(SYMBOL, "order/realtime: row 3: expected a status that we know, got 'Frozen'", 5)
THEIRS = Unreadable("NEWUSDT", "execution/list: row 0: expected side Buy or Sell, got ''", 5)


def effects_of(account: Account, event: words.Event, kind: type[T]) -> list[T]:
    _, effects = step(account.state, event, account.now, account.view)
    return [effect for effect in effects if isinstance(effect, kind)]


def test_a_row_of_ours_that_cannot_be_read_halts_its_strategy_and_nothing_seems_to_be_gone(account: Account) -> None:
    resting(account)
    account.want_pass()
    go_on(account, words.AskExecutions)
    asking = only(account, words.AskListing)
    answer = words.ListingAnswered(asking.question.who, [], [OURS])
    [halt] = effects_of(account, answer, words.Halt)
    assert halt.symbol == SYMBOL
    assert "Frozen" in halt.reason
    assert effects_of(account, answer, words.AskOrder) == [], "the missing order may be the row"
    [_] = effects_of(account, answer, words.AskPositions)  # the pass goes on
    [_] = effects_of(account, words.ListingAnswered(asking.question.who, []), words.AskOrder)


def test_a_row_of_nobody_that_cannot_be_read_is_told_once_until_a_listing_is_whole(account: Account) -> None:
    resting(account)

    def a_pass(*unreadable: Unreadable) -> int:
        before = len(account.alerts)
        account.want_pass()
        go_on(account, words.AskExecutions)
        asking = account.asking.pop()
        account.feed(
            words.ListingAnswered(asking.question.who, account.exchange.listing(account.exchange.now_ms), unreadable)
        )
        finish(account)
        return len(account.alerts) - before

    assert [a_pass(THEIRS), a_pass(THEIRS), a_pass(), a_pass(THEIRS)] == [1, 0, 0, 1]
    assert (account.alerts[0].level, account.alerts[0].key) == ("warning", "unreadable.NEWUSDT")
    assert {type(told) for told in account.told.values()} == {words.Finished}


@pytest.mark.parametrize(("unreadable", "complete_to"), [(THEIRS, 19_000_000), (OURS, 14_999_999)])
def test_the_watermark_waits_before_an_execution_of_ours_that_cannot_be_read(
    account: Account, unreadable: Unreadable, complete_to: int
) -> None:
    account.want_pass()
    asking = only(account, words.AskExecutions)
    row = replace(account.exchange.trade_by_hand(0), exchange_ts=19_000_000)
    answer = words.ExecutionsAnswered(asking.question.who, [row], [replace(unreadable, exchange_ts=15_000_000)])
    [advance] = effects_of(account, answer, words.Advance)
    assert advance.up_to_ms == complete_to
    assert len(effects_of(account, answer, words.Halt)) == (unreadable is OURS)


def test_legs_that_cannot_be_read_stay_as_they_were_and_the_pass_goes_on(account: Account) -> None:
    resting(account)
    account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    wallet = account.asking.pop()
    asking = only(account, words.AskPositions)
    account.feed(words.WalletAnswered(wallet.question.who, WalletEvent("USDT", Decimal(1))))
    answer = words.PositionsAnswered(asking.question.who, [], [OURS])
    assert [halt.symbol for halt in effects_of(account, answer, words.Halt)] == [SYMBOL]
    [_] = effects_of(account, answer, words.Finished)


def test_an_order_that_cannot_be_read_halts_its_strategy_and_the_pass_goes_on(account: Account) -> None:
    held = resting(account)
    account.exchange.orders.pop(next(iter(held.book)).link_id)
    account.want_pass()
    go_on(account, words.AskExecutions, words.AskListing)
    asking = only(account, words.AskOrder)
    answer = words.QueryFailed(asking.question.who, UnreadableRows("order/realtime: row 0", OURS))
    assert [halt.symbol for halt in effects_of(account, answer, words.Halt)] == [SYMBOL]
    [_] = effects_of(account, answer, words.AskPositions)
    assert effects_of(account, answer, words.Failed) == []


def test_missing_executions_that_cannot_be_read_halt_the_strategy_and_are_asked_for_again(account: Account) -> None:
    held = resting(account)
    [order] = held.book
    account.exchange.fill(order.link_id, order.qty, 60_000)
    account.hear(account.exchange.orders[order.link_id])
    account.feed(words.Time())
    account.mono_s += 2
    account.feed(words.Time())
    asking = only(account, words.AskExecutionsOf)
    answer = words.QueryFailed(asking.question.who, UnreadableRows("execution/list: row 0", OURS))
    state, effects = step(account.state, answer, account.now, account.view)
    assert [effect.symbol for effect in effects if isinstance(effect, words.Halt)] == [SYMBOL]
    due_s = state.missing[order.key].due_s
    assert due_s is not None
    assert due_s > account.mono_s
