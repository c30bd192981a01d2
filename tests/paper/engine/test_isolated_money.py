"""Isolated margin: money is conserved whatever is done, and no leg loses more than its margin."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.settings import PositionMode
from tests.examples import examples
from tests.paper.engine import test_money
from tests.paper.engine.isolated import HEDGE, row_of

D = Decimal

adding = st.tuples(st.just("add"), st.sampled_from((1, 2)), st.integers(-300, 300))
auto = st.tuples(st.just("auto"), st.sampled_from((1, 2)), st.booleans())
switching = st.tuples(st.just("switch"), st.booleans())
gearing = st.tuples(st.just("gear"), st.integers(1, 75), st.integers(1, 75))
taking = st.tuples(st.just("take"), st.sampled_from((1, 2)), st.integers(1, 400))
paths = st.lists(
    st.one_of(taking, adding, auto, switching, gearing, test_money.trading, test_money.placing, test_money.funding),
    max_size=30,
)


def do(exchange: Exchange, step: tuple[Any, ...], now_ms: int, mode: PositionMode) -> None:
    account, positions = exchange.accounts["a"], exchange.positions
    leg = account.leg("LTCUSDT", step[1] if mode is HEDGE and step[0] in ("add", "auto", "take") else 0)
    match step:
        case ("add", _, amount):
            positions.add_margin(account, leg, D(amount), now_ms)
        case ("auto", _, on):
            positions.set_auto_add(account, leg, now_ms, on=on)
        case ("switch", isolated):
            positions.set_margin_mode(account, now_ms, isolated=isolated)
        case ("gear", buy, sell):
            positions.set_leverage(account, "LTCUSDT", D(buy), D(sell if mode is HEDGE else buy), now_ms)
        case ("take", idx, qty):
            side = Side.BUY if idx == 1 else Side.SELL
            exchange.place(account, NewOrder("LTCUSDT", side, D(qty) / 10, None, leg.position_idx, "IOC"), now_ms)
        case _:
            test_money.do(exchange, step, now_ms, mode)


def check(account: Account, exchange: Exchange) -> None:
    valuation, open_orders = exchange.state.valuation, account.open.values()
    margins = [valuation.order_margin(account, order) for order in open_orders]
    if account.hedge or exchange.config.position_mode is HEDGE:  # in one-way mode what opens depends on the leg
        assert account.order_margin == sum(margin.initial for margin in margins)
        assert account.order_maintenance == sum(margin.maintenance for margin in margins)
    assert account.order_margin >= 0
    assert account.isolated or (not account.sell_leverage and not any(leg.extra for leg in account.legs.values()))
    figures = exchange.totals(account)
    for leg in account.legs.values():
        assert leg.size or not leg.extra
        if account.isolated and leg.size:
            margin = figures.margin_of(leg)
            assert margin.initial > 0
            row = row_of(exchange, leg)
            bust, price = D(row["bustPrice"] or 0), D(row["liqPrice"] or 0)
            if bust and price:
                assert (bust <= price) if leg.direction.open_side is Side.BUY else (bust >= price)


@settings(max_examples=examples(80), deadline=None)
@given(paths, st.sampled_from(PositionMode))
def test_money_is_conserved(path: list[tuple[Any, ...]], mode: PositionMode) -> None:
    exchange = test_money.new_exchange(mode)
    account = exchange.accounts["a"]
    exchange.positions.set_margin_mode(account, 0, isolated=True)
    for now_ms, step in enumerate(path, start=1):
        before = exchange.totals(account)
        legs = {idx: (leg.size, before.margin_of(leg)) for (_, idx), leg in account.legs.items()}
        count = account.executions[-1].number if len(account.executions) else 0
        with suppress(ApiError):
            do(exchange, step, now_ms, mode)
        test_money.check(exchange)
        check(account, exchange)
        if step[0] == "trade" and account.isolated:
            assert not any(exchange.state.valuation.is_due(account, leg) for leg in account.legs.values())
            check_busts(account, count, legs)


def check_busts(account: Account, after: int, legs: dict[int, Any]) -> None:
    """When nothing but legs of before was taken over, it cost no more than their margins."""
    new = [execution for execution in account.executions if execution.number > after]
    if new and all(execution.create_type == "CreateByTakeOver_PassThrough" for execution in new):
        lost = -sum((bust.change for bust in new), D(0))
        assert lost <= sum((margin.initial for size, margin in legs.values() if size), D(0)) + D("0.000001")
