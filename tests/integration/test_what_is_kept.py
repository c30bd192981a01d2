"""What a worker writes down besides orders and money: comparisons, gaps, grids, holds, alerts, the exchange's words."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import pytest

from gridbot.core import Direction
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.records.record_types import (
    AlertRecord,
    ExecutionRecord,
    GridRecord,
    LatchRecord,
    PublicTradeRecord,
    RawMessageRecord,
    ReconcileRecord,
    Record,
    StreamGapRecord,
)
from gridbot.state.documents import StateFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.store.reading import connect
from gridbot.worker.health import account_health, sample_of
from gridbot.worker.startup import StartRefused
from tests.integration.worker_bench import WorkerBench, account_of, exchange, records, settings, trading
from tests.store.session import write_all

D = Decimal
R = TypeVar("R", bound=Record)
AFTER_A_GAP = "the private stream reconnected"


def kept(data_dir: Path, kind: type[R]) -> list[R]:
    return [record for record in records(data_dir) if isinstance(record, kind)]


def reasons(data_dir: Path) -> list[str]:
    """Why each comparison was made."""
    return [record.reason for record in kept(data_dir, ReconcileRecord)]


def fundings(data_dir: Path) -> int:
    return sum(record.exec_type == "Funding" for record in kept(data_dir, ExecutionRecord))


async def next_snapshot(bench: WorkerBench) -> None:
    """What the clockwork does each second."""
    bench.assembly.orchestrator.records.record_state()


def test_the_grid_is_kept_after_it_changed_and_not_again(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await next_snapshot(bench)
                await next_snapshot(bench)
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)
                await next_snapshot(bench)

    asyncio.run(run())
    snapshots = kept(tmp_path, GridRecord)
    assert len({snapshot.version for snapshot in snapshots}) == len(snapshots), "a ladder that stands is kept once"
    built, moved = snapshots[0], snapshots[-1]
    assert moved.version > built.version
    assert (built.last_fill, moved.last_fill) == (None, D(49900))
    levels = json.loads(built.levels)
    assert len(levels) == 11
    assert [side for _, side in levels] == ["Buy"] * 5 + ["Wait"] + ["Sell"] * 5
    assert [D(price) for price, _ in levels] == sorted(D(price) for price, _ in levels)
    assert ["49900", "Wait"] in json.loads(moved.levels)


def test_comparisons_and_the_gap_before_one(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                drop = FaultConfig.model_validate({"kind": "drop_connections", "mode": "reset", "channel": "private"})
                paper.call(paper.server.faults.add, drop)
                await bench.until(lambda: kept(tmp_path, StreamGapRecord), "the gap")
                await bench.until(lambda: AFTER_A_GAP in reasons(tmp_path), "the comparison after it")

    asyncio.run(run())
    assert reasons(tmp_path)[0] == "start"
    assert all(record.ok for record in kept(tmp_path, ReconcileRecord))
    [gap] = kept(tmp_path, StreamGapRecord)
    assert gap.stream == "private"
    assert 0 < gap.ended_at - gap.started_at < 15e6


def test_a_comparison_that_failed_says_why(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                broken = {"kind": "error", "endpoint": "/v5/execution/list", "code": 10016, "times": 1}
                paper.call(paper.server.faults.add, FaultConfig.model_validate(broken))
                bench.assembly.context.requests.reconcile("asked by the operator")
                await bench.until(lambda: any(not r.ok for r in kept(tmp_path, ReconcileRecord)), "the comparison")

    asyncio.run(run())
    [failed] = [record for record in kept(tmp_path, ReconcileRecord) if not record.ok]
    assert "10016" in failed.error


def test_every_execution_is_kept_in_the_exchange_s_own_words(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49690")  # through more than one level
                await bench.until(lambda: bench.size(Direction.LONG) > D("0.01"))
                await bench.quiet()

    asyncio.run(run())
    executions = {record.exec_id: record for record in kept(tmp_path, ExecutionRecord)}
    words = {record.ref_id: json.loads(record.payload) for record in kept(tmp_path, RawMessageRecord)}
    assert len(executions) > 1
    assert words.keys() == executions.keys()
    for exec_id, record in executions.items():
        assert words[exec_id]["execId"] == exec_id
        assert D(words[exec_id]["execFee"]) == record.fee


def test_an_order_that_the_exchange_ended_by_itself_is_kept_in_its_words(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                ended = {order.order_id for order in bench.runner().book}
                now_ms = time.time_ns() // 1_000_000
                account = next(iter(paper.server.exchange.accounts.values()))
                paper.call(paper.server.exchange.cancel_all, account, "CancelByAdmin", now_ms)
                await bench.until(lambda: {r.ref_id for r in kept(tmp_path, RawMessageRecord)} >= ended, "their words")

    asyncio.run(run())
    by_admin = [json.loads(record.payload) for record in kept(tmp_path, RawMessageRecord)]
    assert {row["cancelType"] for row in by_admin} == {"CancelByAdmin"}


def test_nothing_raw_where_it_is_not_wanted(tmp_path: Path) -> None:
    config = settings(tmp_path, storage={"data_dir": str(tmp_path), "raw_messages": False})

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)

    asyncio.run(run())
    assert kept(tmp_path, ExecutionRecord)
    assert kept(tmp_path, RawMessageRecord) == []


def test_market_trades_are_kept_where_that_is_wished(tmp_path: Path) -> None:
    config = settings(tmp_path, storage={"data_dir": str(tmp_path), "public_trades": True})

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                for number in range(1, 4):
                    paper.trade("BTCUSDT", f"5000{number}", f"0.{number}", "Buy")
                await bench.until(lambda: len(kept(tmp_path, PublicTradeRecord)) >= 3, "the trades")

    asyncio.run(run())
    trades = kept(tmp_path, PublicTradeRecord)
    assert [(t.side, t.price, t.qty) for t in trades[-3:]] == [
        ("Buy", D(50001), D("0.1")),
        ("Buy", D(50002), D("0.2")),
        ("Buy", D(50003), D("0.3")),
    ]
    assert len({t.trade_id for t in trades}) == len(trades)


def test_a_loss_latch_is_kept_when_it_sets_and_when_it_lets_go_and_so_is_its_alert(tmp_path: Path) -> None:
    config = settings(tmp_path, accounts=[{"name": "alice", "caps": {"session_loss_limit": "0.01"}}])

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)  # the fee is a loss of more than a cent
                bench.assembly.orchestrator.guard_losses()
                await next_snapshot(bench)
                bench.assembly.orchestrator.losses.clear()
                bench.runner().risk_state.halt("delisted")
                await next_snapshot(bench)

    asyncio.run(run())
    steps = [(r.kind, r.strategy, r.is_set) for r in kept(tmp_path, LatchRecord)]
    assert steps == [("session_loss", "", True), ("session_loss", "", False), ("halted", "btc", True)]
    [alert, over] = [record for record in kept(tmp_path, AlertRecord) if record.key == "session_loss_limit"]
    assert (alert.level, alert.strategy) == ("ERROR", "")
    assert "session loss limit" in alert.text
    assert (alert.phase, over.phase, over.level) == ("begun", "ended", "INFO")
    assert alert.began_at == over.began_at


def test_the_equity_is_what_the_executions_and_the_positions_say(tmp_path: Path) -> None:
    """With legs open at a price that stands still: wallet, executions, funding and unrealised PnL meet to the cent."""
    config = settings(tmp_path)
    market = {"source": "manual", "symbols": {"BTCUSDT": {"price": "50000"}}, "mark_halflife_s": 0}

    async def run() -> None:
        with exchange(config, market=market) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")  # opens long
                await bench.until(lambda: bench.size(Direction.LONG) > 0, "the long leg")
                paper.set_price("BTCUSDT", "50110")  # opens short
                await bench.until(lambda: bench.size(Direction.SHORT) > 0, "the short leg")
                legs = paper.call(lambda: sum(leg.size > 0 for leg in account_of(paper).legs.values()))
                paper.call(paper.server.exchange.settle_funding, "BTCUSDT", D("0.001"), time.time_ns() // 1_000_000)
                await bench.until(lambda: fundings(tmp_path) == legs, "the funding of each leg that is open")
                await bench.assembly.orchestrator.reconciler.run()

    asyncio.run(run())
    write_all(tmp_path)
    with connect(tmp_path) as con:
        wallet = con.execute("SELECT arg_min(wallet_balance, seq), arg_max(equity, seq) FROM wallets").fetchone()
        stated = con.execute("SELECT fees, funding, unrealised_pnl, total_pnl FROM statement").fetchone()
    assert wallet is not None
    assert stated is not None
    opening, equity = wallet
    fees, _, unrealised, total = stated
    assert fees > 0
    assert unrealised != 0
    assert abs(opening + total - equity) < D("0.01")


def test_a_health_report_becomes_a_sample(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                report = account_health(
                    bench.assembly.orchestrator, state="trading", uptime_s=1.0, pid=1, rss=2_000_000
                )
                sample = sample_of(report)
                assert (sample.state, sample.health, sample.freshness) == ("trading", "healthy", "active")
                assert sample.open_orders == 10
                assert sample.rss > 1_000_000
                assert sample.unstored == bench.assembly.recorder.last_seq, "there is no writer here"
                assert sample.tick_age_ms is not None

    asyncio.run(run())


def test_the_health_report_says_what_is_tried_again_and_why(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                retry = bench.assembly.context.retry

                def reported() -> list[dict[str, Any]]:
                    report = account_health(bench.assembly.orchestrator, state="trading", uptime_s=1.0, pid=1, rss=1)
                    found: list[dict[str, Any]] = report["strategies"][0]["retrying"]
                    return found

                assert reported() == []
                fault = FaultConfig.model_validate({"kind": "error", "endpoint": "/v5/order/cancel", "code": 10006})
                paper.call(paper.server.faults.plan.add, fault, 0.0)
                victim = next(iter(bench.runner().book))
                bench.runner().orders.cancel(victim.key, "test")
                bench.runner().orders.pump()
                await bench.until(lambda: len(retry), "the refused cancel")
                [item] = reported()
                assert (item["order"], item["request"], item["attempt"]) == (victim.key, "cancel", 1)
                assert "10006" in item["error"]
                await bench.until(lambda: victim.state.is_final, "the second try")
                assert reported() == []

    asyncio.run(run())


def test_what_has_to_be_safe_is_on_the_disk_before_the_first_order(tmp_path: Path) -> None:
    """A death before the first checkpoint would begin the ledger again, later: what filled meanwhile was lost."""
    config = settings(tmp_path)

    def never(*_: object) -> None:
        """A disk that is too slow for what is written in the background."""

    async def run() -> None:
        with exchange(config) as paper, patch.object(StateFile, "save", never):
            async with trading(config, paper, crash=True) as bench:
                begun = bench.assembly.context.ledger.complete_to
                saved = json.loads((tmp_path / "state" / "alice" / "ledger.json").read_bytes())
                assert saved["ledger"]["last_exec_ts"] > 0
                assert saved["ledger"]["complete_to"] == begun

    asyncio.run(run())


def test_a_disk_that_refuses_what_has_to_be_safe_refuses_the_start(tmp_path: Path) -> None:
    """Nothing was sent, so it is tried again without counting as a failure."""
    config = settings(tmp_path)

    async def run() -> None:
        full = OSError(28, "No space left on device")
        refusing = patch.object(Checkpoint, "save_now", side_effect=full)
        with exchange(config) as paper, refusing, pytest.raises(StartRefused, match="No space left"):
            async with trading(config, paper):
                raise AssertionError("it trades")

    asyncio.run(run())


def test_health_tells_of_a_position_that_the_exchange_contradicts(tmp_path: Path) -> None:
    """Its closes wait until it has been read again; with REST down nothing said so."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                bench.runner().risk_state.doubt_leg(Direction.LONG)
                report = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                assert report["health"] == "degraded"
                assert report["reasons"] == ["btc: the exchange contradicts its long position"]

    asyncio.run(run())
