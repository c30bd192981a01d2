"""All legs of an account: whose execution is whose, and which recorded figures turn out to be wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core import Direction, ExecType, ExecutionEvent, PositionEvent, Side
from gridbot.core.account_legs import AccountLegs, Correction
from gridbot.core.leg_history import Stated

D = Decimal
LONG = ("s", "", Direction.LONG)


def opened(n: int, price: str = "100", symbol: str = "BTCUSDT") -> ExecutionEvent:
    return ExecutionEvent(symbol, f"e{n}", "o", "l", Side.BUY, D(price), D(1), fee=D("0.02"), exchange_ts=n, seq=n)


def closed(n: int, price: str = "110", realised: str | None = None) -> ExecutionEvent:
    figure = None if realised is None else D(realised)
    return replace(opened(n, price), side=Side.SELL, closed_size=D(1), realised=figure)


def add(legs: AccountLegs, *executions: ExecutionEvent) -> list[Correction]:
    return [found for each in executions for found in legs.add("s", each, shadow=False)[1]]


def row(n: int, size: str, entry: str = "100") -> PositionEvent:
    return PositionEvent("BTCUSDT", Direction.LONG, D(size), D(entry), seq=n, exchange_ts=n)


def test_a_late_execution_corrects_those_after_it_and_is_no_correction_itself() -> None:
    legs = AccountLegs()
    assert add(legs, opened(1), closed(3)) == []
    realised, [found] = legs.add("s", closed(2, "105"), shadow=True)
    assert realised == D(5)
    assert (found.exec_id, found.realised, found.fee, found.net, found.final) == ("e3", D(-10), 0, D(-10), False)
    assert found.reason == "e2 was made before it and came after it"
    assert (found.strategy, found.symbol, found.direction) == ("s", "BTCUSDT", Direction.LONG)
    assert (found.exec_type, found.is_maker, found.shadow, found.exchange_ts) == (ExecType.TRADE, True, False, 3)
    recorded = legs.recorded("e2")
    assert recorded is not None
    assert (recorded.realised, recorded.fee, recorded.shadow) == (D(5), D("0.02"), True)


def test_one_without_an_id_counts_and_is_not_kept_by_it() -> None:
    legs = AccountLegs()
    add(legs, replace(opened(1), exec_id=""))
    assert legs.held(LONG).size == 1
    assert legs.recorded("") is None
    assert AccountLegs.of(legs.histories).recorded("") is None


def test_a_repeat_with_the_exchange_s_figure_is_learned_once() -> None:
    legs = AccountLegs()
    add(legs, opened(1), closed(2))
    assert legs.learn(closed(2)) == [], "it says nothing new"
    assert legs.learn(closed(7, realised="3")) == [], "it is not kept"
    [found] = legs.learn(closed(2, realised="3"))
    assert (found.realised, found.final, found.reason) == (D(-7), True, "the exchange's own figure")
    assert legs.learn(closed(2, realised="4")) == []


def test_what_the_exchange_s_log_says_corrects_fee_and_realised_and_what_follows() -> None:
    legs = AccountLegs()
    add(legs, replace(opened(1), qty=D(2)), closed(2), closed(3))
    first, second = legs.correct("e2", D(20), D("0.03"), "log")
    assert (first.exec_id, first.realised, first.fee, first.final) == ("e2", D(10), D("0.01"), True)
    assert (second.exec_id, second.realised, second.final) == ("e3", D(10), False), "the entry was wrong"
    assert legs.correct("e2", D(20), D("0.03"), "log") == []


def test_a_correction_made_elsewhere_is_taken_in_if_its_execution_is_kept() -> None:
    legs = AccountLegs()
    add(legs, opened(1), closed(2))
    [made] = legs.correct("e2", D(4), D("0.02"), "log")
    again = AccountLegs()
    add(again, opened(1), closed(2))
    for each in (made, replace(made, exec_id="folded")):
        again.take_in(each)
    assert again.settle("at a start") == []
    again.take_in(replace(made, realised=D(1), final=False))
    assert [each.realised for each in again.settle("at a start")] == [D(-1)]


def test_what_is_restored_is_compared_when_all_is_there() -> None:
    legs = AccountLegs()
    legs.restore("s", closed(2), D(10), shadow=False, is_final=False)
    legs.restore("s", opened(1), D(0), shadow=False, is_final=False)
    assert legs.held(LONG).size == 0
    assert legs.settle("at a start") == []
    legs.restore("s", closed(4), D(7), shadow=False, is_final=True)
    legs.restore_row("s", row(3, "1", "90"))
    assert legs.settle("at a start") == [], "what is final stays"
    assert legs.recorded("e4").realised == 7  # type: ignore[union-attr]


def test_rows_are_compared_or_believed_for_the_leg_they_are_of() -> None:
    legs = AccountLegs()
    nothing, stated = legs.about("s", row(9, "1")), Stated.of(row(9, "1"))
    assert legs.held(LONG).size == nothing.at(stated).size == 0
    assert nothing.is_before_first(stated)
    assert legs == AccountLegs(), "asking makes no leg"
    add(legs, opened(1), closed(3))
    leg, stated = legs.about("s", row(2, "1")), Stated.of(row(2, "1"))
    assert leg.at(stated).size == 1
    assert not leg.is_before_first(stated)
    [found] = legs.believe("s", row(2, "2", "90"))
    assert (found.exec_id, found.realised) == ("e3", D(10))
    assert legs.held(LONG).size == 1


def test_what_nobody_trades_has_a_leg_for_each_symbol() -> None:
    legs = AccountLegs()
    for symbol in ("ETHUSDT", "SOLUSDT"):
        legs.add("", opened(1, symbol=symbol), shadow=False)
    assert legs.held(("", "ETHUSDT", Direction.LONG)).size == 1


def test_what_is_folded_is_not_kept() -> None:
    legs = AccountLegs()
    add(legs, opened(1), closed(5))
    assert legs.kept == 2
    legs.fold(5)
    assert legs.kept == 1
    assert legs.recorded("e1") is None
    assert legs.recorded("e5") is not None
    folded = legs.about("s", row(1, "1"))
    assert [folded.is_forgotten(Stated.of(row(n, "1"))) for n in (0, 1)] == [True, False]
    assert not legs.about("other", row(0, "1")).is_forgotten(Stated.of(row(0, "1")))
    for before_ms in (6, 7):
        legs.fold(before_ms)
        assert legs.kept == 0, "of a leg without any there is nothing to fold"
    assert AccountLegs.of(legs.histories) == legs
