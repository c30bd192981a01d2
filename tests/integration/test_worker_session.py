"""A worker's whole life, as its supervisor sees it: messages out, messages in, exit code. Without its process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gridbot.bybit.carrier import Outgoing, Tell
from gridbot.bybit.http_pool import HttpPool
from gridbot.bybit.rest import BybitRest
from gridbot.config.models import GridbotConfig
from gridbot.exchange.requests import ApiKeyInfo
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import AlertRecord, CommandRecord, HealthRecord
from gridbot.system_ports import OwnProcess, SystemClock, SystemIds
from gridbot.worker import health
from gridbot.worker.outside import Outside
from gridbot.worker.spec import WorkerSpec
from gridbot.worker.startup import StartRefused
from gridbot.worker.strategy_runner import StrategyRunner
from gridbot.worker.worker_session import EXIT_OK, EXIT_REFUSED, WorkerSession
from tests.integration.worker_bench import exchange, records, resting, settings

WAIT_S = 60.0


@dataclass
class Life:
    """A session that runs, and what it has sent to its supervisor."""

    session: WorkerSession
    sent: list[dict[str, Any]]
    task: asyncio.Task[int] = field(init=False)

    async def until(self, kind: str, **values: Any) -> dict[str, Any]:
        """The first message of a kind with these values."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            for message in self.sent:
                if message["type"] == kind and all(message.get(key) == value for key, value in values.items()):
                    return message
            assert asyncio.get_running_loop().time() < deadline, self.sent
            await asyncio.sleep(0.01)

    def say(self, name: str, **args: Any) -> None:
        self.session.on_message({"type": "command", "id": name, "name": name, "args": args})


@contextlib.asynccontextmanager
async def living(config: GridbotConfig, paper: PaperThread, outside: Outside | None = None) -> AsyncIterator[Life]:
    spec = WorkerSpec("alice", config, config.storage.data_dir, "0123456789abcdef", paper.url, console=False)
    sent: list[dict[str, Any]] = []
    session = WorkerSession(
        spec, None, sent.append, clock=SystemClock(), ids=SystemIds(), process=OwnProcess(), outside=outside
    )
    life = Life(session, sent)
    life.task = asyncio.create_task(session.run())
    try:
        yield life
    finally:
        session.stop()
        await asyncio.wait({life.task}, timeout=WAIT_S)


