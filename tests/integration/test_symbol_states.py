"""The states of a symbol, of a real worker at a real paper exchange: not open yet, reduced only, delisted, cut."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.core import Direction
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import ExecutionRecord, OrderRecord
from gridbot.risk.symbol_state import SymbolWord, margin_state
from gridbot.worker.commands import Commands
from gridbot.worker.health import account_health
from gridbot.worker.schedule import Job, JobKind
from tests.integration.test_standstill import play
from tests.integration.worker_bench import (
    BTC,
    WorkerBench,
    account_of,
    ever,
    exchange,
    records,
    resting,
    settings,
    trading,
)

D = Decimal
DAY_MS = 24 * 3600 * 1000
ETH: dict[str, Any] = {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"}


def list_as(paper: PaperThread, symbol: str = "BTCUSDT", **values: Any) -> None:
    paper.call(paper.server.market.list_as, symbol, **values)


def by_hand(paper: PaperThread, path: str, **params: Any) -> None:
    """A call of the account's owner."""
    row, server = {"category": "linear", "symbol": "BTCUSDT", **params}, paper.server
    paper.call(server.api.call, ROUTES[path], path, account_of(paper), row, server.now_ms())


def shown(bench: WorkerBench, strategy: str) -> dict[str, Any]:
    """What `status` shows of a strategy."""
    report = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
    found: dict[str, Any] = next(row for row in report["strategies"] if row["strat_id"] == strategy)
    return found


async def read_terms(bench: WorkerBench, symbol: str = "BTCUSDT") -> None:
    """As its job does it, without the half minute between two of them."""
    await bench.assembly.orchestrator.clockwork._readings.of(Job(JobKind.TERMS, symbol))


def opens(paper: PaperThread, direction: Direction | None = None) -> list[Order]:
    return [o for o in resting(paper) if not o.closing and direction in (None, o.direction)]


def test_a_strategy_on_a_symbol_that_does_not_trade_yet_waits_and_begins_when_it_trades(tmp_path: Path) -> None:
    """The start was refused with "remove the strategy"."""
    config = settings(tmp_path, ETH, BTC)

    async def run() -> None:
        with exchange(config) as paper:
            list_as(paper, "ETHUSDT", status="PendingOpen")
            asked: list[str] = []
            async with trading(config, paper, begin_anew=asked.append) as bench:
                await bench.quiet()
                row = shown(bench, "eth")
                assert (row["state"], row["reason"]) == (
                    "waiting",
                    "ETHUSDT is PendingOpen: the strategy waits until it trades",
                )
                assert shown(bench, "btc")["state"] == "active"
                health = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                assert (health["health"], health["reasons"]) == ("healthy", [])
                [incident] = health["incidents"]
                assert (incident["key"], incident["where"], incident["level"]) == ("listing.ETHUSDT", "eth", "warning")
                list_as(paper, "ETHUSDT", status="Trading")
                await read_terms(bench, "ETHUSDT")
                assert asked == ["ETHUSDT may be traded now"]
            async with trading(config, paper) as bench:
                await bench.quiet("ETHUSDT")
                assert shown(bench, "eth")["state"] == "active"

    asyncio.run(run())


def test_an_account_that_only_waits_is_healthy(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            list_as(paper, status="PreLaunch")
            async with trading(config, paper) as bench:

                def health() -> dict[str, Any]:
                    return account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)

                await bench.until(lambda: health()["freshness"] == "active", "the first news")
                await bench.until(lambda: health()["health"] == "healthy", "an account that is healthy")
                assert [row["state"] for row in health()["strategies"]] == ["waiting"]

    asyncio.run(run())


