"""Pause, halt and latch over the lives of a worker, and files that do not say what they held (docs/risk.md 6.5)."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridbot.core import Direction, ExecType, ExecutionEvent, Side
from gridbot.exchange.bans import BANNED
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.risk.holds import Held, Hold, Who
from gridbot.segment_file import SegmentDisk
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.outside import Outside
from gridbot.worker.startup import StartRefused
from gridbot.worker.strategy_runner import StrategyRunner
from tests.integration.test_worker_session import WAIT_S, Life, living
from tests.integration.worker_bench import BTC, PRICE, exchange, resting, settings, trading

SHADOW: dict[str, Any] = {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1", "shadow_mode": True}


def runners(life: Life) -> dict[str, StrategyRunner]:
    orchestrator = life.session._account()
    assert orchestrator is not None
    return {runner.strat_id: runner for runner in orchestrator.runners.values()}


async def command(life: Life, name: str, **args: Any) -> None:
    life.say(name, **args)
    assert (await life.until("answer", id=name))["ok"]


async def decide(life: Life, paper: PaperThread, price: str) -> None:
    """Until the live strategy knows a new price, and has decided if it may."""
    await asyncio.to_thread(paper.set_price, "BTCUSDT", price)
    await asyncio.to_thread(paper.set_price, "ETHUSDT", str(float(price) / 20))
    btc = runners(life)["btc"].risk_state
    await come_true(lambda: btc.last_price == type(PRICE)(price))


async def come_true(condition: Callable[[], bool]) -> None:
    deadline_s = asyncio.get_running_loop().time() + WAIT_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline_s
        await asyncio.sleep(0.01)


def test_a_pause_outlives_the_process_until_it_is_resumed_for_shadow_strategies_too(tmp_path: Path) -> None:
    """After a restart, or a worker's death, the account traded again."""
    config = settings(tmp_path, BTC, SHADOW)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                await command(life, "pause", cancel=True)
                await come_true(lambda: not resting(paper))
                set_by = {name: runner.risk_state.holds.held for name, runner in runners(life).items()}
            async with living(config, paper) as life:
                await life.until("ready")
                assert {name: runner.risk_state.holds.held for name, runner in runners(life).items()} == set_by
                await decide(life, paper, "50001")
                assert resting(paper) == []
                assert [len(runner.book) for runner in runners(life).values()] == [0, 0]
                report = await life.until("health", state="trading")
                assert {row["state"] for row in report["strategies"]} == {"paused"}
                await command(life, "resume")
            async with living(config, paper) as life:
                await life.until("ready")
                await decide(life, paper, "50002")
                assert [runner.risk_state.paused for runner in runners(life).values()] == [False, False]
                await come_true(lambda: all(len(runner.book) for runner in runners(life).values()))

    asyncio.run(run())


def test_the_pause_after_a_liquidation_outlives_a_death(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, crash=True) as bench:
                await bench.quiet()
                size = BTC["amount"].removeprefix("q")
                taken = ExecutionEvent(
                    "BTCUSDT", "x", "theirs", "", Side.SELL, PRICE, type(PRICE)(size), exec_type=ExecType.BUST
                )
                bench.runner().on_execution(taken)
                held = bench.runner().risk_state.holds.held[Hold.PAUSED]
                await bench.until((tmp_path / "state" / "alice" / "holds.json").exists, "the file")
            async with trading(config, paper) as bench:
                assert bench.runner().risk_state.holds.held == {Hold.PAUSED: held}
                assert held.who is Who.LIQUIDATION
                assert held.reason.startswith(f"the exchange reduced our {Direction.SHORT} by {size}")

    asyncio.run(run())


def test_torn_holds_start_halted_with_the_reason_and_the_command_that_lifts_it(tmp_path: Path) -> None:
    config = settings(tmp_path, BTC, SHADOW)
    path = tmp_path / "state" / "alice" / "holds.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"version": 1, "strategies": {"btc": {"paus')

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                alert = await life.until("alert", key="holds")
                assert "holds.json cannot be read" in alert["text"]
                assert "`resume alice`" in alert["text"]
                await life.until("ready")
                await decide(life, paper, "50001")
                assert resting(paper) == []
                assert {r.risk_state.halted for r in runners(life).values()} == {alert["text"]}
            async with living(config, paper) as life:
                await life.until("ready")
                assert {r.risk_state.halted for r in runners(life).values()} == {alert["text"]}
                await command(life, "resume")
                await decide(life, paper, "50002")
                await come_true(lambda: len(resting(paper)) == 10)

    asyncio.run(run())
    assert json.loads(path.read_bytes())["strategies"] == {}


@pytest.mark.parametrize("document", [b'{"baseline": "0", "la', b'{"latched": ""}', b'{"baseline": "0"}', b""])
def test_a_latch_that_cannot_be_read_starts_latched_until_it_is_resumed(tmp_path: Path, document: bytes) -> None:
    """A torn file counted as none; one without a key refused the start for ever, and no command could lift that."""
    config = settings(tmp_path)
    path = tmp_path / "state" / "alice" / "latch.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(document)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                alert = await life.until("alert", key="session_loss_limit")
                assert " resume alice --data-dir " in alert["text"]
                await life.until("ready")
                await life.until("health", health="circuit_open")
                await decide(life, paper, "50001")
                assert resting(paper) == []
                await command(life, "resume")
                await decide(life, paper, "50002")
                await come_true(lambda: len(resting(paper)) == 10)

    asyncio.run(run())
    saved = json.loads(path.read_bytes())
    assert (saved["latched"], path.with_name("latch.json.bad").read_bytes()) == ("", document)


