"""An old bot's orders on the real paper exchange, taken over by a real worker: nothing is doubled, whatever dies."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pybit.unified_trading import HTTP

from gridbot.core import Direction, Side
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import OrderRecord
from gridbot.risk.holds import Hold
from gridbot.strategies.grid.ladder import GridConfig, ladder
from gridbot.worker.commands import Commands, answer_to
from gridbot.worker.spec import KNOWN
from tests.integration.worker_bench import (
    BTC,
    WorkerBench,
    account_of,
    ever,
    exchange,
    executions,
    records,
    resting,
    settings,
    trading,
)
from tests.worker.account_bench import BTC as CONTRACT

QTY = Decimal("0.01")
CENTRE = Decimal("49973.3")
"""What the old ladder was built around: nobody knows that price any more, and none of our levels is one of its."""
LEVELS = [
    (side, CONTRACT.price(ticks))
    for ticks, side in ladder(GridConfig(10, Decimal("0.2")), CONTRACT, CENTRE)
    if side is not None
]
AS_STARTED = "started paused by a test"


class OldBot:
    """The program of before, as far as the exchange knows it: a plain pybit client that has placed a ladder."""

    def __init__(self, paper: PaperThread) -> None:
        account = account_of(paper)
        self._http = HTTP(api_key=account.api_key, api_secret=account.api_secret)
        self._http.endpoint = paper.url
        self._http.switch_position_mode(category="linear", symbol="BTCUSDT", mode=3)

    def place(self, side: Side, price: Decimal, *, link: str | None = None, **more: Any) -> str:
        named = {} if link is None else {"orderLinkId": link}
        fields = {"symbol": "BTCUSDT", "side": str(side), "orderType": "Limit", "qty": str(QTY), "price": str(price)}
        leg = {"positionIdx": 1 if side is Side.BUY else 2, "timeInForce": "PostOnly"}
        answer = self._http.place_order(category="linear", **{**fields, **leg, **named, **more})
        return str(answer["result"]["orderId"])

    def ladder(self) -> None:
        """Some orders have an id in the old form, others have none."""
        for n, (side, price) in enumerate(LEVELS):
            self.place(side, price, link=None if n % 2 else f"{n:016x}-17640000{n:05}")


async def adopt(bench: WorkerBench, **args: Any) -> dict[str, Any]:
    await bench.until(lambda: bench.runner().risk_state.last_price is not None, "a price")
    account = bench.assembly.orchestrator
    commands = Commands(
        *("alice", list(account.runners.values()), account.context.requests, account.losses, account.money),
        *(account.context.recorded, account.flattening, account.refused),
        adoption=account.adoption,
    )
    answer = answer_to({"name": "adopt", "args": args, "who": "ann@host"}, commands, "trading")
    assert answer["ok"], answer
    done, text = await answer["result"]
    assert done, text
    told: dict[str, Any] = json.loads(text)
    return told


def fits(told: dict[str, Any]) -> Counter[str]:
    return Counter(order["fit"] for order in told["strategies"][0]["orders"])


def doubled(paper: PaperThread) -> list[Any]:
    """Sides, legs and prices at which more than one order rests."""
    found = Counter((order.side, order.request.position_idx, order.price) for order in resting(paper))
    return [level for level, count in found.items() if count > 1]


@pytest.mark.parametrize("dies", ["never", "after adopting", "while paused and while trading"])
def test_an_old_ladder_is_taken_over_and_traded_on(tmp_path: Path, dies: str) -> None:
    config = settings(tmp_path, BTC)

    async def scenario(paper: PaperThread) -> None:
        OldBot(paper).ladder()
        async with trading(config, paper, crash=dies != "never", paused=AS_STARTED) as bench:
            documents = [handed for handed in bench.handed if handed[0] != KNOWN]
            assert documents[-1] == ("paused", {}), "after the holds of each strategy"
            shown = await adopt(bench)
            assert fits(shown) == {"near": 10}, "its own ladder is around the market price"
            assert "ticks from the level" in shown["strategies"][0]["orders"][0]["why"]
            shown = await adopt(bench, ladder=True)
            assert (fits(shown), shown["strategies"][0]["absent"]) == ({"adopted": 10}, [])
            assert shown["said"].startswith("10 would be adopted, 0 near misses and 0 foreign orders left, 0 wanted")
            assert len(bench.runner().book) == 0, "nothing is changed without --apply"
            if dies == "while paused and while trading":
                pass  # between the look and the taking
            else:
                assert fits(await adopt(bench, ladder=True, apply=True)) == {"adopted": 10}
                assert len(bench.runner().book) == 10
        if dies == "while paused and while trading":
            async with trading(config, paper, crash=True) as bench:
                assert bench.runner().risk_state.holds.reason(Hold.PAUSED) == AS_STARTED
                await adopt(bench, ladder=True, apply=True)
        async with trading(config, paper, crash=dies.startswith("while")) as bench:
            await bench.quiet()
            assert len(bench.runner().book) == 10, "a next life knows whose they are"
            bench.runner().resume()
            paper.set_price("BTCUSDT", "50001")
            await bench.quiet()
            assert ever(paper) == 10, "nothing is missing, so nothing is placed"
        async with trading(config, paper) as bench:
            await bench.quiet()
            side, first = max((price, side) for side, price in LEVELS if side is Side.BUY)[::-1]
            assert side is Side.BUY
            paper.set_price("BTCUSDT", str(first - 1))
            await bench.until(lambda: bench.size(Direction.LONG) == QTY, "the fill of an adopted order")
            paper.set_price("BTCUSDT", str(first + 30))
            await bench.until(lambda: any(order.reduce_only for order in bench.runner().book), "what it leads to")
            await bench.quiet()
            assert doubled(paper) == []
            bench.runner().pause(cancel=True)
            await bench.until(lambda: not resting(paper), "cancels, also of orders without a link id")
        [fill] = executions(tmp_path)
        assert (fill.strategy, fill.qty, fill.direction) == ("btc", QTY, "long")
        told = [r for r in records(tmp_path) if isinstance(r, OrderRecord) and "adopted from another" in r.reason]
        assert len(told) == 10
        assert {record.reason for record in told} == {"adopted from another program by ann@host"}

    with exchange(config) as paper:
        asyncio.run(scenario(paper))


def test_near_misses_stay_and_what_is_missing_is_placed(tmp_path: Path) -> None:
    config = settings(tmp_path, BTC)
    ours = [
        (side, CONTRACT.price(ticks))
        for ticks, side in ladder(GridConfig(10, Decimal("0.2")), CONTRACT, Decimal(50000))
    ]

    async def scenario(paper: PaperThread) -> None:
        bot = OldBot(paper)
        (buy, low), (_, second), (_, third), *_ = ours
        assert buy is Side.BUY
        bot.place(buy, low, link="fits")
        bot.place(buy, second, link="other-quantity", qty="0.02")
        bot.place(buy, third + Decimal("0.3"), link="off-by-three")
        bot.place(Side.BUY, Decimal(30000), link="far")
        async with trading(config, paper, paused=AS_STARTED) as bench:
            told = (await adopt(bench, apply=True))["strategies"][0]
            found = {order["order_link_id"]: (order["fit"], order["why"]) for order in told["orders"]}
            assert found["fits"] == ("adopted", "")
            assert found["other-quantity"] == ("near", "quantity 0.020, wanted 0.010")
            assert found["off-by-three"][1].startswith("price off the ladder: 3 ticks from the level")
            assert found["far"][0] == "foreign"
            assert len(told["absent"]) == 9
            bench.runner().resume()
            paper.set_price("BTCUSDT", "50001")
            await bench.until(lambda: len(bench.runner().book) == 10, "what was missing")
            await bench.quiet()
            links = Counter(order.link_id for order in resting(paper))
            assert all(links[link] == 1 for link in ("fits", "other-quantity", "off-by-three", "far"))
            assert ever(paper) == 4 + 9
            told = (await adopt(bench))["strategies"][0]
            assert [order["order_link_id"] for order in told["orders"]] == ["far", "other-quantity", "off-by-three"]
            assert "an order of its own" in told["orders"][1]["why"] or "quantity" in told["orders"][1]["why"]

    with exchange(config) as paper:
        asyncio.run(scenario(paper))


def test_a_fill_between_two_lives_counts_for_the_strategy(tmp_path: Path) -> None:
    """Its id does not say that it is ours, and the order has ended when the next life reads of the fill."""
    config = settings(tmp_path, BTC)
    highest_buy = max(price for side, price in LEVELS if side is Side.BUY)

    async def scenario(paper: PaperThread) -> None:
        OldBot(paper).ladder()
        async with trading(config, paper, crash=True, paused=AS_STARTED) as bench:
            await adopt(bench, ladder=True, apply=True)
        paper.set_price("BTCUSDT", str(highest_buy - 1))
        async with trading(config, paper, crash=True) as bench:
            await bench.until(
                lambda: bench.runner().engine.state().to_dict()["last_fill"] is not None, "the grid knows"
            )
            assert Decimal(bench.runner().engine.state().to_dict()["last_fill"]) == highest_buy
            assert len(bench.runner().book) == 9
        async with trading(config, paper) as bench:
            assert len(bench.runner().book) == 9
        [fill] = executions(tmp_path)
        assert fill.strategy == "btc"

    with exchange(config) as paper:
        asyncio.run(scenario(paper))


def test_only_a_strategy_that_is_held_is_given_orders(tmp_path: Path) -> None:
    config = settings(tmp_path, BTC)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await bench.quiet()
            with pytest.raises(AssertionError, match="expected every strategy to be paused, got btc"):
                await adopt(bench, apply=True)

    with exchange(config) as paper:
        asyncio.run(scenario(paper))


def test_a_second_adoption_goes_on_where_the_first_has_left_off(tmp_path: Path) -> None:
    """Orders that are the strategy's already are part of the ladder, and stay on it."""
    config = settings(tmp_path, BTC)

    async def scenario(paper: PaperThread) -> None:
        bot = OldBot(paper)
        for side, price in LEVELS[2:]:
            bot.place(side, price)
        async with trading(config, paper, paused=AS_STARTED) as bench:
            assert fits(await adopt(bench, ladder=True, apply=True)) == {"adopted": 8}
            for side, price in LEVELS[:2]:
                bot.place(side, price)
            runner = bench.runner()
            bench.assembly.context.gate.withdraw(
                runner.strat_id
            )  # as a reload that removes it, while the exchange is asked
            with pytest.raises(AssertionError, match="got a reload that removed btc"):
                await adopt(bench, ladder=True, apply=True)
            bench.assembly.context.gate.enroll(runner.risk_state)
            assert fits(await adopt(bench, ladder=True, apply=True)) == {"adopted": 2}
            assert len(bench.runner().book) == 10
            bench.runner().resume()
            paper.set_price("BTCUSDT", "50001")
            await bench.quiet()
            assert (ever(paper), doubled(paper)) == (10, [])

    with exchange(config) as paper:
        asyncio.run(scenario(paper))
