"""Stops and money: none outlives its position, turns it around or closes more than there is; a restart loses none."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.exchange_order import Amendment, NewOrder
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, StopPrice, TpslMode, TradingStop, Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.engine.liquidation import TAKE_OVER
from gridbot.paper.settings import PositionMode
from tests.examples import examples
from tests.paper.engine.test_money import BY, check, new_exchange
from tests.paper.support import dump_state, load_state

D = Decimal
TICK = D("0.01")
FAR = st.none() | st.integers(1, 40)
QTY = st.integers(1, 60)
entering = st.tuples(st.just("enter"), st.sampled_from((1, 2)), QTY, FAR, FAR, FAR, st.sampled_from(TpslMode))
leaving = st.tuples(st.just("leave"), st.sampled_from((1, 2)), QTY, st.none() | st.integers(1, 40))
stopping = st.tuples(st.just("stop"), st.sampled_from((1, 2)), FAR, FAR, FAR, QTY, st.booleans(), BY)
trailing = st.tuples(st.just("trail"), st.sampled_from((1, 2)), st.integers(0, 30), FAR)
moving = st.tuples(st.just("move"), st.integers(-40, 40), st.integers(0, 3000))
amending = st.tuples(st.just("amend"), st.integers(0, 50), st.none() | QTY, FAR)
cancelling = st.tuples(st.just("cancel"), st.integers(0, 50))
paths = st.lists(
    st.one_of(entering, entering, leaving, stopping, stopping, trailing, moving, moving, moving, amending, cancelling),
    min_size=5,
    max_size=40,
)


def at(exchange: Exchange, position: Direction, distance: int | None) -> StopPrice | None:
    """`distance` ticks on the winning side of the last price; a negative one is on the losing side."""
    sign = 1 if position is Direction.LONG else -1
    return None if distance is None else StopPrice(exchange.markets["LTCUSDT"].last + sign * distance * TICK)


def negative(distance: int | None) -> int | None:
    return None if distance is None else -distance


def do(exchange: Exchange, step: tuple[Any, ...], now_ms: int, mode: PositionMode) -> None:
    account, market = exchange.accounts["a"], exchange.markets["LTCUSDT"]
    hedge = mode is PositionMode.HEDGE
    orders = list(account.open.values())
    match step:
        case ("enter", idx, qty, below, profit, loss, tpsl_mode):
            position = Direction.LONG if idx == 1 else Direction.SHORT
            entry = at(exchange, position, negative(below))
            attached = Attached(
                tpsl_mode, at(exchange, position, profit), at(exchange, position, None if loss is None else -loss - 40)
            )
            limit = None if entry is None else entry.price
            request = NewOrder(
                "LTCUSDT",
                position.open_side,
                D(qty) / 10,
                limit,
                idx if hedge else 0,
                "IOC" if limit is None else "GTC",
                f"{now_ms}",
                attached=attached or None,
            )
            exchange.place(account, request, now_ms)
        case ("leave", idx, qty, above):
            leg = account.leg("LTCUSDT", idx if hedge else 0)
            exit_at = at(exchange, leg.direction, above)
            limit = None if exit_at is None else exit_at.price
            tif = "IOC" if limit is None else "GTC"
            request = NewOrder(
                "LTCUSDT", leg.direction.close_side, D(qty) / 10, limit, leg.position_idx, tif, reduce_only=True
            )
            exchange.place(account, request, now_ms)
        case ("stop", idx, profit, loss, limit, qty, partial, by):
            leg = account.leg("LTCUSDT", idx if hedge else 0)
            tp, sl = at(exchange, leg.direction, profit), at(exchange, leg.direction, negative(loss))
            if not partial:
                exchange.set_stops(
                    account, leg, TradingStop({StopKind.TAKE_PROFIT: tp, StopKind.STOP_LOSS: sl}, {}), now_ms
                )
                return
            limited = at(exchange, leg.direction, limit)
            parts = {
                kind: StopPrice(stop.price, by, None if limited is None else limited.price)
                for kind, stop in ((StopKind.PARTIAL_TAKE_PROFIT, tp), (StopKind.PARTIAL_STOP_LOSS, sl))
                if stop is not None
            }
            exchange.set_stops(account, leg, TradingStop({}, parts, D(qty) / 10), now_ms)
        case ("trail", idx, distance, active):
            leg = account.leg("LTCUSDT", idx if hedge else 0)
            beyond = at(exchange, leg.direction, active)
            trail = Trail(distance * TICK, None if beyond is None else beyond.price, beyond is None)
            exchange.set_stops(account, leg, TradingStop({StopKind.TRAILING: trail if distance else None}, {}), now_ms)
        case ("move", ticks, size):
            side = Side.BUY if ticks > 0 else Side.SELL
            exchange.trade("LTCUSDT", side, market.last_ticks + ticks, D(size) / 10, now_ms)
            exchange.on_time(now_ms)
        case ("amend", number, qty, distance) if orders:
            order = orders[number % len(orders)]
            price = market.last + (distance or 0) * TICK if order.request.trigger is not None else None
            exchange.amend(account, order, Amendment(None if qty is None else D(qty) / 10, trigger_price=price), now_ms)
        case ("cancel", number) if orders:
            exchange.cancel(account, orders[number % len(orders)], now_ms)


def size_limits(exchange: Exchange) -> dict[int, tuple[Direction, Decimal]]:
    return {leg.position_idx: (leg.direction, leg.size) for leg in exchange.accounts["a"].legs.values()}


@settings(max_examples=examples(250), deadline=None)
@given(paths, st.sampled_from(PositionMode))
def test_stops_only_ever_close(path: list[tuple[Any, ...]], mode: PositionMode) -> None:
    exchange = new_exchange(mode)
    account = exchange.accounts["a"]
    for now_ms, step in enumerate(path):
        before, seen = size_limits(exchange), len(account.executions)
        with suppress(ApiError):
            do(exchange, step, now_ms, mode)
        check(exchange)
        stops = [e for e in list(account.executions)[seen:] if e.create_type not in ("CreateByUser", TAKE_OVER)]
        assert all(fill.closed_size == fill.qty for fill in stops)
        if step[0] == "move" and len(stops) == len(account.executions) - seen:
            for idx, (direction, size) in size_limits(exchange).items():
                assert (direction, True) == (before[idx][0], size <= before[idx][1])


@settings(max_examples=examples(120), deadline=None)
@given(paths, st.sampled_from(PositionMode))
def test_a_restart_loses_no_stop(path: list[tuple[Any, ...]], mode: PositionMode) -> None:
    exchange = new_exchange(mode)
    for now_ms, step in enumerate(path):
        with suppress(ApiError):
            do(exchange, step, now_ms, mode)
    state = dump_state(exchange)
    again = new_exchange(mode)
    load_state(again, state)
    assert dump_state(again) == state
    check(again)
    for leg in exchange.accounts["a"].legs.values():
        kept = again.accounts["a"].leg(leg.symbol, leg.position_idx)
        assert again.stops_of(again.accounts["a"], kept) == exchange.stops_of(exchange.accounts["a"], leg)