def test_a_latch_of_a1c99c4_still_holds(tmp_path: Path) -> None:
    config = settings(tmp_path)
    path = tmp_path / "state" / "alice" / "latch.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"baseline":"-1.5","latched":"lost too much"}')

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                assert bench.assembly.context.gate.loss_latched == "lost too much"
                assert bench.alerts == []

    asyncio.run(run())


def test_a_disk_that_refuses_the_holds_is_an_alert_and_the_pause_stands(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                path = tmp_path / "state" / "alice" / "holds.json"
                path.mkdir()
                bench.runner().pause(cancel=True)
                assert bench.runner().risk_state.paused
                await bench.until(lambda: any(key == "state_file" for _, key, _ in bench.alerts), "the alert")
                await bench.until(lambda: not resting(paper), "the cancels")
                path.rmdir()
                await bench.until(path.is_file, "the next try")
                await bench.until(
                    lambda: ("info", "state_file") in [told[:2] for told in bench.alerts], "the end of it"
                )
                held = json.loads(path.read_bytes())["strategies"]["btc"]["paused"]
                assert (
                    Held(held["reason"], Who(held["who"]), held["since_ms"])
                    == (bench.runner().risk_state.holds.held[Hold.PAUSED])
                )

    asyncio.run(run())


def test_a_pause_that_a_full_disk_did_not_take_is_told_with_its_answer_and_at_the_end(tmp_path: Path) -> None:
    """ "2 paused", "stopped in order", and the next start traded."""
    config = settings(tmp_path)
    room: list[bool] = [True]

    def write(fd: int, frames: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, frames)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper, Outside(journal_disk=SegmentDisk(write=write))) as life:
                await life.until("ready")
                room[0] = False
                (tmp_path / "state" / "alice" / "holds.json").mkdir()
                life.say("pause")
                answer = await life.until("answer", id="pause")
                assert answer["result"] == (
                    "1 paused; the disk did not take holds.json: what was paused, halted, latched or resumed since "
                    "holds as long as this supervisor runs, and no longer"
                )
                life.session.stop()
                assert await life.task == 0
                unsaved = life.sent[-1]["unsaved"]
                assert unsaved.startswith("the disk did not take the last ")
                assert "No space left on device" in unsaved
                assert "; the disk did not take holds.json: what was paused" in unsaved
                alert = await life.until("alert", key="unsaved")
                assert (alert["text"], alert["recorded"]) == (unsaved, False)

    asyncio.run(run())


def test_a_disk_that_refuses_the_start_is_a_refused_start(tmp_path: Path) -> None:
    config = settings(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "alice").write_text("in the way")

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                with pytest.raises(
                    StartRefused, match=r"expected to write state and journal in .*, got: .*; make room"
                ):
                    await life.task
                await asyncio.sleep(0)
                left = {task.get_name() for task in asyncio.all_tasks()}
                assert "the reports to the supervisor" not in left, "no task outlives the session"

    asyncio.run(run())


def test_an_error_of_the_system_while_trading_is_no_refused_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any OSError ended the process with exit code 7, which is never counted: a worker could crash for ever."""
    config = settings(tmp_path)

    def broken(orchestrator: Orchestrator) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Orchestrator, "guard_losses", broken)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                with pytest.raises(OSError, match="Too many open files"):
                    await life.task

    asyncio.run(run())


def test_a_ban_outlives_the_process_that_was_told_of_it(tmp_path: Path) -> None:
    """The next start asked at once, which begins the ten minutes again for every account on the address."""
    config = settings(tmp_path)

    async def told(paper: PaperThread) -> str:
        async with living(config, paper) as life:
            return str((await life.until("alert"))["text"])

    async def run() -> None:
        with exchange(config) as paper:
            paper.call(paper.server.faults.add, FaultConfig.model_validate({"kind": "ip_ban", "for_s": 60}))
            first = await told(paper)
            assert first.startswith("this account starts in 600 s: ")
            assert "HTTP 403" in first
            second = await told(paper)
            assert f"not sent: {BANNED} for" in second

    asyncio.run(run())


def test_a_ledger_of_a_newer_version_refuses_the_start_and_stays(tmp_path: Path) -> None:
    """It was taken for damaged, made anew from a journal that no longer had all of it, and replaced."""
    config = settings(tmp_path)
    path = tmp_path / "state" / "alice" / "ledger.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 1, "seq": 700, "ledger": {"version": 99}}')

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                with pytest.raises(StartRefused, match="at most, got 99: a newer gridbot has worked here"):
                    await life.task

    asyncio.run(run())
    assert json.loads(path.read_bytes())["ledger"] == {"version": 99}
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger.json"]
