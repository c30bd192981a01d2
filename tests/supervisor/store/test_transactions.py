"""Our executions beside the exchange's log, movement by movement."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridbot.exchange.requests import Transaction
from supervisor.store.transactions import Comparison, Recorded, compare

D = Decimal
SINCE, UNTIL = 1_000, 9_000


def listed(number: int, change: str = "1", **more: Any) -> Transaction:
    values: dict[str, Any] = {
        "kind": "TRADE",
        "symbol": "BTCUSDT",
        "exec_id": f"e{number}",
        "currency": "USDT",
        "cash_flow": D(change),
        "funding": D(0),
        "fee": D(0),
        "change": D(change),
        "exchange_ts": SINCE + number,
    }
    return Transaction(**(values | more))


def recorded(number: int, net: str = "1", at: int | None = None) -> Recorded:
    return Recorded(f"e{number}", "BTCUSDT", "Trade", D(net), D(0), SINCE + number if at is None else at)


def compared(ours: list[Recorded], theirs: list[Transaction]) -> Comparison:
    return compare({r.exec_id: r for r in ours}, theirs, since_ms=SINCE, until_ms=UNTIL)


def test_what_stands_in_both_agrees_up_to_the_rounding_of_the_exchange() -> None:
    result = compared([recorded(1), recorded(2, "0.33333333333")], [listed(1), listed(2, "0.33333333")])
    assert (result.agree, result.lines, result.unexplained) == (2, [], D(0))


def test_what_stands_in_one_of_them_is_named_with_its_amount() -> None:
    result = compared([recorded(1), recorded(3, "-0.25")], [listed(1), listed(2, "0.5")])
    assert result.agree == 1
    assert result.lines == [
        "not recorded: 1970-01-01 00:00:01 TRADE BTCUSDT e2: +0.5 USDT",
        "not listed: 1970-01-01 00:00:01 Trade BTCUSDT e3: -0.25 USDT",
    ]
    assert result.unexplained == D("0.75"), "0.5 came in unrecorded, 0.25 went out in our books only"


def test_an_amount_that_differs_is_shown_from_both_sides() -> None:
    result = compared([recorded(1, "1.5")], [listed(1, "1.25")])
    assert result.lines == ["differs: 1970-01-01 00:00:01 TRADE BTCUSDT e1: recorded 1.5, the exchange says 1.25 USDT"]
    assert result.unexplained == D("-0.25")


def test_each_coin_is_compared_with_itself() -> None:
    """A fee of 0.5 MNT is no half of a dollar."""
    ours = [recorded(n, net)._replace(other_fees={"MNT": D("0.5")}) for n, net in ((1, "7"), (2, "0"), (3, "0"))]
    moved = {"currency": "MNT", "cash_flow": D(0), "fee": D("0.5")}
    theirs = [
        listed(0),
        listed(1, "7"),
        listed(1, "-0.5", **moved),
        listed(2, "-0.25", **moved),
        listed(4, "-1", **moved),
    ]
    result = compared([recorded(0), *ours], theirs)
    assert (result.agree, result.unexplained) == (5, 0)
    assert result.lines == [
        "differs: 1970-01-01 00:00:01 TRADE BTCUSDT e2: recorded -0.5, the exchange says -0.25 MNT",
        "not listed: 1970-01-01 00:00:01 Trade BTCUSDT e3: -0.5 MNT",
        "not recorded: 1970-01-01 00:00:01 TRADE BTCUSDT e4: -1 MNT",
    ]
    assert result.differing == [], "what is corrected is USDT"


def test_a_delivery_is_an_execution_of_the_log_and_a_gift_is_not() -> None:
    result = compared([], [listed(1, kind="DELIVERY"), listed(2, kind="AIRDROP", symbol="")])
    assert [line.split()[0:2] for line in result.lines] == [["not", "recorded:"]]
    assert len(result.transfers) == 1


def test_transfers_explain_themselves() -> None:
    transfer = listed(4, "50", kind="TRANSFER_IN", symbol="", exec_id="")
    result = compared([recorded(1)], [listed(1), transfer])
    assert result.lines == []
    assert result.transfers == ["1970-01-01 00:00:01 TRANSFER_IN  +50 USDT"]


def test_what_is_newer_than_the_records_is_only_counted() -> None:
    result = compared([recorded(1)], [listed(1), listed(2, exchange_ts=UNTIL + 1)])
    assert (result.later, result.lines) == (1, [])


def test_what_is_older_than_the_log_is_only_counted() -> None:
    """The paper exchange keeps the newest 50,000 executions, Bybit two years."""
    result = compared([recorded(1), recorded(2), recorded(3)], [listed(2), listed(3)])
    assert (result.agree, result.older, result.lines) == (2, 1, [])


def test_two_clocks_of_one_movement_need_not_agree() -> None:
    ours = [recorded(1, at=SINCE - 3), recorded(2, at=UNTIL + 3), recorded(3, at=UNTIL - 1)]
    theirs = [listed(1), listed(2, exchange_ts=UNTIL), listed(3, exchange_ts=UNTIL + 1)]
    result = compared(ours, theirs)
    assert (result.agree, result.lines, result.later) == (3, [], 0)


@given(st.sets(st.integers(1, 50)), st.sets(st.integers(1, 50)))
def test_every_movement_is_counted_in_one_place(ours: set[int], theirs: set[int]) -> None:
    result = compared([recorded(n) for n in ours], [listed(n) for n in sorted(theirs)])
    assert result.agree == len(ours & theirs)
    older = {n for n in ours - theirs if not theirs or n < min(theirs)}
    assert result.older == len(older)
    assert len(result.lines) == len((ours ^ theirs) - older)
    assert result.unexplained == len(theirs - ours) - len(ours - theirs - older)