def test_isolated_margin_set_by_hand_is_noticed_while_trading_and_nothing_opens_until_it_is_cross_again(
    tmp_path: Path,
) -> None:
    """It was noticed at the next start; until then an open went out each five seconds, as nobody knew what was free."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                assert opens(paper)
                by_hand(paper, "/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
                await bench.until(lambda: not opens(paper), "the opens are withdrawn")
                isolated = margin_state("BTCUSDT", "ISOLATED_MARGIN")
                assert isolated is not None
                text = isolated.text
                assert (shown(bench, "btc")["state"], shown(bench, "btc")["reason"]) == ("reducing", text)
                health = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                assert (health["health"], health["reasons"]) == ("degraded", [f"btc: {text}"])
                await bench.until(lambda: ("error", "listing.BTCUSDT", text) in bench.alerts, "the alert")
                by_hand(paper, "/v5/account/set-margin-mode", setMarginMode="REGULAR_MARGIN")
                await bench.assembly.orchestrator.clockwork._readings.of(Job(JobKind.MARGIN_MODE))
                paper.set_price("BTCUSDT", "50000.1")  # the next ticker: a market that stands still decides nothing
                await bench.until(lambda: bool(opens(paper)), "what opens rests again")
                assert shown(bench, "btc")["state"] == "active"

    asyncio.run(run())


def test_an_account_whose_only_symbol_is_in_one_way_mode_is_followed_until_that_is_repaired(tmp_path: Path) -> None:
    """Every start was refused for as long as a position stood in one-way mode: nothing of the account was recorded."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:

            def trade(side: str, qty: str) -> None:
                by_hand(paper, "/v5/order/create", side=side, orderType="Market", qty=qty, positionIdx=0)

            trade("Buy", "0.01")
            asked: list[str] = []
            async with trading(config, paper, begin_anew=asked.append) as bench:
                orchestrator = bench.assembly.orchestrator
                [(level, key, text)] = bench.alerts
                assert (level, key) == ("error", "halt.BTCUSDT")
                assert "expected BTCUSDT in hedge mode" in text
                assert (shown(bench, "btc")["state"], shown(bench, "btc")["reason"]) == ("halted", text[15:])
                losses, money, requests = orchestrator.losses, orchestrator.money, bench.assembly.context.requests
                parts: Any = (requests, losses, money, OpenOrders(), orchestrator.flattening, orchestrator.refused)
                Commands("alice", [], *parts).run("pause", {})
                assert shown(bench, "btc")["reason"].endswith("; it begins paused: paused by the operator")
                trade("Buy", "0.02")
                await orchestrator.reconciler.run()
                await read_terms(bench)
                assert asked == [], "it still cannot be switched"
                trade("Sell", "0.03")
                await orchestrator.reconciler.run()
                await read_terms(bench)
                assert asked == ["BTCUSDT may be traded now"]
            async with trading(config, paper) as bench:
                assert bench.runner().risk_state.paused, "the pause was of the account"
            assert [r.qty for r in records(tmp_path) if isinstance(r, ExecutionRecord)][-2:] == [D("0.02"), D("0.03")]
            assert ever(paper) == 3, "those by hand"

    asyncio.run(run())


