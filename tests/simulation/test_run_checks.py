"""Each invariant of a run says what is wrong, and nothing when nothing is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import Execution, NewOrder, Order
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import CorrectionRecord, ExecutionRecord, Json, UtcMs
from gridbot.simulation import run_checks
from gridbot.simulation.odd_answers import REALTIME
from gridbot.simulation.run import Run
from gridbot.simulation.run_faults import Plan
from gridbot.simulation.trace import Trace
from gridbot.simulation.verdict import MOST_FINDINGS
from tests.records.test_open_orders import order as recorded

D = Decimal


def order(link: str, price: str = "50000", idx: int = 1) -> Order:
    request = NewOrder("BTCUSDT", Side.BUY, D("0.01"), D(price), idx, order_link_id=link)
    return Order(1, f"id-{link}", request, D("0.01"), D(price), False, D(price), 0, 0)


def execution(exec_id: str, **more: Any) -> Execution:
    given: dict[str, Any] = {"realised": D("1.5"), "fee": D("0.1"), **more}
    return Execution(
        1,
        exec_id,
        "BTCUSDT",
        Side.SELL,
        D(50000),
        D("0.01"),
        given["fee"],
        D("0.0002"),
        more.get("exec_type", "Trade"),
        is_maker=True,
        time_ms=1,
        seq=1,
        mark_price=D(50000),
        realised=given["realised"],
        closed_size=given.get("closed_size", D(0)),
        fee_coin=given.get("fee_coin", "USDT"),
    )


def record(exec_id: str, realised: str = "1.5", fee: str = "0.1") -> ExecutionRecord:
    return ExecutionRecord(
        strategy="btc",
        symbol="BTCUSDT",
        exec_id=exec_id,
        order_id="o",
        order_link_id="",
        direction="long",
        side="Sell",
        price=D(50000),
        qty=D("0.01"),
        leaves_qty=D(0),
        closed_size=D("0.01"),
        fee=D(fee),
        realised_pnl=D(realised),
        exec_type="Trade",
        is_maker=True,
        exchange_ts=UtcMs(1),
    )


def test_one_order_per_level() -> None:
    assert run_checks.one_order_per_level([order("a"), order("b", idx=2), order("c", "50001")]) == []
    assert run_checks.one_order_per_level([order("a"), order("b")]) == ["BTCUSDT long 50000: 2 live orders, a, b"]


def test_orders_and_books_agree() -> None:
    assert run_checks.no_unknown_order([order("a")], {"a"}) == []
    assert len(run_checks.no_unknown_order([order("a")], {"b"})) == 1
    assert run_checks.books_rest({"a": "open"}, {"a"}) == []
    assert run_checks.books_rest({"a": "open"}, set()) == ["a is open in the book and does not rest"]


def test_records_and_exchange_have_the_same_open_orders() -> None:
    newest = {link: recorded(link) for link in ("a", "b")}
    assert run_checks.records_rest(newest, [order("a"), order("b")]) == []
    assert run_checks.records_rest(newest, [order("a"), order("c")]) == [
        "b is open by its newest record, and does not rest",
        "c rests, and no record says so",
    ]


def test_a_link_id_is_given_once() -> None:
    assert run_checks.link_id_once([order("a"), order("b"), order(""), order("")]) == []
    assert run_checks.link_id_once([order("a"), order("a")]) == ["a was given to 2 orders"]


def test_a_close_that_opens_is_found() -> None:
    made: Any = [
        SimpleNamespace(order_link_id=name, qty=D(2), closed_size=D(closed), side="Sell")
        for name, closed in (("a", 2), ("b", 1), ("c", 0))
    ]
    assert run_checks.flatten_only_reduces(made, {"a", "b"}) == ["b: 1 of 2 Sell have closed something"]


def correction(exec_id: str, realised: str, fee: str) -> CorrectionRecord:
    return CorrectionRecord(
        strategy="btc",
        symbol="BTCUSDT",
        direction="long",
        exec_id=exec_id,
        realised_pnl=D(realised),
        fee=D(fee),
        exec_type="Trade",
        is_maker=True,
        final=True,
        reason="",
        exchange_ts=UtcMs(1),
    )


def test_executions_are_recorded_once() -> None:
    made = [execution("1"), execution("2")]
    assert run_checks.executions_once(made, [record("2"), record("1")]) == []
    assert "recorded 0 times" in run_checks.executions_once(made, [record("1")])[0]
    assert "recorded 2 times" in run_checks.executions_once(made, [record("1"), record("2"), record("2")])[0]
    assert run_checks.executions_once([], [record("3")]) == ["3 is recorded and was never made"]


def test_a_liquidation_pauses() -> None:
    made = [execution("1"), execution("2", exec_type="BustTrade")]
    assert run_checks.liquidation_pauses(made, {"BTCUSDT": True}) == []
    assert run_checks.liquidation_pauses(made, {}) == []
    assert run_checks.liquidation_pauses(made, {"BTCUSDT": False}) == [
        "BTCUSDT: BustTrade (2), and its strategy is not paused"
    ]


def test_what_takes_a_leg_in_any_way_pauses_and_money_alone_does_not() -> None:
    made = [execution("1", exec_type="Dividend", closed_size=D(0)), execution("2", exec_type="Funding")]
    assert run_checks.liquidation_pauses(made, {"BTCUSDT": False}) == []
    for word, closed in (("Dividend", "1"), ("Delivery", "0"), ("MovePosition", "0"), ("SpinOff", "0")):
        made = [execution("3", exec_type=word, closed_size=D(closed))]
        assert len(run_checks.liquidation_pauses(made, {"BTCUSDT": False})) == 1, word


def test_other_coins_are_charged_as_recorded() -> None:
    made = [execution("1", fee=D("0.5"), fee_coin="MNT"), execution("2")]
    right = replace(record("1"), other_fees=Json('{"MNT": "0.5"}'))
    assert run_checks.money_of_coins(made, [right, record("2")]) == []
    assert "charged {}" in run_checks.money_of_coins(made, [record("1")])[0]
    assert "the exchange has {}" in run_checks.money_of_coins(made, [replace(right, exec_id="2")])[0]


def test_money_is_that_of_the_exchange() -> None:
    assert run_checks.money_by_execution([execution("1")], [record("1", "1.500000001")], []) == []
    assert "realised 0" in run_checks.money_by_execution([execution("1")], [record("1", "0")], [])[0]
    assert "fee 0.2" in run_checks.money_by_execution([execution("1")], [record("1", fee="0.2")], [])[0]
    added = [correction("1", "1", "0.05"), correction("1", "0.5", "0.05"), correction("2", "9", "9")]
    assert run_checks.money_by_execution([execution("1")], [record("1", "0", "0")], added) == []
    leg = ("BTCUSDT", "long")
    assert run_checks.money_of_legs({leg: (D(1), D(5))}, {leg: (D(1), D(5))}) == []
    assert len(run_checks.money_of_legs({leg: (D(1), D(5))}, {leg: (D(1), D("5.1"))})) == 1
    assert len(run_checks.money_of_legs({leg: (D(1), D(5))}, {leg: (D(2), D(5))})) == 1
    assert run_checks.money_of_totals({"fees": D(1)}, {"fees": D(1)}) == []
    assert run_checks.money_of_totals({"fees": D(1)}, {"fees": D(2)}) == ["fees: 2, the exchange has 1"]


def test_money_that_waits_for_an_operator_is_that_of_one_symbol_from_one_time_on() -> None:
    """Nothing at all was compared any more, fees and other symbols neither."""
    before, moved = execution("1"), replace(execution("2", exec_type="MovePosition", closed_size=D(1)), time_ms=5)
    assert run_checks.moved_unseen([before, execution("3", exec_type="BustTrade", closed_size=D(1))]) == {}
    money = execution("4", exec_type="MovePosition")
    assert run_checks.moved_unseen([money]) == {"BTCUSDT": 1}, "and no word of it (seed 1084)"
    assert run_checks.moved_unseen([replace(money, exec_type="Dividend")]) == {}
    unrepaired = run_checks.moved_unseen([before, moved, replace(moved, time_ms=7)])
    assert unrepaired == {"BTCUSDT": 5}
    other = replace(moved, symbol="ETHUSDT")
    for each, row, count in (
        (moved, record("2", "0"), 0),
        (moved, record("2", fee="0"), 1),
        (before, record("1", "0"), 1),
        (other, record("2", "0"), 1),
    ):
        assert len(run_checks.money_by_execution([each], [row], [], unrepaired)) == count


def test_an_order_of_a_symbol_that_cannot_be_read_need_not_be_known(tmp_path: Path) -> None:
    """Its listing is never whole, so whoever starts then takes no order over, and records stay as they are."""
    run = Run(Plan(5, 60.0, False, ()), tmp_path, Trace(on=False))
    open_orders = OpenOrders()
    open_orders.take(recorded("a"))
    odd = run.stage.venue.odd.strange
    odd[REALTIME] = {"symbol": "ETHUSDT"}
    run.verdict.agreement.compare_records(open_orders)
    assert [finding.invariant for finding in run.verdict.findings] == ["records-rest"], "it is of another symbol"
    run.verdict.findings.clear()
    run.verdict._seen.clear()
    odd[REALTIME] = {"symbol": "BTCUSDT"}
    run.verdict.agreement.compare_records(open_orders)
    assert run.verdict.findings == []


def test_what_breaks_one_invariant_all_the_time_hides_no_other(tmp_path: Path) -> None:
    verdict = Run(Plan(5, 60.0, False, ()), tmp_path, Trace(on=False)).verdict
    for number in range(100):
        verdict.find("money", f"the {number}th")
        verdict.find("money", f"the {number}th")
    verdict.find("grid", "another")
    found = [finding.invariant for finding in verdict.findings]
    assert found == ["money"] * MOST_FINDINGS + ["grid"]
    assert len(set(verdict.findings)) == len(found)
