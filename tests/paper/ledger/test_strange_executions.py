"""Executions that neither an order nor a market makes, and what a fill costs besides the fee in USDT."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.charges import Charges
from gridbot.paper.accounts.exchange_order import Execution, NewOrder
from gridbot.paper.accounts.row_cells import EXECUTIONS
from gridbot.paper.calls.account_calls import transaction_log
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.rows.order_rows import execution_row
from tests.paper.engine.test_funding_and_liquidation import balanced, new_exchange, take

D = Decimal


def holding() -> tuple[Exchange, Account]:
    exchange = new_exchange()
    take(exchange, "BTCUSDT", Side.BUY, 1, "0.020")
    take(exchange, "BTCUSDT", Side.SELL, 2, "0.005")
    account = exchange.accounts["a"]
    account.listening = {"execution", "order", "position", "wallet"}
    exchange.outbox.take()
    return exchange, account


def do(exchange: Exchange, action: str, **more: Any) -> None:
    exchange.strange.carry_out({"account": "a", "action": action, **more}, 5)


def newest(account: Account) -> Execution:
    return next(account.executions.newest_first())


def log_of(exchange: Exchange, account: Account, currency: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = transaction_log(exchange, account, {"currency": currency}, 6)["list"]
    return rows


@pytest.mark.parametrize("word", ["Dividend", "SpinOffSettle"])
def test_money_comes_and_the_leg_stays(word: str) -> None:
    exchange, account = holding()
    before = account.wallet
    do(exchange, "execution", symbol="BTCUSDT", positionIdx=1, type=word, money="12.5")
    made = newest(account)
    assert (account.wallet - before, account.leg("BTCUSDT", 1).size) == (D("12.5"), D("0.020"))
    assert (made.exec_type, made.order_id, made.closed_size, made.realised) == (word, "", 0, D("12.5"))
    row = log_of(exchange, account, "")[0]
    assert (row["type"], row["change"], row["tradeId"]) == (word.upper(), "12.5", made.exec_id)
    assert balanced(exchange)


def test_a_part_of_a_leg_goes_without_an_order() -> None:
    exchange, account = holding()
    do(exchange, "execution", symbol="BTCUSDT", positionIdx=2, type="MovePosition", qty="0.002")
    made = newest(account)
    assert account.leg("BTCUSDT", 2).size == D("0.003")
    assert (made.side, made.closed_size, made.fee, made.order_id) == (Side.BUY, D("0.002"), 0, "")
    assert balanced(exchange)
    with pytest.raises(ValueError, match=r"expected 0 to 0\.003 of the short, got 1"):
        do(exchange, "execution", symbol="BTCUSDT", positionIdx=2, type="MovePosition", qty="1")


def test_a_delivery_ends_orders_and_legs_without_an_order() -> None:
    exchange, account = holding()
    place = {"symbol": "BTCUSDT", "price": "70000"}
    exchange.place(account, _resting("0.001"), 3)
    do(exchange, "deliver", **place)
    assert not account.open
    assert {order.cancel_type for order in account.closed.values()} >= {"CancelBySettle"}
    long, short = sorted((e for e in account.executions if e.exec_type == "Delivery"), key=lambda e: e.side)[::-1]
    assert (long.side, long.price, long.qty, long.closed_size) == (Side.SELL, 70000, D("0.020"), D("0.020"))
    assert (short.side, short.create_type, short.order_id) == (Side.BUY, "CreateBySettle", "")
    assert not any(leg.size for leg in account.legs.values())
    assert balanced(exchange)
    topics = {push.topic for push in exchange.outbox.take()}
    assert topics == {"execution", "order", "position", "wallet"}


def _resting(qty: str) -> NewOrder:
    return NewOrder("BTCUSDT", Side.BUY, D(qty), D(20000), 1, "GTC")


def test_a_tax_is_charged_on_top_and_stands_beside_the_fee() -> None:
    """18 % GST, as on a genuine capture: execFee 0.0256322, GST 0.004613796."""
    assert Charges(tax=D("0.18")).of(D("0.0256322")) == (D("0.0256322"), "USDT", D("0.00461380"))
    exchange, account = holding()
    do(exchange, "charges", tax="0.18")
    before = account.wallet
    take(exchange, "BTCUSDT", Side.BUY, 1, "0.010")
    made = newest(account)
    assert account.wallet - before == -(made.fee + made.tax)
    assert made.tax == (made.fee * D("0.18")).quantize(D("1e-8"))
    assert balanced(exchange)
    [extra] = execution_row(made, stream=True)["extraFees"]
    assert (extra["feeCoin"], extra["feeType"], D(extra["fee"])) == ("USDT", "GST", made.tax)
    assert orjson.loads(execution_row(made)["extraFees"]) == [extra]
    row = log_of(exchange, account, "USDT")[0]
    assert D(row["change"]) == -made.fee - D(row["extraFees"])
    assert EXECUTIONS.row(orjson.loads(orjson.dumps(EXECUTIONS.cells(made), default=str))) == made, (
        "a state file has it"
    )


def test_a_fee_in_another_coin_leaves_the_usdt_and_has_a_log_of_its_own() -> None:
    exchange, account = holding()
    do(exchange, "charges", coin="MNT", price="0.5")
    before = account.wallet
    take(exchange, "BTCUSDT", Side.BUY, 1, "0.010")
    made = newest(account)
    assert account.wallet == before
    assert execution_row(made)["feeCurrency"] == "MNT"
    assert log_of(exchange, account, "USDT")[0]["change"] == "0"
    [row] = log_of(exchange, account, "MNT")
    assert (row["currency"], D(row["change"]), row["tradeId"]) == ("MNT", -made.fee, made.exec_id)
    assert balanced(exchange)


def test_a_wallet_frame_may_have_no_row_of_usdt() -> None:
    exchange, account = holding()
    do(exchange, "wallet", coin="MNT")
    [push] = exchange.outbox.take()
    [row] = push.rows
    assert [coin["coin"] for coin in row["coin"]] == ["MNT"]
    assert D(row["totalEquity"]) == exchange.totals(account).equity
    account.listening = set()
    do(exchange, "wallet", coin="MNT")
    assert exchange.outbox.take() == []
