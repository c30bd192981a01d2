"""Why orders are missing, asked of a real strategy runner with its gate, book and executor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridbot.core import OrderStatus
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.risk.holds import Who
from gridbot.worker.explanations import Explanations
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from tests.execution.support import settle
from tests.worker.account_bench import AccountBench, strategy, ticker

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
