"""Profit and loss of legs and of matched grid trades."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import ExecType, ExecutionEvent, GridTrade, GridTrades, price_gain, roe_percent, unrealised_pnl
from tests.case_table import case_table
from tests.core.helpers import BUY, EXAMPLES, LONG, SELL, SHORT, d, fill


@case_table(
    ("direction", "mark", "gain", "pnl", "roe"),
    [
        (LONG, "103", "3", "6", "30"),
        (LONG, "98.5", "-1.5", "-3", "-15"),
        (SHORT, "103", "-3", "-6", "-30"),
        (SHORT, "98.5", "1.5", "3", "15"),
    ],
)
def test_what_a_leg_gains(direction, mark, gain, pnl, roe):
    assert price_gain(direction, d(100), d(mark)) == d(gain)
    assert unrealised_pnl(direction, d(100), d(mark), d(2)) == d(pnl)
    assert roe_percent(direction, d(100), d(mark), d(10)) == d(roe)


def test_roe_of_a_cheap_coin():
    assert roe_percent(LONG, d("0.5"), d("0.51"), d(1)) == 2


@pytest.mark.parametrize("entry", ["0", "-1"])
def test_roe_needs_an_entry(entry):
    with pytest.raises(ValueError, match=f"expected a positive entry price, got {entry}"):
        roe_percent(LONG, d(entry), d(100), d(10))


def test_the_ambient_decimal_context_decides_nothing():
    with localcontext() as context:
        context.prec = 2
        assert unrealised_pnl(LONG, d("100.123"), d("103.456"), d("1.234")) == d("4.112922")


def execution(
    side, price: str, qty: str = "1", *, closes: bool = False, fee: str = "0", ts: int = 0, **more
) -> ExecutionEvent:
    return fill(price, side=side, qty=d(qty), closed_size=d(qty if closes else 0), fee=d(fee), ts=ts, **more)


def test_a_close_pairs_with_the_latest_open_of_its_leg():
    trades = GridTrades()
    assert trades.apply(execution(BUY, "100", fee="0.02", ts=1)) == []
    assert trades.apply(execution(BUY, "99", fee="0.02", ts=2)) == []
    assert trades.apply(execution(SELL, "105", ts=3)) == []  # opens short
    assert trades.unpaired(LONG) == 2
    (trade,) = trades.apply(execution(SELL, "100", closes=True, fee="0.03", ts=4))
    assert trade == GridTrade(LONG, d(1), d(99), d(100), d("0.05"), 2, 4)
    assert trade.profit == d("0.95")
    (trade,) = trades.apply(execution(BUY, "104", closes=True, fee="-0.01", ts=5))
    assert trade == GridTrade(SHORT, d(1), d(105), d(104), d("-0.01"), 3, 5)
    assert trade.profit == d("1.01")
    assert (trades.unpaired(LONG), trades.unpaired(SHORT)) == (1, 0)


def test_a_close_may_take_several_opens_and_parts_of_them():
    trades = GridTrades()
    trades.apply(execution(BUY, "100", "2", fee="0.4"))
    trades.apply(execution(BUY, "99", "1", fee="0.1"))
    first, second = trades.apply(execution(SELL, "101", "2.5", closes=True, fee="0.25"))
    assert (first.qty, first.open_price, first.fees, first.profit) == (1, 99, d("0.2"), d("1.8"))
    assert (second.qty, second.open_price, second.fees, second.profit) == (d("1.5"), 100, d("0.45"), d("1.05"))
    assert trades.unpaired(LONG) == d("0.5")
    (third,) = trades.apply(execution(SELL, "101", "2", closes=True))
    assert (third.qty, third.fees, trades.unpaired(LONG)) == (d("0.5"), d("0.1"), 0)


def test_a_close_of_an_older_position_is_no_grid_trade():
    trades = GridTrades()
    assert isinstance(trades.unpaired(LONG), Decimal)
    assert trades.apply(execution(SELL, "100", closes=True)) == []
    trades.apply(execution(BUY, "99"))
    assert trades.unpaired(LONG) == 1


@pytest.mark.parametrize("odd", [{"exec_type": ExecType.FUNDING}, {"exec_type": ExecType.ADL}, {"qty": "0"}])
def test_only_trades_count(odd):
    trades = GridTrades()
    assert trades.apply(execution(BUY, "100", **{"qty": "1", **odd})) == []
    assert trades.unpaired(LONG) == 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(90, 110), st.integers(1, 30)), max_size=30))
def test_matched_profit_and_what_is_open_make_the_cash_flow(steps):
    trades = GridTrades()
    cash = profit = Decimal(0)
    size = Decimal(0)
    opened: list[tuple[Decimal, Decimal]] = []
    for opens, price, tenths in steps:
        qty = Decimal(tenths) / 10 if opens else min(Decimal(tenths) / 10, size)
        if not qty:
            continue
        fee = qty * price / 1000
        cash += (-qty if opens else qty) * price - fee
        size += qty if opens else -qty
        made = trades.apply(execution(BUY if opens else SELL, str(price), str(qty), closes=not opens, fee=str(fee)))
        profit += sum((trade.profit for trade in made), Decimal(0))
        if opens:
            opened.append((Decimal(price), qty))
        assert trades.unpaired(LONG) == size
    left, cost = size, Decimal(0)
    # rebuild the stack: what is left are the lots the closes did not reach, each paid with its fee
    for trade_price, lot in stack_left(steps):
        cost += lot * trade_price * (1 + Decimal(1) / 1000)
        left -= lot
    assert left == 0
    assert abs(cash - (profit - cost)) < Decimal("1e-20")


def stack_left(steps):
    stack: list[list[Decimal]] = []
    for opens, price, tenths in steps:
        qty = Decimal(tenths) / 10
        if opens:
            stack.append([Decimal(price), qty])
            continue
        while qty > 0 and stack:
            part = min(qty, stack[-1][1])
            qty -= part
            stack[-1][1] -= part
            if not stack[-1][1]:
                stack.pop()
    return stack