def test_a_delisting_is_told_with_its_date_then_only_reduced_then_settled(tmp_path: Path) -> None:
    """The exchange closes the position by an execution without an order, and ends what rests as CancelBySettle."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)
                now_ms = paper.server.now_ms()
                list_as(paper, delivery_ms=now_ms + 2 * DAY_MS)
                await read_terms(bench)
                await bench.until(lambda: "delists on" in shown(bench, "btc")["reason"], "the announcement")
                assert shown(bench, "btc")["state"] == "active"
                assert opens(paper)
                await bench.until(lambda: told(bench) == ["warning"], "the alert")
                # A day before: what would open is withdrawn, the closes stay.
                list_as(paper, delivery_ms=now_ms + DAY_MS - 60_000)
                await read_terms(bench)
                await bench.until(lambda: not opens(paper), "the cancels of what would open")
                assert shown(bench, "btc")["state"] == "reducing"
                await bench.until(lambda: told(bench) == ["warning", "error"], "the alert got worse")
                assert "reduce only, close by then" in shown(bench, "btc")["reason"]
                paper.set_price("BTCUSDT", "49900")
                await bench.until(lambda: bench.runner().risk_state.last_price == Decimal(49900))
                await bench.until(lambda: bool(resting(paper)), "the closes")
                assert not opens(paper)
                list_as(paper, delivery_ms=now_ms)
                await bench.until(lambda: not bench.size(Direction.LONG), "the settlement")
                await bench.until(lambda: not len(bench.runner().book), "the ends")
                await read_terms(bench)
                assert bench.runner().risk_state.symbol_watch.state.word is SymbolWord.DELISTED
                assert not bench.runner().risk_state.halted

    asyncio.run(run())
    ended = [r for r in records(tmp_path) if isinstance(r, OrderRecord) and r.reason == "CancelBySettle"]
    assert ended


def told(bench: WorkerBench) -> list[str]:
    return [level for level, key, _ in bench.alerts if key == "listing.BTCUSDT"]


def test_a_leg_whose_risk_was_cut_only_reduces_until_it_is_set_right(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)
                cut(paper, reduce_only=True)
                await bench.until(lambda: not opens(paper, Direction.LONG), "the cancels")
                assert opens(paper, Direction.SHORT), "the other leg is as it was"
                report = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                assert any("its long only be reduced" in reason for reason in report["reasons"])
                await bench.until(lambda: "reduce_only.BTCUSDT" in [key for _, key, _ in bench.alerts], "the alert")
                cut(paper, reduce_only=False)
                await bench.until(lambda: not bench.runner().risk_state.legs[Direction.LONG].reduce_only)
                paper.set_price("BTCUSDT", "49891")
                await bench.until(lambda: opens(paper, Direction.LONG), "opening again")

    asyncio.run(run())


def cut(paper: PaperThread, *, reduce_only: bool) -> None:
    def by_exchange() -> None:
        paper.server.exchange.listing.cut_risk(account_of(paper), "BTCUSDT", 1, reduce_only=reduce_only)
        paper.server._publish()

    paper.call(by_exchange)


def test_an_answer_about_the_symbol_holds_its_orders_back_and_halts_nothing(tmp_path: Path) -> None:
    """30228 halted the strategy, so that not even its position was closed."""

    async def part(bench: Any) -> None:
        report = await bench.until(
            lambda: bench.report(lambda r: any("reduced only" in reason for reason in r["reasons"])), "why", prices=True
        )
        [row] = report["strategies"]
        assert (row["state"], "30228" in row["reason"]) == ("reducing", True)
        assert bench.alerts("refused.BTCUSDT") == []
        sent = len([m for m in bench.life.sent if m.get("key") == "halt.BTCUSDT"])
        assert sent == 0

    play(settings(tmp_path), part, code=30228, message="No new positions during delisting.")


def test_leverage_set_by_hand_is_set_again_and_told(tmp_path: Path) -> None:
    """The position frames are the exchange's notice."""

    async def part(bench: Any) -> None:
        bench.paper.call(bench.by_hand, "/v5/position/set-leverage", buyLeverage="3", sellLeverage="3")
        account = account_of(bench.paper)
        await bench.until(lambda: bench.paper.call(lambda: account.leverage["BTCUSDT"]) == 5, "the leverage as before")
        await bench.until(lambda: bench.alerts("set_again.BTCUSDT", "warning"), "the alert")

    play(settings(tmp_path, {**BTC, "leverage": 5}), part)


def announce(paper: PaperThread, action: str, **more: Any) -> None:
    paper.call(lambda: paper.server.market.announce({"action": action, **more}))


async def read_notices(bench: WorkerBench) -> None:
    """As its job does it, without the minutes between two of them."""
    await bench.assembly.orchestrator.clockwork._readings.of(Job(JobKind.NOTICES))


def test_announcements_of_the_exchange_are_told_and_what_they_are_about_is_read_again(tmp_path: Path) -> None:
    config = settings(tmp_path)

    def report(bench: WorkerBench) -> dict[str, Any]:
        return account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                announce(paper, "maintain", id="m1", title="engine", state="ongoing", end="1999999999000")
                await read_notices(bench)
                [reason] = report(bench)["reasons"]
                assert reason == "maintenance of the exchange until 2033-05-18 03:33 UTC: engine"
                await bench.until(lambda: ("error", "maintenance.m1", reason) in bench.alerts, "the alert")
                announce(paper, "maintain", id="m1", state="completed")
                before = bench.assembly.orchestrator.reconciler.last_s
                await read_notices(bench)
                assert report(bench)["reasons"] == []
                await bench.until(lambda: bench.assembly.orchestrator.reconciler.last_s != before, "all read again")
                # The announcement leads to a reading of the terms, and that to the date.
                list_as(paper, delivery_ms=paper.server.now_ms() + 2 * DAY_MS)
                announce(paper, "announce", title="Delisting of BTCUSDT Perpetual Contract")
                await read_notices(bench)
                await bench.until(lambda: "delists on" in shown(bench, "btc")["reason"], "the date")
                await bench.until(lambda: told(bench) == ["warning"], "the alert with the date")
                assert [key for _, key, _ in bench.alerts].count("announced.BTCUSDT") == 1

    asyncio.run(run())
