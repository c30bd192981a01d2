"""Why orders are missing, asked of a real strategy runner with its gate, book and executor."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import Direction, OrderStatus
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.risk.holds import Who
from gridbot.worker.explanations import Explanations
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from tests.execution.support import settle
from tests.worker.account_bench import PRICE, AccountBench, position, strategy, ticker, wallet

NO_MONEY = make_error("ab not enough", ErrorKind.BALANCE, ret_code=110007)


class Bench(AccountBench):
    def why(self, name: str = "btc") -> dict[str, Any]:
        answer = Explanations(self.context, [self.runner], RefusedStrategies()).answer(name)
        assert json.loads(json.dumps(answer)) == answer
        [found] = answer["strategies"]
        return dict(found)

    def texts(self) -> list[str]:
        return [row["text"] for row in self.why()["missing"] if row["weight"] != "normal"]


async def test_from_the_first_price_to_orders_that_rest() -> None:
    bench = Bench()
    bench.start()
    assert (bench.why()["wanted"], bench.why()["last_price"]) == (0, None)
    bench.runner.on_ticker(ticker())
    assert bench.texts() == ["its request is under way"] * 4
    await settle()
    assert bench.texts() == ["the exchange has accepted it and not shown it yet"] * 4
    for order in bench.orders:
        bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
    found = bench.why()
    assert {key: found[key] for key in ("wanted", "placed", "held", "passing", "normal")} == {
        "wanted": 8,
        "placed": 4,
        "held": 0,
        "passing": 0,
        "normal": 4,
    }
    assert {row["text"].partition(":")[0] for row in found["missing"]} == {"nothing to close"}
    levels, orders = found["ladder"]["levels"], found["ladder"]["orders"]
    assert [side for _, side in levels] == ["Buy", "Buy", None, "Sell", "Sell"]
    assert [(row["price"], row["side"], row["leg"], row["closes"], row["state"]) for row in orders] == [
        *((price, "Buy", "long", False, "open") for price, _ in levels[:2]),
        *((price, "Sell", "short", False, "open") for price, _ in levels[3:]),
    ]
    assert "ladder" not in bench.why(""), "of several strategies only what is missing"


async def test_a_refusal_is_told_with_its_code_until_the_exchange_takes_the_order() -> None:
    bench = Bench()
    bench.start()
    bench.runner.on_ticker(ticker())
    worst = bench.orders[0]
    bench.refuse(worst, NO_MONEY)
    await settle()
    await bench.clock.advance(7)
    [text] = [text for text in bench.texts() if "refused" in text]
    assert text == (
        "refused by the exchange 7 s ago: ab not enough (retCode 110007, balance); add funds, or lower amount or "
        "grid_count; it is asked again at the next price"
    )
    bench.runner.on_ticker(ticker())
    await settle()
    assert [text for text in bench.texts() if "refused" in text] == []
    assert not bench.context.passage.spoken


async def test_what_waits_for_its_turn_or_for_the_operator() -> None:
    bench = Bench()
    bench.start()
    bench.context.executor.queue.free = 0
    bench.runner.on_ticker(ticker())
    assert set(bench.texts()) == {"it waits to be sent: as many requests as may be are under way"}
    bench.runner.halt("a fault of ours")
    found = bench.why()
    assert {row["text"] for row in found["missing"] if not row["closes"]} == {"halted: a fault of ours"}
    assert [(row["what"], row["by"]) for row in found["holds"]] == [("halted", "fault")]
    assert found["holds"][0]["lifted_by"] == "gridbot-supervisor resume alice/btc"


def test_strategies_that_could_not_start_and_names_that_nobody_has() -> None:
    bench = Bench()
    refused = RefusedStrategies([RefusedStrategy("eth", "ETHUSDT", "ETHUSDT is Closed")])
    refused.pause("eth", Who.OPERATOR)
    found = Explanations(bench.context, [bench.runner], refused).answer()
    assert [row["strategy"] for row in found["strategies"]] == ["btc", "eth"]
    closed, paused = found["strategies"][1]["holds"]
    assert (closed["what"], closed["text"]) == ("halted", "ETHUSDT is Closed; looked at again each minute")
    assert (paused["what"], paused["lifted_by"]) == ("paused", "gridbot-supervisor resume alice/eth")
    with pytest.raises(LookupError, match=r"expected a strategy of alice \(btc, eth\), got 'btx'; did you mean btc"):
        Explanations(bench.context, [bench.runner], refused).answer("btx")


async def test_a_shadow_strategy_is_explained_by_its_own_gate() -> None:
    bench = Bench(strategy(shadow_mode=True))
    bench.start()
    bench.runner.on_ticker(ticker())
    found = bench.why()
    assert (found["mode"], found["wanted"], found["passing"], found["normal"]) == ("shadow", 8, 4, 4)
    assert set(bench.texts()) == {"the exchange has accepted it and not shown it yet"}


ACTIONS = (
    "price up",
    "price down",
    "wait",
    "fill",
    "refuse",
    "pause",
    "resume",
    "halt",
    "poor",
    "rich",
    "flat",
    "full",
)


@given(st.lists(st.sampled_from(ACTIONS), max_size=10))
@settings(deadline=None, max_examples=40)
def test_whatever_has_happened_it_adds_up_and_what_is_normal_is_no_missing_order(actions: list[str]) -> None:
    """What `why` calls normal is not sent with the next price, and what it says comes with it does."""
    asyncio.run(_walk(actions))


async def _walk(actions: list[str]) -> None:
    bench = Bench()
    bench.start()
    price = PRICE
    for count, action in enumerate(actions, 1):
        match action:
            case "price up" | "price down":
                price += 40 if action == "price up" else -40
                bench.runner.on_ticker(ticker(price, ts=10 + count))
            case "wait":
                await settle()
                for order in bench.orders:
                    bench.runner.on_order_update(bench.update(order, OrderStatus.NEW, exchange_ts=10 + count))
            case "fill" if bench.orders and bench.orders[0].on_wire:
                bench.runner.on_execution(bench.fill(bench.orders[0], f"e{count}", exchange_ts=10 + count))
            case "refuse" if bench.orders:
                bench.refuse(bench.orders[-1], NO_MONEY)
            case "pause":
                bench.runner.pause(cancel=True)
            case "resume":
                bench.runner.resume()
            case "halt":
                bench.runner.halt("a fault")
            case "poor" | "rich":
                bench.gate.wallet_seen(
                    wallet("10000", "1" if action == "poor" else "10000", ts=10 + count), bench.clock.now_s
                )
            case "flat" | "full":
                size = "0.05" if action == "full" else "0"
                leg = position(Direction.LONG, size, "50000" if action == "full" else None, exchange_ts=10 + count)
                bench.runner.on_position_update(leg, source="rest")
        found = bench.why()
        weights = found["held"], found["passing"], found["normal"]
        assert found["placed"] + sum(weights) == found["wanted"]
        assert all(row["text"] for row in found["missing"])
        levels = {(row["leg"], row["price"]): row for row in found["missing"]}
        if found["wanted"] and not bench.runner.risk_state.halted:
            await settle()
            levels = {(row["leg"], row["price"]): row for row in bench.why()["missing"]}
            known = {order.key for order in bench.runner.book}
            bench.runner.on_ticker(ticker(price, ts=10 + count))
            new = [order for order in bench.runner.book if order.key not in known]
            said = [levels[str(order.direction), f"{order.price:f}"] for order in new if _is_told(levels, order)]
            assert [row for row in said if row["weight"] == "normal"] == [], action


def _is_told(levels: dict[tuple[str, str], Any], order: Any) -> bool:
    """The grid may have moved with a fill: its new levels are nobody's yet."""
    return (str(order.direction), f"{order.price:f}") in levels
