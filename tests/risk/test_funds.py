"""What an account can afford (docs/risk.md 6.3, incidents L9 and L56)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import Direction, WalletEvent
from gridbot.core.margin import order_cost, reserve_fee
from gridbot.risk.funds import FRESH_S, LONGEST_ANSWER_S, PROBE_S, Funds, margin_needed
from tests.case_table import case_table
from tests.risk.helpers import NOW, wallet

D = Decimal


def funds(available: str | None) -> Funds:
    return Funds().seen(wallet(available=available), NOW)


@case_table(
    ("direction", "notional", "leverage", "need"),
    [
        (Direction.LONG, "250", "10", "26.52431250"),
        (Direction.SHORT, "250", "10", "26.55318750"),
        (Direction.LONG, "250", None, "262.644375"),
        (Direction.LONG, "100", "0", "105.057750"),
    ],
)
def test_an_open_needs_its_margin_and_both_fees_and_a_twentieth(
    direction: Direction, notional: str, leverage: str | None, need: str
) -> None:
    """An unknown leverage counts as 1."""
    assert margin_needed(direction, D(notional), None if leverage is None else D(leverage)) == D(need)


@case_table("direction", Direction)
@case_table("leverage", [1, 10, 45, 50, 100, 125])
@case_table("fee", ["0.0004", "0.00055", "0.000649"])
def test_no_open_is_let_through_that_the_exchange_locks_more_for(direction: Direction, leverage: int, fee: str) -> None:
    """Above 45x both fees are more than a twentieth of the margin; an account with GST pays 18 % more of them."""
    value, rate = D(400), reserve_fee(D(fee))
    assert margin_needed(direction, value, D(leverage)) >= order_cost(direction, value, D(leverage), rate)


def test_what_was_promised_is_spent_until_the_next_figure() -> None:
    known = funds("50").promising(D("26.25"), None).promising(D("0.75"), None)
    assert (known.available, known.promised, known.probe_s) == (D(23), D(27), None)
    assert (known.wallet, known.known_s) == (wallet(available="50"), NOW)
    assert known.fresh(NOW) == D(23)
    known = known.seen(wallet(available="40", ts=2), NOW + 1)
    assert (known.available, known.known_s) == (40, NOW + 1), "the exchange has taken it off itself"


def test_an_older_figure_is_not_taken() -> None:
    known = funds("50").promising(D(10), None)
    assert known.seen(wallet(available="99", ts=0), NOW + 1) is known
    assert known.seen(wallet(available="99", ts=1), NOW).available == 99, "of the same time, but news"


def test_an_older_figure_counts_when_it_was_asked_for_after_the_other_came() -> None:
    """The exchange's clock was set back; for as long as an answer may take, it may be the older one after all."""
    known = funds("50").confirmed(NOW + 1).promising(D(10), None)
    back = wallet(available="40", ts=0)
    assert known.seen(back, NOW + LONGEST_ANSWER_S, was_asked=True) is known
    assert known.seen(back, NOW + LONGEST_ANSWER_S + 1) is known, "the stream also repeats what is old"
    taken = known.seen(back, NOW + LONGEST_ANSWER_S + 1, was_asked=True)
    assert (taken.available, taken.came_s) == (40, NOW + LONGEST_ANSWER_S + 1)


def test_a_figure_is_fresh_for_45_seconds_and_a_live_private_stream_keeps_it_young() -> None:
    known = funds("7")
    assert [known.fresh(NOW + wait_s) for wait_s in (FRESH_S, FRESH_S + 0.1)] == [7, None]
    known = known.promising(D(1), None).confirmed(NOW + FRESH_S)
    assert [known.fresh(NOW + 2 * FRESH_S + late) for late in (0, 0.1)] == [6, None]
    assert FRESH_S == 45


def test_a_figure_that_nobody_has_is_never_fresh_however_live_the_stream_is() -> None:
    for known in (Funds(), funds(None)):
        known = known.confirmed(NOW)
        assert known.available is None
        assert known.fresh(NOW) is None
    assert Funds().confirmed(NOW) == Funds()


def test_one_probe_may_leave_every_five_seconds() -> None:
    assert Funds().may_probe(0.0)
    probed = funds("50").promising(D(1), NOW + 1)
    assert (probed.probe_s, probed.promised) == (NOW + 1, 1)
    assert [probed.may_probe(NOW + 1 + wait_s) for wait_s in (0, PROBE_S - 0.1, PROBE_S)] == [False, False, True]
    assert PROBE_S == 5
    kept = probed.promising(D(1), None).seen(wallet(ts=3), NOW + 2).confirmed(NOW + 3)
    assert kept.probe_s == NOW + 1, "nothing but a probe changes when the last one was"


@pytest.mark.parametrize(("known", "balance"), [(None, "0"), (WalletEvent("USDT", None), "0"), (wallet("7"), "7")])
def test_an_unknown_wallet_sizes_nothing(known: WalletEvent | None, balance: str) -> None:
    assert Funds(known).wallet_balance == D(balance)


def test_a_frame_without_the_settle_coin_brings_totals_and_keeps_the_balance() -> None:
    known = funds("50").promising(D(10), None)
    frame = WalletEvent("USDT", None, available_balance=D(45), total_equity=D(1100), exchange_ts=2, has_coin=False)
    known = known.seen(frame, NOW + 1)
    assert (known.wallet_balance, known.available, known.known_s) == (1000, 45, NOW + 1)
    assert known.wallet is not None
    assert known.wallet.total_equity == 1100
