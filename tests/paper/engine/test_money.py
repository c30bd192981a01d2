"""Money is conserved: whatever orders, stops and prices do, wallet = deposit + realised - fees + funding."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Amendment, NewOrder, Trigger
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, StopPrice, TpslMode
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.transaction_rows import entries, transaction_row
from gridbot.paper.settings import MatchingModel, PaperConfig, PositionMode
from tests.examples import examples

D = Decimal
LISTING = LISTINGS["LTCUSDT"]
BY = st.sampled_from(("LastPrice", "MarkPrice"))
PRICES = st.integers(8300, 8700).map(lambda ticks: D(ticks) / 100)
STOPS = st.builds(StopPrice, PRICES, BY)

placing = st.tuples(
    st.just("place"),
    st.sampled_from(Side),
    st.sampled_from((1, 2)),
    st.integers(1, 400),
    st.integers(8300, 8700),
    st.sampled_from(("GTC", "IOC", "FOK", "PostOnly", "Market")),
    st.sampled_from(("None", "CancelMaker", "CancelTaker", "CancelBoth")),
    st.none() | st.builds(Trigger, PRICES, st.sampled_from((1, 2)), BY),
    st.none() | st.builds(Attached, st.sampled_from(TpslMode), st.none() | STOPS, st.none() | STOPS),
)
trading = st.tuples(st.just("trade"), st.sampled_from(Side), st.integers(8300, 8700), st.integers(0, 3000))
cancelling = st.tuples(st.just("cancel"), st.integers(0, 50))
amending = st.tuples(st.just("amend"), st.integers(0, 50), st.integers(1, 400), st.integers(8300, 8700))
funding = st.tuples(st.just("fund"), st.integers(-75, 75))
steps = st.lists(st.one_of(placing, trading, trading, cancelling, amending, funding), max_size=40)


def new_exchange(mode: PositionMode) -> Exchange:
    config = PaperConfig(position_mode=mode, matching=MatchingModel.QUEUE)
    market = SymbolMarket(LISTING, D(85), D(10000), 0)
    exchange = Exchange(config, {"LTCUSDT": market}, "0123456789ab", 0)
    exchange.state.add_account("a", "k", "s", D(1000))
    return exchange


def do(exchange: Exchange, step: tuple[Any, ...], now_ms: int, mode: PositionMode) -> None:
    account = exchange.accounts["a"]
    orders = list(account.open.values())
    match step:
        case ("place", side, idx, qty, ticks, kind, smp_type, trigger, attached):
            closes = idx == 2 if mode is PositionMode.ONE_WAY else (side is Side.BUY) is (idx == 2)
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
                    attached=None if closes else attached or None,  # as the request is read
                ),
                now_ms,
            )
        case ("trade", side, ticks, size):
            exchange.trade("LTCUSDT", side, ticks, D(size) / 10, now_ms)
            exchange.on_time(now_ms)
        case ("fund", rate):
            exchange.settle_funding("LTCUSDT", D(rate) / 10000, now_ms)
        case ("cancel", number) if orders:
            exchange.cancel(account, orders[number % len(orders)], now_ms)
        case ("amend", number, qty, ticks) if orders:
            order = orders[number % len(orders)]
            exchange.amend(account, order, Amendment(D(qty) / 10, D(ticks) / 100), now_ms)


def check(exchange: Exchange) -> None:
    account = exchange.accounts["a"]
    funding = -sum((e.fee for e in account.executions if e.exec_type == "Funding"), D(0))
    executions = [e for e in account.executions if e.exec_type != "Funding"]
    fees = sum((e.fee for e in executions), D(0))
    realised = sum((e.realised for e in executions), D(0))
    assert account.wallet == account.deposit + realised - fees + funding + account.insurance
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
    by_leg: dict[tuple[str, int], dict[str, Any]] = {}
    for order in account.open.values():
        if order.closing:
            by_leg.setdefault((order.symbol, order.request.position_idx), {})[order.order_id] = order
    assert {leg: orders for leg, orders in account.closing.items() if orders} == by_leg
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
    check_log(account)
    check_stops(exchange)
    for order in account.open.values():
        assert (order in exchange.resting) is not order.is_waiting
        assert not (order.is_waiting and order.reserved)


def check_log(account: Account) -> None:
    """Each movement leads from one balance to the next, the last one to the wallet."""
    balance = D(0)
    for entry in reversed(list(entries(account))):
        row = transaction_row(account, entry)
        balance += D(row["change"])
        assert balance == D(row["cashBalance"])
        assert D(row["change"]) == D(row["cashFlow"]) + D(row["funding"] or 0) - D(row["fee"] or 0)
    assert balance == account.wallet


def check_stops(exchange: Exchange) -> None:
    """No stop without its position; none would turn it around or close more than there is."""
    account = exchange.accounts["a"]
    waiting = [order for order in account.open.values() if order.stop_kind is not None and order.is_waiting]
    for leg in account.legs.values():
        mine = [order for order in waiting if order.request.position_idx == leg.position_idx]
        assert exchange.stops_of(account, leg) == mine
        assert leg.size or not mine
        by_kind: dict[StopKind, D] = {}
        for order in mine:
            kind = order.stop_kind
            assert kind is not None
            assert order.side is leg.direction.close_side
            assert order.qty == order.request.qty
            assert kind.is_partial or (order.qty == leg.size and kind not in by_kind)
            by_kind[kind] = by_kind.get(kind, D(0)) + order.qty
            sibling = account.open.get(order.sibling_id)
            assert sibling is None or sibling.sibling_id == order.order_id
        assert all(total <= leg.size for total in by_kind.values())
        shown = {StopKind.TAKE_PROFIT: leg.take_profit, StopKind.STOP_LOSS: leg.stop_loss}
        for kind, price in shown.items():
            assert (price is not None) is (kind in by_kind)
        assert (leg.trailing_stop is not None) is (StopKind.TRAILING in by_kind)


@settings(max_examples=examples(120), deadline=None)
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
    assert not exchange.outbox.take()
