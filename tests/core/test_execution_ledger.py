"""Each execution counts once; realised PnL comes from executions at average entry."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecType, ExecutionEvent, Side
from gridbot.core.counted_ids import IDS_KEPT
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.core.ledger_document import document_of
from tests.case_table import case_table
from tests.core.ledger_events import execution, row, saved

D = Decimal


def test_a_burst_of_redeliveries_counts_once() -> None:
    """incident L15: 48 copies of a fill within one second after a reconnect."""
    ledger = Ledger()
    results = [ledger.apply("s", execution(1, fee="0.02")) for _ in range(48)]
    assert results == [D(0)] + [None] * 47
    assert (ledger.of("s").fills, ledger.of("s").fees) == (1, D("0.02"))


def test_an_execution_without_an_id_is_never_a_repeat() -> None:
    ledger = Ledger()
    nameless = ExecutionEvent("BTCUSDT", "", "o", "", Side.BUY, D(100), D(1))
    assert ledger.apply("s", nameless) is not None
    assert ledger.apply("s", nameless) is not None


def test_realised_at_average_entry_on_both_legs() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, Side.BUY, "100", "1"))
    ledger.apply("s", execution(2, Side.BUY, "98", "1"))
    assert ledger.leg("s", Direction.LONG) == (D(2), D(99))
    assert ledger.apply("s", execution(3, Side.SELL, "101", "1", closed="1")) == D(2)
    ledger.apply("s", execution(4, Side.SELL, "110", "2"))
    assert ledger.apply("s", execution(5, Side.BUY, "105", "1", closed="1", fee="0.5")) == D(5)
    totals = ledger.of("s")
    assert (totals.realised, totals.fees, totals.net, totals.fills) == (D(7), D("0.5"), D("6.5"), 5)


def test_the_documented_example() -> None:
    """docs/risk.md 7.1, with a maker's rebate at the end."""
    ledger = Ledger()
    realised = [
        ledger.apply("s", execution(n, side, price, "1", closed, fee="0.01"))
        for n, (side, price, closed) in enumerate(
            [(Side.BUY, "100", "0"), (Side.BUY, "99", "0"), (Side.SELL, "100", "1"), (Side.SELL, "101", "1")]
        )
    ]
    assert realised == [0, 0, D("0.5"), D("1.5")]
    assert ledger.leg("s", Direction.LONG) == (0, 0)
    assert ledger.apply("s", execution(9, fee="0.03", kind=ExecType.FUNDING)) == 0
    assert ledger.of("s").net == D("1.93")
    ledger.apply("s", execution(10, fee="-0.02"))
    assert ledger.of("s").net == D("1.95")


def test_what_reduces_a_position_without_an_order_of_ours_is_realised_but_no_fill() -> None:
    """incident L51: a deleveraging."""
    ledger = Ledger()
    ledger.believe("s", row(Direction.SHORT, "2", "100"))
    assert ledger.apply("s", execution(1, Side.BUY, "90", "1", closed="1", kind=ExecType.ADL)) == D(10)
    assert (ledger.of("s").fills, ledger.leg("s", Direction.SHORT)) == (0, (D(1), D(100)))


def test_a_leg_that_the_exchange_says_is_flat_has_no_entry() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1))
    ledger.believe("s", row(Direction.LONG, "0", None, 1))
    assert ledger.leg("s", Direction.LONG) == ledger.leg("other", Direction.LONG) == (0, 0)


def test_a_close_of_a_position_nobody_saw_opened_realises_nothing() -> None:
    ledger = Ledger()
    assert ledger.apply("s", execution(1, Side.SELL, "100", "1", closed="1")) == 0
    ledger.believe("s", row(Direction.LONG, "1", "90", 1))
    assert ledger.apply("s", execution(2, Side.SELL, "100", "1", closed="1")) == D(10)


def test_funding_is_money_but_no_fill() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.3", kind=ExecType.FUNDING))
    totals = ledger.of("s")
    assert (totals.fills, totals.fees, totals.funding, totals.net) == (0, 0, D("0.3"), D("-0.3"))


def test_shadow_fills_are_not_the_newest_of_the_exchange() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(5))
    ledger.apply("shadow", execution(900), shadow=True)
    assert ledger.last_exec_ts == 5


def test_the_newest_execution_counted_or_where_counting_began() -> None:
    ledger = Ledger()
    ledger.begin(4)
    assert ledger.last_exec_ts == 4
    for n in (9, 7):
        ledger.apply("s", execution(n))
    assert ledger.last_exec_ts == 9


