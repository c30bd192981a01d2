"""Each execution counts once; realised PnL comes from executions at average entry."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, ExecType, ExecutionEvent, Side
from gridbot.core.execution_ledger import EXEC_IDS_KEPT, Ledger

D = Decimal


def execution(
    n: int,
    side: Side = Side.BUY,
    price: str = "100",
    qty: str = "1",
    closed: str = "0",
    fee: str = "0",
    kind: ExecType = ExecType.TRADE,
) -> ExecutionEvent:
    return ExecutionEvent(
        symbol="BTCUSDT",
        exec_id=f"e{n}",
        order_id=f"o{n}",
        order_link_id="",
        side=side,
        price=D(price),
        qty=D(qty),
        fee=D(fee),
        closed_size=D(closed),
        exec_type=kind,
        exchange_ts=n,
    )


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
    assert ledger.leg("s", Direction.LONG) == (0, D("99.5")), "the entry stays"
    assert ledger.apply("s", execution(9, fee="0.03", kind=ExecType.FUNDING)) == 0
    assert ledger.of("s").net == D("1.93")
    ledger.apply("s", execution(10, fee="-0.02"))
    assert ledger.of("s").net == D("1.95")


def test_what_reduces_a_position_without_an_order_of_ours_is_realised_but_no_fill() -> None:
    """incident L51: a deleveraging."""
    ledger = Ledger()
    ledger.set_leg("s", Direction.SHORT, D(2), D(100))
    assert ledger.apply("s", execution(1, Side.BUY, "90", "1", closed="1", kind=ExecType.ADL)) == D(10)
    assert (ledger.of("s").fills, ledger.leg("s", Direction.SHORT)) == (0, (D(1), D(100)))


def test_a_leg_that_the_exchange_says_is_flat_has_no_entry() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1))
    ledger.set_leg("s", Direction.LONG, D(0), None)
    assert ledger.leg("s", Direction.LONG) == ledger.leg("other", Direction.LONG) == (0, 0)


def test_a_close_of_a_position_nobody_saw_opened_realises_nothing() -> None:
    ledger = Ledger()
    assert ledger.apply("s", execution(1, Side.SELL, "100", "1", closed="1")) == 0
    ledger.set_leg("s", Direction.LONG, D(1), D(90))
    assert ledger.apply("s", execution(2, Side.SELL, "100", "1", closed="1")) == D(10)


def test_funding_is_money_but_no_fill() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.3", kind=ExecType.FUNDING))
    totals = ledger.of("s")
    assert (totals.fills, totals.fees, totals.funding, totals.net) == (0, 0, D("0.3"), D("-0.3"))


def test_shadow_fills_do_not_move_where_paging_goes_on() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(5))
    ledger.apply("shadow", execution(900), shadow=True)
    assert ledger.last_exec_ts == 5


def test_paging_goes_on_at_the_newest_execution_or_where_counting_began() -> None:
    ledger = Ledger()
    ledger.begin(4)
    assert ledger.last_exec_ts == 4
    for n in (9, 7):
        ledger.apply("s", execution(n))
    assert ledger.last_exec_ts == 9


def test_ids_are_kept_within_bounds() -> None:
    ledger = Ledger()
    for n in range(EXEC_IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert not ledger.is_new(f"e{EXEC_IDS_KEPT}")
    assert len(ledger.to_dict()["seen"]) == EXEC_IDS_KEPT


def test_a_ledger_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a ledger of version 1, got 2"):
        Ledger.from_dict({**Ledger().to_dict(), "version": 2})


def test_what_the_journal_says_was_realised_stays_and_counts_once() -> None:
    """After a restart the entry that a close was measured against may be unknown: the record has the answer."""
    ledger = Ledger()
    ledger.begin(2)
    close = execution(3, Side.SELL, "101", "1", closed="1", fee="0.1")
    for _ in range(2):
        ledger.restore("s", close, D("1.5"), shadow=False)
    assert (ledger.of("s").realised, ledger.of("s").fees, ledger.last_exec_ts) == (D("1.5"), D("0.1"), 3)
    assert ledger.apply("s", close) is None
    again = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert again == ledger


STEPS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(900, 1100), st.integers(1, 50), st.booleans(), st.integers(-5, 5)),
    max_size=40,
)


@given(STEPS, st.integers(0, 40))
def test_a_ledger_saved_and_folded_on_equals_one_that_never_stopped(
    steps: list[tuple[Side, int, int, bool, int]], cut: int
) -> None:
    """A checkpoint and the journal behind it: kill -9 at any moment changes nothing."""
    whole, executions, realised = Ledger(), [], []
    for n, (side, price, qty, close, fee) in enumerate(steps):
        event = execution(n, side, f"{price / 10}", f"{qty / 1000}", f"{qty / 1000}" if close else "0", f"{fee / 100}")
        executions.append(event)
        realised.append(whole.apply("s", event) or D(0))
    first = Ledger()
    for event in executions[:cut]:
        first.apply("s", event)
    again = Ledger.from_dict(first.to_dict())
    for event, gained in zip(executions, realised, strict=True):  # the fold may start before the checkpoint
        again.restore("s", event, gained, shadow=False)
    assert again.of("s") == whole.of("s")
    assert all(again.leg("s", direction) == whole.leg("s", direction) for direction in Direction)
    assert again.to_dict()["seen"] == whole.to_dict()["seen"]
    assert again.last_exec_ts == whole.last_exec_ts


def test_a_close_of_several_coins_realises_for_each_of_them() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, Side.BUY, "0.5", "40"))
    assert ledger.apply("s", execution(2, Side.SELL, "0.75", "40", closed="40")) == D(10), "an entry below 1 USDT too"
    assert ledger.leg("s", Direction.LONG) == (D(0), D("0.5"))


def test_fundings_add_up_and_are_saved() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.03", kind=ExecType.FUNDING))
    ledger.apply("s", execution(2, fee="-0.01", kind=ExecType.FUNDING))
    assert ledger.of("s").funding == D("0.02")
    assert Ledger.from_dict(ledger.to_dict()).of("s").funding == D("0.02")


def test_a_restored_shadow_fill_does_not_move_where_paging_goes_on() -> None:
    ledger = Ledger()
    ledger.restore("s", execution(5), D(0), shadow=False)
    ledger.restore("s", execution(9), D(0), shadow=True)
    assert (ledger.last_exec_ts, ledger.of("s").fills) == (5, 2)
