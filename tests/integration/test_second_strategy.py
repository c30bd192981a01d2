"""A strategy that the program has never heard of, by registration alone: checked, live, shadow, over a restart."""

from __future__ import annotations

import asyncio
import json
import pickle
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError
from gridbot.config.ladder_report import ladder_report
from gridbot.config.loading import load_config
from gridbot.config.reference import reference
from gridbot.config.setting_warnings import setting_warnings
from gridbot.config.snapshots import account_snapshot
from gridbot.core import Direction, Side
from gridbot.records.record_types import GridRecord
from gridbot.records.state_record import StateRecord
from gridbot.strategies.registry import KINDS
from gridbot.worker.health import account_health
from tests.integration.worker_bench import BTC, ever, exchange, executions, records, resting, settings, trading
from tests.strategies.placed_once import OnceKeys, OnceKind, OnceState, PlacedOnce

D = Decimal
ONCE = {"strat_id": "low", "account": "alice", "symbol": "BTCUSDT", "kind": "once", "distance": 1, "amount": "q0.01"}
PRICES = {D(49500), D(49000), D(48500)}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "once", OnceKind())


def test_it_trades_beside_a_grid_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    config = settings(tmp_path, ONCE, {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"})

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, crash=True) as bench:
                await bench.quiet("BTCUSDT")
                await bench.quiet("ETHUSDT")
                mine = [order for order in resting(paper) if order.symbol == "BTCUSDT"]
                assert {(order.side, order.price) for order in mine} == {(Side.BUY, price) for price in PRICES}
                paper.set_price("BTCUSDT", "49490")
                await bench.until(lambda: bench.size(Direction.LONG) == D("0.01"), "the fill")
                engine = bench.runner().engine
                assert isinstance(engine, PlacedOnce)
                await bench.until(lambda: engine.state() == OnceState((), 1), "the state after it")
                assert states_recorded(tmp_path)[-1] == {"waiting": [], "fills": 1}, "with the fill, before its file"
                before = ever(paper)
            async with trading(config, paper) as bench:
                paper.set_price("BTCUSDT", "49600")
                await bench.until(lambda: bench.runner().risk_state.last_price == D(49600))
                await bench.quiet("BTCUSDT")
                await bench.quiet("ETHUSDT")
                assert ever(paper) == before, "what was placed once is not placed again"
                assert {order.price for order in bench.runner().book} == PRICES - {D(49500)}
                assert bench.runner().engine.state() == OnceState((), 1)
                health = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                shown = {s["symbol"]: s["levels"] for s in health["strategies"]}
                assert shown == {"BTCUSDT": 0, "ETHUSDT": 11}

    asyncio.run(run())
    assert saved_state(tmp_path) == {"waiting": [], "fills": 1}
    assert {r.strategy for r in records(tmp_path) if isinstance(r, GridRecord)} == {"eth"}


def states_recorded(tmp_path: Path) -> list[object]:
    """The states of the strategy in the journal, in order."""
    documents = [json.loads(r.document) for r in records(tmp_path) if isinstance(r, StateRecord)]
    return [document["once"] for document in documents if document.get("strat_id") == "low"]


def saved_state(tmp_path: Path) -> object:
    """What a death of the worker leaves of the strategy; it is written in the background."""
    path = tmp_path / "state" / "alice" / "onces" / "low.once.json"
    return json.loads(path.read_text())["once"] if path.exists() else None


def test_as_a_shadow_it_sends_nothing(tmp_path: Path) -> None:
    config = settings(tmp_path, {**ONCE, "shadow_mode": True})

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.until(lambda: {order.price for order in bench.runner().book} == PRICES, "its orders")
                paper.set_price("BTCUSDT", "49490")
                await bench.until(lambda: bench.size(Direction.LONG) == D("0.01"), "the hypothetical fill")
                assert ever(paper) == 0

    asyncio.run(run())
    assert [record.shadow for record in executions(tmp_path)] == [True]


def test_its_section_is_read_checked_and_shown(tmp_path: Path) -> None:
    config = settings(tmp_path, {**ONCE, "orders": 2, "distance": "0.01"}, BTC | {"symbol": "ETHUSDT"})
    once, grid = config.strategies
    assert isinstance(once, OnceKeys)
    assert (once.orders, once.distance, grid.kind) == (2, D("0.01"), "grid")
    assert pickle.loads(pickle.dumps(config)) == config
    assert account_snapshot(config, "alice")["strategies"][0]["distance"] == "0.01"
    report = ladder_report(config, once, {"BTCUSDT": D(100)}, {})
    assert (report.summary, [row.price for row in report.rows]) == ("2 orders, once", [D("99.9"), D("99.9")])
    assert any("less than two fees" in warning for warning in setting_warnings(config))
    assert "## `strategies[]` of kind `once`" in reference()


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("kind: once\n    distanse: 1", "distanse: expected a known key, got `distanse`; did you mean"),
        ("kind: once\n    grid_step: 1", "grid_step: expected a known key, got `grid_step`; remove"),
        ("orders: 2", "orders: expected a known key, got `orders`"),
        ("kind: once\n    orders: none", "orders: expected a whole number, got `none`"),
        ("kind: once\n    distance: 40", "distance: expected prices above zero with 3 orders"),
        ("kind: twice", "kind: expected a kind of strategy (grid, once), got `twice`"),
    ],
)
def test_a_mistake_in_it_has_its_line(tmp_path: Path, keys: str, problem: str) -> None:
    path = tmp_path / "gridbot.yaml"
    path.write_text(
        "environment: paper\naccounts: [{name: alice}]\nstrategies:\n"
        f"  - strat_id: low\n    account: alice\n    symbol: BTCUSDT\n    {keys}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})
    line = 7 + keys.count("\n")
    assert f":{line}: strategies[0].{problem}" in str(caught.value)