def test_ready_commands_samples_and_an_orderly_end(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("health", state="starting")
                life.say("pause")
                early = await life.until("answer", id="pause")
                assert not early["ok"]
                await life.until("ready")
                life.say("pause", strategy="btc")
                await life.until("answer", ok=True, result="1 paused")
                await life.until("health", state="trading")
                life.session.stop()
                assert await life.task == EXIT_OK
                assert life.sent[-1] == {"type": "bye", "reason": "stopped", "exit_code": EXIT_OK}

    asyncio.run(run())
    commands = [(r.name, r.ok) for r in records(tmp_path) if isinstance(r, CommandRecord)]
    assert commands == [("pause", False), ("pause", True)]
    assert [r for r in records(tmp_path) if isinstance(r, HealthRecord)]


def test_the_effect_of_a_command_is_reported_before_its_answer(tmp_path: Path) -> None:
    """`status` showed `active` for up to a second after the pause had been confirmed."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                for name, state in (("pause", "paused"), ("resume", "active")):
                    life.sent.clear()
                    life.say(name)
                    *held, report, answer = life.sent
                    told = [message["name"] for message in held if message["type"] == "held"]
                    assert "holds.json" in told, "a full disk loses no pause"
                    assert answer["ok"]
                    assert [row["state"] for row in report["strategies"]] == [state]

    asyncio.run(run())


def test_a_command_that_is_read_too_late_is_not_carried_out(tmp_path: Path) -> None:
    """The operator has been told so: the worker was frozen meanwhile."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                message = {"type": "command", "name": "pause", "args": {}}
                life.session.on_message({**message, "id": 1, "expires_s": time.monotonic() - 0.5})
                assert "too late" in (await life.until("answer", id=1, ok=False))["error"]
                assert life.sent[-2]["strategies"][0]["state"] == "active"
                life.session.on_message({**message, "id": 2, "expires_s": time.monotonic() + 600})
                await life.until("answer", id=2, ok=True)

    asyncio.run(run())
    assert [r.ok for r in records(tmp_path) if isinstance(r, CommandRecord)] == [False, True]


@pytest.mark.parametrize("mode", ["cancel", "keep"])
def test_the_stop_message_says_what_becomes_of_the_orders(tmp_path: Path, mode: str) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                await asyncio.to_thread(paper.set_price, "BTCUSDT", "50001")
                while not resting(paper):
                    await asyncio.sleep(0.01)
                life.session.on_message({"type": "stop", "mode": mode})
                assert await life.task == EXIT_OK
                assert bool(resting(paper)) is (mode == "keep")
                assert life.sent[-1].get("left") == ([] if mode == "cancel" else None)

    asyncio.run(run())


def test_a_supervisor_that_is_gone_leaves_all_orders(tmp_path: Path) -> None:
    config = settings(tmp_path, supervisor={"on_stop": "cancel"})

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                await asyncio.to_thread(paper.set_price, "BTCUSDT", "50001")
                while not resting(paper):
                    await asyncio.sleep(0.01)
                life.session.on_supervisor_gone()
                assert await life.task == EXIT_OK
                assert resting(paper)

    asyncio.run(run())


def test_a_stop_while_the_start_waits_for_its_next_try_ends_it_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """incident L37: a signal during the start was lost."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            broken = {"kind": "error", "endpoint": "/v5/user/query-api", "code": 10016, "times": 0}
            paper.call(paper.server.faults.add, FaultConfig.model_validate(broken))
            async with living(config, paper) as life:
                await life.until("health", state="starting")
                while "start failed, again in" not in caplog.text:
                    await asyncio.sleep(0.01)
                life.session.stop()
                assert await asyncio.wait_for(life.task, 1.0) == EXIT_OK

    asyncio.run(run())


@pytest.mark.parametrize("request_number", [1, 2, 5, 8, 11])
def test_a_stop_in_the_middle_of_the_start_is_an_orderly_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, request_number: int
) -> None:
    """With a request that still waited for its turn, the end itself broke: exit code 1, an error, a locked journal."""
    config = settings(tmp_path)
    carry = HttpPool.carry
    requests = 0

    async def run() -> None:
        loop = asyncio.get_running_loop()
        with exchange(config) as paper:
            async with living(config, paper) as life:

                def counted(pool: HttpPool, outgoing: Outgoing, timeout_s: float, tell: Tell) -> None:
                    nonlocal requests
                    requests += 1
                    if requests == request_number:
                        loop.call_soon(life.session.stop)
                    carry(pool, outgoing, timeout_s, tell)

                monkeypatch.setattr(HttpPool, "carry", counted)
                assert await asyncio.wait_for(life.task, WAIT_S) == EXIT_OK
                assert life.sent[-1] == {"type": "bye", "reason": "stopped", "exit_code": EXIT_OK}, "and no `left`"
                assert not [message for message in life.sent if message["type"] == "alert"]

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert requests >= request_number
    assert [r.getMessage() for r in caplog.records if r.name.startswith(("gridbot", "asyncio"))] == []


@pytest.mark.parametrize("step", ["orchestrator.stop", "rest.close"])
def test_an_end_that_breaks_still_closes_journal_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    config = settings(tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                owner, name = step.split(".")
                with monkeypatch.context() as patch:
                    patch.setattr(getattr(life.session._assembly, owner), name, broken)
                    life.session.stop()
                    with pytest.raises(RuntimeError, match="a fault of ours"):
                        await life.task
            async with living(config, paper) as life:
                await life.until("ready")  # the journal is free again

    asyncio.run(run())


def test_a_health_figure_that_raises_does_not_end_the_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that reports died of it, in silence, and the worker was killed for that ten seconds later."""
    config = settings(tmp_path)

    def broken(*_: object) -> str:
        raise ZeroDivisionError("a fault of ours")

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("health", state="trading", health="healthy")
                with monkeypatch.context() as patch:
                    patch.setattr(health, "_freshness", broken)
                    report = await life.until("health", state="trading", freshness="offline")
                    assert report["reasons"] == ["the figures about the streams could not be made"]
                    assert report["health"] == "degraded"
                    assert report["wallet"] is not None
                    assert report["strategies"][0]["strat_id"] == "btc"
                    sent = len(life.sent)
                    while len(life.sent) < sent + 2:
                        await asyncio.sleep(0.01)
                life.sent.clear()
                await life.until("health", state="trading", health="healthy")
                life.session.stop()
                assert await life.task == EXIT_OK

    asyncio.run(run())
    alerts = [r for r in records(tmp_path) if isinstance(r, AlertRecord)]
    assert [(r.level, r.key) for r in alerts] == [("ERROR", "fault")], "once"
    assert "the figures about the streams failed: ZeroDivisionError" in alerts[0].text


def test_a_command_that_breaks_is_answered_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(tmp_path)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                await life.until("ready")
                monkeypatch.setattr(StrategyRunner, "pause", broken)
                life.say("pause")
                answer = await life.until("answer", id="pause", ok=False, fault=True)
                assert "unexpected ZeroDivisionError: a fault of ours" in answer["error"]
                alert = await life.until("alert", key="fault")
                assert "the command 'pause' failed" in alert["text"]
                life.session.on_fault("a timer", ValueError("late"))
                life.session.on_fault("a timer", ValueError("late"))
                assert len([m for m in life.sent if m["type"] == "alert"]) == 2, "once per cause"

    asyncio.run(run())
    assert [r.ok for r in records(tmp_path) if isinstance(r, CommandRecord)] == [False]


def test_a_key_that_is_refused_is_not_tried_again(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            broken = {"kind": "error", "endpoint": "/v5/user/query-api", "code": 10003, "times": 0}
            paper.call(paper.server.faults.add, FaultConfig.model_validate(broken))
            async with living(config, paper) as life:
                assert await life.task == EXIT_REFUSED
                alert = await life.until("alert", key="start")
                assert alert["recorded"]
                assert "no order was sent" in alert["text"]

    asyncio.run(run())
    assert [r.key for r in records(tmp_path) if isinstance(r, AlertRecord)] == ["start"]


def test_what_makes_trading_unsafe_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(tmp_path)

    async def read_only(rest: BybitRest) -> ApiKeyInfo:
        return ApiKeyInfo(user_id="1", read_only=True, contract_trade=(), can_withdraw=False)

    monkeypatch.setattr(BybitRest, "api_key_info", read_only)

    async def run() -> None:
        with exchange(config) as paper:
            async with living(config, paper) as life:
                with pytest.raises(StartRefused, match="expected a key that may trade"):
                    await life.task
                assert life.session.refuse("the reason") == EXIT_REFUSED
                alert = await life.until("alert", key="start")
                assert not alert["recorded"], "its records are closed: the supervisor keeps this one"

    asyncio.run(run())