def test_ids_are_kept_within_bounds() -> None:
    ledger = Ledger()
    ledger.reached(complete_to=10**9, checked_to=10**9)
    for n in range(IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert not ledger.is_new(f"e{IDS_KEPT}")
    assert len(document_of(ledger)["seen"]) == IDS_KEPT


def test_ids_are_kept_as_long_as_their_executions_may_be_paged_again() -> None:
    """REST is away while the stream goes on: the backlog is paged afterwards, and nothing in it counts twice."""
    ledger = Ledger()
    ledger.begin(1_000_000)
    for n in range(1_000_000, 1_000_000 + IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert ledger.apply("s", execution(1_000_000)) is None
    ledger.reached(complete_to=2_000_000)
    ledger.apply("s", execution(2_000_000))
    assert len(document_of(ledger)["seen"]) == IDS_KEPT + 11  # the exchange's log is still to be compared
    ledger.reached(checked_to=2_000_000)
    ledger.apply("s", execution(2_000_001))
    assert len(document_of(ledger)["seen"]) == IDS_KEPT


def test_an_execution_whose_id_is_forgotten_is_not_counted_again() -> None:
    """A gap that began long before the watermark: a pass meanwhile has counted more than there are ids kept."""
    ledger = Ledger()
    ledger.begin(1)
    for n in range(2, 2 * IDS_KEPT):
        ledger.apply("s", execution(n))
    fills = ledger.of("s").fills
    ledger.reached(complete_to=IDS_KEPT + OVERLAP_MS, checked_to=IDS_KEPT + OVERLAP_MS)
    ledger.apply("s", execution(3 * IDS_KEPT))
    assert ledger.is_new("e2")
    assert not ledger.is_new("e2", 2)
    assert [ledger.apply("s", execution(n)) for n in (2, 3)] == [None, None]
    assert ledger.of("s").fills == fills + 1
    assert ledger.apply("s", execution(3 * IDS_KEPT + 1)) is not None
    assert ledger.apply("shadow", execution(1), shadow=True) is not None  # its clock is ours


def test_of_what_was_never_complete_the_limit_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.core.counted_ids.IDS_MOST", IDS_KEPT)
    ledger = Ledger()
    ledger.begin(1)
    for n in range(OVERLAP_MS, OVERLAP_MS + IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert ledger.is_new("late", OVERLAP_MS - 1)


def test_only_finished_paging_moves_the_watermark_and_never_back() -> None:
    """incident L49: the newest execution counted says nothing about the older ones."""
    ledger = Ledger()
    ledger.begin(4)
    ledger.apply("s", execution(900))
    assert (ledger.last_exec_ts, ledger.complete_to) == (900, 4)
    ledger.reached(complete_to=7)
    ledger.reached(complete_to=5)
    assert ledger.complete_to == 7
    assert saved(ledger).complete_to == 7


def of_symbol(symbol: str, n: int, side: Side, price: str, closed: str = "0") -> ExecutionEvent:
    return replace(execution(n, side, price, "1", closed), symbol=symbol)


def test_what_nobody_trades_has_legs_of_its_own_in_each_symbol() -> None:
    """Bought ETH at 2500 and SOL at 150, sold the ETH at 2510: that is 10 USDT, not 1185."""
    ledger = Ledger()
    ledger.apply("", of_symbol("ETHUSDT", 1, Side.BUY, "2500"))
    ledger.apply("", of_symbol("SOLUSDT", 2, Side.BUY, "150"))
    ledger = saved(ledger)
    assert ledger.apply("", of_symbol("ETHUSDT", 3, Side.SELL, "2510", closed="1")) == 10
    assert ledger.leg("", Direction.LONG, "ETHUSDT") == (0, 0)
    assert ledger.leg("", Direction.LONG, "SOLUSDT") == (1, 150)
    assert ledger.of("").realised == 10


def test_without_a_checkpoint_the_oldest_record_tells_since_when_there_is_a_ledger() -> None:
    ledger = Ledger()
    for n in (5, 9):
        ledger.restore("shadow", execution(n + 100), D(0), shadow=True)
        ledger.restore("s", execution(n), D(0), shadow=False)
    assert (ledger.complete_to, ledger.last_exec_ts) == (5, 9)


def test_what_the_journal_says_was_realised_stays_and_counts_once() -> None:
    """After a restart the entry that a close was measured against may be unknown: the record has the answer."""
    ledger = Ledger()
    ledger.begin(2)
    close = execution(3, Side.SELL, "101", "1", closed="1", fee="0.1")
    for _ in range(2):
        ledger.restore("s", close, D("1.5"), shadow=False, is_final=True)
    ledger.settle("at a start")
    assert ledger.take_corrections() == []
    assert (ledger.of("s").realised, ledger.of("s").fees, ledger.last_exec_ts) == (D("1.5"), D("0.1"), 3)
    assert ledger.apply("s", close) is None
    again = saved(ledger)
    assert again == ledger


def test_a_correction_that_the_journal_has_is_applied_once_and_not_told_again() -> None:
    """An execution came late: what the close before it realised was corrected, and recorded so."""
    ledger = Ledger()
    ledger.apply("s", execution(2, Side.BUY, "100"))
    ledger.apply("s", execution(3, Side.SELL, "110", closed="1"))
    again = saved(ledger)
    ledger.correct("e3", D(9), D("0.5"), "the exchange's log")
    [made] = ledger.take_corrections()
    again.restore_correction(made)
    again.settle("at a start")
    assert again.take_corrections() == []
    assert (again.of("s").realised, again.of("s").fees) == (D(9), D("0.5"))
    assert again == ledger


def test_a_row_that_the_journal_says_was_believed_is_held_again() -> None:
    ledger = Ledger()
    ledger.restore("s", execution(1, Side.BUY, "100"), D(0), shadow=False)
    ledger.restore_row("s", row(Direction.LONG, "3", "95", 1))
    ledger.settle("at a start")
    assert ledger.take_corrections() == []
    assert ledger.leg("s", Direction.LONG) == (D(3), D(95))
    assert ledger.apply("s", execution(2, Side.SELL, "100", closed="1")) == D(5)


def test_a_close_of_several_coins_realises_for_each_of_them() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, Side.BUY, "0.5", "40"))
    assert ledger.apply("s", execution(2, Side.SELL, "0.75", "40", closed="40")) == D(10), "an entry below 1 USDT too"
    assert ledger.leg("s", Direction.LONG) == (0, 0)


def test_a_fee_in_another_coin_is_in_no_figure_of_usdt_and_is_saved() -> None:
    ledger = Ledger()
    for n, coin in ((1, "MNT"), (2, "MNT"), (3, "USDC")):
        ledger.apply("s", replace(execution(n, fee="0.01"), fee_currency=coin, other_fees=((coin, D("0.5")),)))
    totals = saved(ledger).of("s")
    assert (totals.fees, totals.net) == (D("0.03"), D("-0.03"))
    assert totals.other_fees == {"MNT": D(1), "USDC": D("0.5")}
    assert totals == ledger.of("s")


@case_table("kind", [kind for kind in ExecType if not kind.moves_legs])
def test_what_is_no_trade_is_money_and_moves_no_leg(kind: ExecType) -> None:
    """A dividend, a settlement or a word nobody knows was booked as an opening trade of a leg."""
    ledger = Ledger()
    ledger.apply("s", execution(1, price="100", qty="2"))
    event = replace(execution(2, Side.SELL, qty="2", closed="2", fee="0.5", kind=kind), realised=D(7))
    assert ledger.apply("s", event) == D(7)
    assert ledger.apply("s", event) is None, "exactly once"
    assert ledger.leg("s", Direction.LONG) == (2, 100)
    assert (ledger.of("s").fills, ledger.of("s").net) == (1, D("6.5"))


@case_table("kind", [kind for kind in ExecType if kind.moves_legs])
def test_every_known_trade_moves_its_leg(kind: ExecType) -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, price="100", qty="2"))
    assert ledger.apply("s", execution(2, Side.SELL, "110", "2", closed="2", kind=kind)) == D(20)
    assert ledger.leg("s", Direction.LONG) == (0, 0)


