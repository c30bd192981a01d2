"""Money is conserved: whatever orders and prices do, wallet = deposit + realised - fees, and nothing appears."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.config import MatchingModel, PaperConfig, PositionMode
from gridbot.paper.errors import ApiError
from gridbot.paper.exchange import Exchange
from gridbot.paper.instruments import LISTINGS
from gridbot.paper.market import SymbolMarket
from gridbot.paper.orders import NewOrder, Trigger

D = Decimal
LISTING = LISTINGS["LTCUSDT"]
BY = st.sampled_from(("LastPrice", "MarkPrice"))

placing = st.tuples(
    st.just("place"),
    st.sampled_from(Side),
    st.sampled_from((1, 2)),
    st.integers(1, 400),
    st.integers(8300, 8700),
    st.sampled_from(("GTC", "IOC", "FOK", "PostOnly", "Market")),
    st.sampled_from(("None", "CancelMaker", "CancelTaker", "CancelBoth")),
    st.none() | st.builds(Trigger, st.integers(8300, 8700).map(lambda t: D(t) / 100), st.sampled_from((1, 2)), BY),
)
trading = st.tuples(st.just("trade"), st.sampled_from(Side), st.integers(8300, 8700), st.integers(0, 3000))
cancelling = st.tuples(st.just("cancel"), st.integers(0, 50))
amending = st.tuples(st.just("amend"), st.integers(0, 50), st.integers(1, 400), st.integers(8300, 8700))
steps = st.lists(st.one_of(placing, trading, trading, cancelling, amending), max_size=40)


def new_exchange(mode: PositionMode) -> Exchange:
    config = PaperConfig(position_mode=mode, matching=MatchingModel.QUEUE)
    market = SymbolMarket(LISTING, D(85), D(10000), 0)
    exchange = Exchange(config, {"LTCUSDT": market}, "0123456789ab", 0)
    exchange.add_account("a", "k", "s", D(1000))
    return exchange


def do(exchange: Exchange, step: tuple[Any, ...], now_ms: int, mode: PositionMode) -> None:
    account = exchange.accounts["a"]
    orders = list(account.open.values())
    match step:
        case ("place", side, idx, qty, ticks, kind, smp_type, trigger):
            exchange.place(
                account,
                NewOrder(
                    "LTCUSDT",
                    side,
                    D(qty) / 10,
                    None if kind == "Market" else D(ticks) / 100,
                    idx if mode is PositionMode.HEDGE else 0,
                    "IOC" if kind == "Market" else kind,
                    reduce_only=mode is PositionMode.ONE_WAY and idx == 2,
                    smp_type=smp_type,
                    trigger=trigger,
                ),
                now_ms,
            )
        case ("trade", side, ticks, size):
            exchange.trade("LTCUSDT", side, ticks, D(size) / 10, now_ms)
            exchange.on_time(now_ms)
        case ("cancel", number) if orders:
            exchange.cancel(account, orders[number % len(orders)], now_ms)
        case ("amend", number, qty, ticks) if orders:
            order = orders[number % len(orders)]
            exchange.amend(account, order, qty=D(qty) / 10, price=D(ticks) / 100, now_ms=now_ms)


def check(exchange: Exchange) -> None:
    account = exchange.accounts["a"]
    executions = account.executions
    fees = sum((e.fee for e in executions), D(0))
    realised = sum((e.realised for e in executions), D(0))
    assert account.wallet == account.deposit + realised - fees + account.insurance
    bought = sum((e.value for e in executions if e.side is Side.BUY), D(0))
    sold = sum((e.value for e in executions if e.side is Side.SELL), D(0))
    held = sum((leg.cost * (1 if leg.direction is Direction.LONG else -1) for leg in account.legs.values()), D(0))
    assert realised == sold - bought + held  # what was paid is either realised or still in the legs
    net = sum((e.qty * (1 if e.side is Side.BUY else -1) for e in executions), D(0))
    assert net == sum(
        (leg.size * (1 if leg.direction is Direction.LONG else -1) for leg in account.legs.values()), D(0)
    )
    assert all(leg.size >= 0 and leg.cost >= 0 for leg in account.legs.values())
    assert account.order_margin == sum((order.reserved for order in account.open.values()), D(0))
    for leg in account.legs.values():
        closing = [
            o.unfilled
            for o in account.open.values()
            if o.closing
            and not o.is_waiting
            and o.request.position_idx == leg.position_idx
            and o.side is leg.direction.close_side
        ]
        assert sum(closing, D(0)) <= leg.size
    net_of_rows = sum((row.net for row in account.closed_pnl.values()), D(0))
    open_fees = sum((leg.open_fees for leg in account.legs.values()), D(0))
    assert abs(net_of_rows - open_fees - (realised - fees)) <= D("0.000001")  # fee shares are rounded per fill
    for order in account.open.values():
        assert (order.order_id in exchange.books["LTCUSDT"]) is not order.is_waiting
        assert not (order.is_waiting and order.reserved)


@settings(max_examples=120, deadline=None)
@given(steps, st.sampled_from(PositionMode))
def test_money_is_conserved(path: list[tuple[Any, ...]], mode: PositionMode) -> None:
    exchange = new_exchange(mode)
    for now_ms, step in enumerate(path):
        with suppress(ApiError):
            do(exchange, step, now_ms, mode)
        check(exchange)


def test_a_refused_order_leaves_no_trace() -> None:
    exchange = new_exchange(PositionMode.HEDGE)
    account = exchange.accounts["a"]
    request = NewOrder("LTCUSDT", Side.BUY, D(10000), D(80), 1, "PostOnly")
    for _ in range(2):
        with pytest.raises(ApiError, match="110007"):
            exchange.place(account, request, 1)
    assert not account.open
    assert not account.order_margin
    assert not exchange.take_outbox()
