"""Nothing gets through: a real worker at a real paper exchange that refuses, and what its operator hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import GridbotConfig
from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import AlertRecord
from tests.integration.test_worker_session import WAIT_S, Life, living
from tests.integration.worker_bench import BTC, account_of, exchange, records, resting, settings

CREATES = ("/v5/order/create", "/v5/order/create-batch")


class Bench:
    """A worker, the exchange, and what is said of it."""

    def __init__(self, life: Life, paper: PaperThread) -> None:
        self.life, self.paper = life, paper
        self._price = Decimal(50000)

    async def price(self, price: Decimal | None = None) -> None:
        """The price moves a little, or to this."""
        self._price = price or self._price + Decimal("0.5")
        await asyncio.to_thread(self.paper.set_price, "BTCUSDT", f"{self._price:f}")

    def accept(self) -> None:
        self.paper.call(self.paper.server.faults.plan.clear)

    def by_hand(self, path: str, **params: Any) -> Any:
        """A request of the account's owner; to be called in the exchange's loop."""
        server = self.paper.server
        row = {"category": "linear", "symbol": "BTCUSDT", **params}
        found, _, _ = server.api.call(ROUTES[path], path, account_of(self.paper), row, server.now_ms())
        server._publish()
        return found

    async def paused(self) -> None:
        """No order rests, and none is placed."""
        self.life.say("pause", cancel=True)
        await self.life.until("answer", id="pause", ok=True)
        await self.until(lambda: not resting(self.paper) and self.report(_has_no_orders), "the cancels")

    async def resume(self) -> None:
        self.life.say("resume")
        await self.life.until("answer", id="resume", ok=True)

    def alerts(self, key: str, level: str = "error") -> list[str]:
        return [m["text"] for m in self.life.sent if (m["type"], m.get("key"), m.get("level")) == ("alert", key, level)]

    async def until(self, condition: Callable[[], Any], what: str, *, prices: bool = False) -> Any:
        """Wait for it; with `prices` the price moves meanwhile."""
        deadline_s = asyncio.get_running_loop().time() + WAIT_S
        while not (found := condition()):
            assert asyncio.get_running_loop().time() < deadline_s, f"{what}: {self.life.sent[-3:]}"
            if prices:
                await self.price()
            await asyncio.sleep(0.05)
        return found

    def report(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any] | None:
        """The newest report, when it is so."""
        newest = next((m for m in reversed(self.life.sent) if m["type"] == "health"), None)
        return newest if newest is not None and condition(newest) else None


def _has_no_orders(report: dict[str, Any]) -> bool:
    """Nor one whose request is under way."""
    return not any(row["open_orders"] for row in report["strategies"])


def _nothing_is_refused(report: dict[str, Any]) -> bool:
    told = [row["key"] for row in report["incidents"]]
    return "refused.BTCUSDT" not in told and not any("no order gets through" in reason for reason in report["reasons"])


def play(config: GridbotConfig, part: Callable[[Bench], Coroutine[Any, Any, None]], **refusal: Any) -> None:
    """With a `refusal` (code and message) every create is refused from the beginning on."""
    faults = [{"kind": "error", "endpoint": endpoint, "times": 0, **refusal} for endpoint in CREATES if refusal]

    async def run() -> None:
        with exchange(config, faults=faults) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                await part(Bench(life, paper))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "text", "remedy"),
    [
        (10001, "buy price is not a multiple of the tick", "its instrument is read again"),
        (170193, "Buy order price cannot be higher than x", "narrow the grid"),
    ],
)
def test_when_every_create_is_refused_one_alert_and_the_health_say_why_until_one_passes(
    tmp_path: Path, code: int, text: str, remedy: str
) -> None:
    """45 rejections, then breakers; `status` said healthy, exit code 0, and there was no alert."""

    async def part(bench: Bench) -> None:
        report = await bench.until(
            lambda: bench.report(lambda r: r["health"] == "degraded" and r["incidents"]), "degraded", prices=True
        )
        assert any(f"retCode {code}" in reason and text in reason for reason in report["reasons"])
        assert f"retCode {code}" in report["strategies"][0]["reason"]
        assert remedy in report["strategies"][0]["reason"]
        [row] = [row for row in report["incidents"] if row["key"] == "refused.BTCUSDT"]
        assert (row["where"], row["level"]) == ("btc", "error")
        for _ in range(5):
            await bench.price()
        [alert] = bench.alerts("refused.BTCUSDT")
        assert "btc: no order gets through" in alert
        bench.accept()
        await bench.price(Decimal(51500))  # other levels: those of before are held by their breakers for a minute
        await bench.until(lambda: resting(bench.paper), "orders", prices=True)
        # The jump may have moved some levels out of the exchange's price band: that is another reason.
        await bench.until(lambda: bench.report(_nothing_is_refused), "the end of it", prices=True)

    play(settings(tmp_path), part, code=code, message=text)
    kept = [r for r in records(tmp_path) if isinstance(r, AlertRecord) and r.key == "refused.BTCUSDT"]
    assert [r.phase for r in kept][:1] == ["begun"]


def test_a_coarser_tick_while_it_runs_is_told_and_asks_for_another_start(tmp_path: Path) -> None:
    async def part(bench: Bench) -> None:
        market = bench.paper.server.exchange.markets["BTCUSDT"]

        def coarser() -> None:
            market.instrument = replace(market.instrument, tick_size=Decimal("0.5"))
            market.listing = replace(market.listing, instrument=market.instrument)

        bench.paper.call(coarser)
        await bench.price(Decimal("50000.5"))
        asked = await bench.until(
            lambda: [m for m in bench.life.sent if m["type"] == "restart"], "the wish for another start", prices=True
        )
        assert [m["reason"] for m in asked] == ["the exchange has changed BTCUSDT: tick_size from 0.1 to 0.5"]
        await bench.until(
            lambda: bench.report(lambda r: "tick_size from 0.1 to 0.5" in " ".join(r["reasons"])), "the reason"
        )

    play(settings(tmp_path), part)


def test_one_way_mode_set_by_hand_is_switched_back(tmp_path: Path) -> None:
    async def part(bench: Bench) -> None:
        await bench.paused()
        bench.paper.call(bench.by_hand, "/v5/position/switch-mode", mode=0)
        await bench.resume()
        account = account_of(bench.paper)
        await bench.until(
            lambda: bench.paper.call(lambda: account.hedge.get("BTCUSDT")), "hedge mode again", prices=True
        )
        assert bench.alerts("refused.BTCUSDT") == [] or "not in hedge mode" in bench.alerts("refused.BTCUSDT")[0]

    play(settings(tmp_path), part)


def test_one_way_mode_that_cannot_be_switched_back_says_what_to_do(tmp_path: Path) -> None:
    async def part(bench: Bench) -> None:
        def by_hand() -> None:
            bench.by_hand("/v5/position/switch-mode", mode=0)
            bench.by_hand("/v5/order/create", side="Buy", orderType="Market", qty="0.01", positionIdx=0)

        await bench.paused()
        bench.paper.call(by_hand)
        await bench.resume()
        text = await bench.until(
            lambda: bench.report(lambda r: "cannot be switched now" in " ".join(r["reasons"])), "why", prices=True
        )
        [reason] = [reason for reason in text["reasons"] if "cannot be switched now" in reason]
        assert "btc: no order gets through" in reason
        assert "close its positions and orders on Bybit" in reason

    play(settings(tmp_path), part)


def test_a_close_that_another_order_covers_already_is_told_with_that_order(tmp_path: Path) -> None:
    config = settings(tmp_path, {**BTC, "grid_count": 4})

    async def part(bench: Bench) -> None:
        await bench.price()
        buys = await bench.until(lambda: [o for o in resting(bench.paper) if o.side == "Buy"], "orders", prices=True)
        highest = max(order.price for order in buys)

        def fill_and_cover() -> None:
            bench.paper.server.market.set_price("BTCUSDT", f"{highest - 1:f}")
            leg = account_of(bench.paper).legs["BTCUSDT", 1]
            close = {"side": "Sell", "orderType": "Limit", "qty": f"{leg.size:f}", "price": "60000", "positionIdx": 1}
            bench.by_hand("/v5/order/create", reduceOnly=True, **close)

        bench.paper.call(fill_and_cover)
        report = await bench.until(
            lambda: bench.report(lambda r: "110017" in " ".join(r["reasons"])), "the refusal", prices=True
        )
        [reason] = [reason for reason in report["reasons"] if "110017" in reason]
        assert "no close of its long gets through" in reason
        assert "an order that is not ours covers the long: Sell" in reason
        [alert] = await bench.until(lambda: bench.alerts("refused.BTCUSDT"), "the alert")
        assert "an order that is not ours covers the long: Sell" in alert
        [theirs] = [order for order in resting(bench.paper) if order.price == Decimal(60000)]
        bench.paper.call(bench.by_hand, "/v5/order/cancel", orderId=theirs.order_id)
        ends = await bench.until(lambda: bench.alerts("refused.BTCUSDT", "info"), "the end of the incident")
        assert ends[0].startswith("over: no order of somebody else covers the long any more")
        await bench.until(lambda: any(o.closing for o in resting(bench.paper)), "our close", prices=True)

    play(config, part)
