"""What follows from an event without a look at anything else."""

from __future__ import annotations

from gridbot.core import OrderStatus, PositionEvent, WalletEvent
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
