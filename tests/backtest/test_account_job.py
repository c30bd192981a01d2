"""What an account does on composed prices, reckoned by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.backtest.run_options import Latency, Options
from gridbot.paper.settings import MatchingModel
from tests.backtest.backtest_examples import BTC, START_MS, Ran, config_of, day_of

FALL = [50_000] * 5 + [49_400] * 5
"""Through the Buy at 49,500, one percent below, and not to that at 49,005."""


def d(text):
    return Decimal(text)


def test_a_fall_fills_the_buy_below_and_a_rise_sells_it_again():
    ran = Ran(config_of(), [day_of([50_000] * 5 + [49_400] * 5 + [50_100] * 20)])
    bought, *sold = ran.rows("executions", exec_type="Trade")
    assert (bought["side"], bought["direction"], d(bought["price"]), d(bought["qty"])) == (
        "Buy",
        "long",
        49_500,
        d("0.01"),
    )
    assert d(bought["fee"]) == d(bought["price"]) * d(bought["qty"]) * d("0.0002"), "as a maker"
    assert bought["exchange_ts"] == START_MS + 5000
    closes = [row for row in sold if d(row["closed_size"])]
    assert [(row["side"], row["direction"]) for row in closes] == [("Sell", "long")]
    gain = (d(closes[0]["price"]) - 49_500) * d("0.01")
    assert d(closes[0]["realised_pnl"]) == gain > 0
    wallet = d(ran.rows("wallets")[-1]["wallet_balance"])
    trades = [bought, *sold]
    assert wallet == 10_000 + sum(d(row["realised_pnl"]) - d(row["fee"]) for row in trades)


def test_an_order_travels_before_it_rests_and_its_fill_before_it_is_known():
    ways: dict[str, Any] = {
        "request": Latency(7, 7),
        "answer": Latency(11, 11),
        "push": Latency(13, 13),
        "ticker_ms": 5,
    }
    ran = Ran(config_of(paper={"ack_delay_ms": 0}), [day_of(FALL, every_ms=10_000)], Options(**ways), minutes=3)
    intent = ran.rows("intents", verdict="sent")[0]
    order = [row for row in ran.rows("orders") if row["order_link_id"] == intent["order_link_id"]]
    assert [row["state"] for row in order[:2]] == ["pending", "open"]
    assert order[1]["local_ts"] - order[0]["local_ts"] == (7 + 13) * 1000, "its own stream says so"
    [fill] = ran.rows("executions")
    assert fill["local_ts"] == (fill["exchange_ts"] + 13) * 1000


@pytest.mark.parametrize(
    ("matching", "fills"), [(MatchingModel.TOUCH, 1), (MatchingModel.QUEUE, 0), (MatchingModel.THROUGH, 0)]
)
def test_a_trade_at_the_price_of_an_order_fills_it_as_the_matching_says(matching, fills):
    touching = day_of([50_000] * 5 + [49_500] * 3 + [49_900] * 3, sizes=[1] * 11)
    assert len(Ran(config_of(), [touching], Options(matching=matching)).rows("executions")) == fills


def test_longs_pay_and_shorts_receive_the_fundings_of_the_data_at_the_mark_price():
    fundings = [(START_MS + 15_000, Decimal("0.001"))]
    marks = [(START_MS, 50_000_0), (START_MS + 14_000, 49_000_0)]
    ran = Ran(config_of(), [day_of(FALL + [49_400] * 20, fundings=fundings, marks=marks, mark_unit=Decimal("0.1"))])
    held = ran.rows("executions", exec_type="Trade")
    assert [row["direction"] for row in held if row["exchange_ts"] < START_MS + 15_000] == ["long"]
    [funding] = ran.rows("executions", exec_type="Funding")
    assert d(funding["fee"]) == d("0.01") * 49_000 * d("0.001")


def test_an_account_that_loses_its_margin_is_liquidated_at_the_first_mark_that_does_it():
    settings = {"amount": "q0.2", "leverage": 50, "grid_count": 10, "max_margin": 100, "caps": {"max_notional": "off"}}
    prices = [50_000] * 5 + [50_000 - 100 * step for step in range(150)]
    config = config_of(settings, balance=900, caps={"session_loss_limit": "off"})
    every, jumping = (Ran(config, [day_of(prices)], Options(every_tick=every)) for every in (True, False))
    assert [row["exchange_ts"] for row in every.rows("executions", exec_type="BustTrade")], "it happens"
    assert every.bodies == jumping.bodies
    assert jumping.told[-1][2].startswith("liquidated")


def test_strategies_share_the_wallet_of_their_account():
    both = config_of({}, {"strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"})
    days = [day_of(FALL * 2), day_of([2500] * 7 + [2470] * 13, symbol="ETHUSDT")]
    ran = Ran(both, days)
    assert {row["strategy"] for row in ran.rows("executions")} == {"btc", "eth"}
    paid = sum(d(row["realised_pnl"]) - d(row["fee"]) for row in ran.rows("executions"))
    assert d(ran.rows("wallets")[-1]["wallet_balance"]) == 10_000 + paid
    times = [row["local_ts"] for table in ran.bodies for row in ran.rows(table)]
    assert sorted(times) == [
        time for _, time in sorted((row["seq"], row["local_ts"]) for t in ran.bodies for row in ran.rows(t))
    ]


def test_an_account_of_many_symbols_starts():
    """All of them are set up at one moment, which is no crowd of requests."""
    days = [replace(day_of([50_000] * 3), symbol=f"C{number}USDT") for number in range(12)]
    days = [replace(day, instrument=replace(BTC, symbol=day.symbol)) for day in days]
    strategies = [{"strat_id": f"c{number}", "symbol": day.symbol} for number, day in enumerate(days)]
    orders = Ran(config_of(*strategies), days, minutes=1).rows("orders", state="pending")
    assert {order["symbol"] for order in orders} == {day.symbol for day in days}


def test_a_shadow_strategy_trades_as_a_shadow():
    ran = Ran(config_of({"shadow_mode": True}), [day_of(FALL)])
    fills = ran.rows("executions")
    assert [(row["shadow"], d(row["price"])) for row in fills] == [(True, 49_500)]
    assert {row["shadow"] for row in ran.rows("orders")} == {True}
    assert {d(row["wallet_balance"]) for row in ran.rows("wallets")} == {d(10_000)}


def test_no_more_orders_leave_than_the_budget_allows():
    ran = Ran(config_of({"grid_count": 40, "grid_step": 0.2}), [day_of(FALL)])
    sent = sorted(row["local_ts"] for row in ran.rows("orders", state="pending"))
    assert len(sent) >= 20
    assert all(later - earlier >= 1_000_000 for earlier, later in zip(sent, sent[10:], strict=False))


def test_a_loss_beyond_the_limit_of_the_session_stops_the_account():
    fundings = [(START_MS + 20_000, Decimal("0.01"))]
    ran = Ran(config_of(caps={"session_loss_limit": 1}), [day_of(FALL + [49_400] * 50, fundings=fundings)])
    assert any("lost" in text for _, _, text in ran.told), ran.told
    last = {row["order_link_id"]: row["state"] for row in ran.rows("orders")}
    assert set(last.values()) <= {"filled", "cancelled"}, "what rested is withdrawn"