def test_a_restored_shadow_fill_does_not_move_where_paging_goes_on() -> None:
    ledger = Ledger()
    ledger.restore("s", execution(5), D(0), shadow=False)
    ledger.restore("s", execution(9), D(0), shadow=True)
    assert (ledger.last_exec_ts, ledger.of("s").fills) == (5, 2)


def test_the_exchange_s_log_corrects_fees_and_funding_too() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.1"))
    ledger.apply("s", execution(2, fee="0.3", kind=ExecType.FUNDING))
    ledger.correct("e1", D(0), D("0.12"), "log")
    ledger.correct("e2", D(0), D("0.25"), "log")
    totals = ledger.of("s")
    assert (totals.fees, totals.funding, totals.realised) == (D("0.12"), D("0.25"), 0)
    assert [found.fee for found in ledger.take_corrections()] == [D("0.02"), D("-0.05")]


def test_what_is_complete_and_checked_is_folded() -> None:
    ledger = Ledger()
    ledger.begin(1)
    ledger.apply("s", execution(2))
    assert ledger.legs.recorded("e2") is not None
    ledger.reached(complete_to=OVERLAP_MS + 3)
    assert ledger.legs.recorded("e2") is not None
    ledger.reached(checked_to=OVERLAP_MS + 3)
    assert ledger.legs.recorded("e2") is None
    ledger.reached(checked_to=5)
    assert ledger.checked_to == OVERLAP_MS + 3
    assert saved(ledger) == ledger
