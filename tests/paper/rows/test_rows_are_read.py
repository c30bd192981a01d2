"""Our own client reads every row that the paper exchange writes, in answers and on the stream, to the same figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.bybit.parse_account import (
    parse_execution,
    parse_order,
    parse_position,
    parse_transaction,
    parse_wallet,
)
from gridbot.bybit.parse_market import parse_instrument
from gridbot.core.events import ExecType, OrderStatus
from gridbot.core.vocabulary import Direction
from gridbot.paper.market.instruments import LISTINGS
from tests.paper.api.desk import LINEAR, MARKET, Desk
from tests.paper.support import limit_order

D = Decimal
SAME = ("qty", "price", "fee", "closed_size", "leaves_qty", "exec_type", "fee_currency", "fee_rate", "seq")
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def told() -> tuple[Desk, Rows]:
    """A session with resting, filled and cancelled orders, a closed leg and a funding, and what its streams said."""
    desk = Desk()
    desk.ask("order/create", **MARKET, qty="0.020", orderLinkId="in")
    desk.ask("order/create", **{**MARKET, "side": "Sell"}, qty="0.005", orderLinkId="out", reduceOnly=True)
    desk.ask("order/create", **{**MARKET, "side": "Sell", "positionIdx": 2}, qty="0.010", orderLinkId="short")
    desk.ask("order/create", **limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, orderLinkId="rests"))
    desk.ask("order/create", **limit_order("BTCUSDT", "Buy", "0.010", "58000.00", 1, orderLinkId="ends"))
    desk.ask("order/cancel", **LINEAR, orderLinkId="ends")
    desk.now_ms += 8 * 3_600_000
    desk.exchange.on_time(desk.now_ms)
    rows: Rows = {}
    for push in desk.exchange.outbox.take():
        rows.setdefault(push.topic, []).extend(push.rows)
    return desk, rows


def test_orders(told: tuple[Desk, Rows]) -> None:
    desk, stream = told
    listed = [*desk.ask("order/realtime", **LINEAR)["list"], *desk.ask("order/history", **LINEAR)["list"]]
    newest = {row["orderLinkId"]: parse_order(row) for row in stream["order"]}
    assert {order.status for order in newest.values()} == {OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.CANCELLED}
    assert len(listed) == len(newest) == 5
    for row in listed:
        order, pushed = parse_order(row), newest[row["orderLinkId"]]
        for name in ("order_id", "status", "price", "qty", "cum_exec_qty", "leaves_qty", "avg_price", "exchange_ts"):
            assert getattr(order, name) == getattr(pushed, name), name


def test_executions(told: tuple[Desk, Rows]) -> None:
    desk, stream = told
    listed = {row["execId"]: parse_execution(row) for row in desk.ask("execution/list", category="linear")["list"]}
    pushed = {row["execId"]: parse_execution(row) for row in stream["execution"]}
    assert listed.keys() == pushed.keys()
    for exec_id, execution in listed.items():
        for name in SAME:
            assert getattr(execution, name) == getattr(pushed[exec_id], name), name
    fundings = [each for each in listed.values() if each.exec_type is ExecType.FUNDING]
    assert [each.fee_currency for each in fundings] == ["USDT", "USDT"]
    assert sum(each.closed_size for each in listed.values()) == D("0.005")


def test_positions_and_wallet(told: tuple[Desk, Rows]) -> None:
    desk, stream = told
    newest = {row["positionIdx"]: parse_position(row) for row in stream["position"]}
    for row in desk.ask("position/list", **LINEAR)["list"]:
        leg, pushed = parse_position(row), newest[row["positionIdx"]]
        assert leg is not None
        assert pushed is not None
        for name in ("direction", "size", "entry_price", "leverage", "seq", "cum_realised_pnl"):
            assert getattr(leg, name) == getattr(pushed, name), name
    wallet = parse_wallet(desk.ask("account/wallet-balance", accountType="UNIFIED")["list"][0])
    assert wallet.wallet_balance == parse_wallet(stream["wallet"][-1]).wallet_balance == desk.account.wallet


def test_a_flat_leg_of_the_stream() -> None:
    desk = Desk()
    desk.ask("order/create", **MARKET, qty="0.010")
    desk.ask("order/create", **{**MARKET, "side": "Sell"}, qty="0.010", reduceOnly=True)
    leg = parse_position(next(row for row in reversed(desk.rows("position")) if row["positionIdx"] == 1))
    assert leg is not None
    assert (leg.direction, leg.size, leg.entry_price, leg.liq_price) == (Direction.LONG, 0, None, None)
    assert (leg.position_im, leg.position_mm) == (None, None)


def test_movements_add_up_to_the_wallet(told: tuple[Desk, Rows]) -> None:
    desk, _ = told
    rows = [parse_transaction(row) for row in desk.ask("account/transaction-log")["list"]]
    assert sum((row.change for row in rows), D(0)) == desk.account.wallet
    assert {row.kind for row in rows} == {"TRADE", "SETTLEMENT", "TRANSFER_IN"}


def test_instruments(told: tuple[Desk, Rows]) -> None:
    for row in told[0].ask("account/instruments-info", category="linear")["list"]:
        read, listing = parse_instrument(row), LISTINGS[row["symbol"]]
        assert (read.tick_size, read.qty_step) == (listing.instrument.tick_size, listing.instrument.qty_step)
