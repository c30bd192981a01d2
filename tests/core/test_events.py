"""What follows from an event without a look at anything else."""

from __future__ import annotations

from gridbot.core import OrderStatus, PositionEvent, WalletEvent
from gridbot.core.events import CoinBalance
from tests.core.helpers import LONG, SHORT, SYMBOL, d, fill


def test_open_order_statuses():
    names = {status.value for status in OrderStatus if status.is_open}
    assert names == {"New", "PartiallyFilled", "Untriggered", "Triggered"}


def test_executions_and_positions_know_what_they_are():
    assert (fill("1").is_close, fill("1").direction) == (False, LONG)
    closing = fill("1", closed_size=d(1))
    assert (closing.is_close, closing.direction) == (True, SHORT)
    assert PositionEvent(SYMBOL, LONG, d(2), d(50)).entry_value == 100
    assert PositionEvent(SYMBOL, LONG, d(2)).entry_value == 0


def test_a_wallet_without_a_row_of_the_coin_has_new_totals_and_the_coins_old_figures():
    before = WalletEvent("USDT", d(100), equity=d(101), unrealised_pnl=d(1), available_balance=d(50), exchange_ts=1)
    frame = WalletEvent("USDT", None, available_balance=d(40), total_equity=d(140), exchange_ts=2, has_coin=False)
    after = frame.on_top_of(before)
    assert (after.wallet_balance, after.equity, after.unrealised_pnl) == (100, 101, 1)
    assert (after.available_balance, after.total_equity, after.exchange_ts, after.has_coin) == (40, 140, 2, True)
    assert frame.on_top_of(None) is frame
    assert before.on_top_of(after) is before


def test_other_coins_stay_until_they_change_or_a_whole_wallet_has_them_no_more():
    mnt, btc = CoinBalance("MNT", d(10), d(5)), CoinBalance("BTC", d("0.1"))
    before = WalletEvent("USDT", d(100), others=(mnt, btc), exchange_ts=1)
    less = CoinBalance("MNT", d(9), d(4))
    frame = WalletEvent("USDT", None, has_coin=False, others=(less,), exchange_ts=2)
    after = frame.on_top_of(before)
    assert (after.wallet_balance, after.others) == (100, (less, btc))
    assert WalletEvent("USDT", d(101)).on_top_of(before).others == (mnt, btc)
    whole = WalletEvent("USDT", d(101), others=(btc,), is_whole=True)
    assert whole.on_top_of(before) is whole
    empty = WalletEvent("USDT", None, has_coin=False, is_whole=True)
    assert (empty.on_top_of(before).others, empty.on_top_of(before).wallet_balance) == ((), 100)


def test_a_coin_has_a_price_where_the_exchange_values_it():
    assert CoinBalance("MNT", d(10), d(5)).price == d("0.5")
    for balance, usd in (("0", d(0)), ("10", None), ("10", d(0))):
        assert CoinBalance("MNT", d(balance), usd).price is None
