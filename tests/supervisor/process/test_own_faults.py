"""What raises in the supervisor: it is told once, costs its own part, and never the loop or the other children."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.launch_plan import Plan
from supervisor.children.policy_types import ProcessState
from supervisor.control.control_client import ControlClient, Refused
from supervisor.exit_codes import ExitCode
from supervisor.process.loop import Supervisor

WORKERS = tuple(ChildSpec(f"worker-{name}", ChildKind.WORKER, "x:y", account=name) for name in "ab")


def broken(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("a fault of ours")


class Bench:
    """A supervisor whose children are never really launched; `ticks` runs its loop by hand."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *specs: ChildSpec) -> None:
        self.now = 0.0
        self.loop = asyncio.new_event_loop()
        self.pauses: list[float] = []
        self.launched: list[str] = []
        monkeypatch.setattr(self.loop, "call_later", lambda pause, *call: self.pauses.append(pause))
        monkeypatch.setattr(Child, "launch", lambda child, extra: self.launched.append(child.spec.name))
        self.supervisor = Supervisor(Plan(tmp_path, specs), clock=lambda: self.now, jitter=lambda: 0.0)

    def ticks(self, count: int = 1, seconds: float = 0.2) -> None:
        for _ in range(count):
            self.now += seconds
            self.supervisor._tick(self.loop)

    @property
    def alerts(self) -> list[str]:
        return [alert["text"] for alert in self.supervisor.status()["alerts"] if alert["child"] == "supervisor"]

    def states(self) -> list[ProcessState]:
        return [child.state.process for child in self.supervisor._fleet]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    bench = Bench(tmp_path, monkeypatch, *WORKERS)
    yield bench
    bench.loop.close()


@pytest.mark.parametrize(
    ("owner", "name", "seconds", "part"),
    [
        ("_fleet", "advance_all", 10.0, "looking for a stall"),
        ("_starting", "start_due", 0.2, "looking after the children"),
        ("_journal", "sample", 0.2, "recording the state of all"),
    ],
)
def test_a_part_of_a_tick_that_raises_is_one_alert_and_the_loop_goes_on(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: str,
    name: str,
    seconds: float,
    part: str,
) -> None:
    """What stood before the `try` ended the supervisor's loop for good: no restart, no stop, and no word of it."""
    if seconds > 1:
        bench.ticks()
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(getattr(bench.supervisor, owner), name, broken)
        bench.ticks(5, seconds)
    texts = [text for text in bench.alerts if text.startswith(part)]
    assert texts == [f"{part} failed: ZeroDivisionError: a fault of ours; the log file has the traceback"]
    assert "Traceback" in caplog.text
    assert bench.pauses[-5:] == [1.0, 2.0, 4.0, 8.0, 16.0]
    bench.ticks()
    assert bench.pauses[-1] == 0.2
    assert bench.launched == ["worker-a", "worker-b"]


def test_a_clock_that_fails_does_not_end_the_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bench.supervisor, "_clock", broken)
        with pytest.raises(ZeroDivisionError):  # asyncio hands this to the loop's exception handler
            bench.supervisor._tick(bench.loop)
    assert len(bench.pauses) == 1, "the next tick is planned"


def test_a_child_that_cannot_be_looked_after_costs_the_others_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ticks()
    a, b = bench.supervisor._fleet
    looked: list[float] = []

    def note(now: float, events: object, *, jitter: float) -> list[object]:
        looked.append(now)
        return []

    with monkeypatch.context() as patch:
        patch.setattr(a, "advance", broken)
        patch.setattr(b, "advance", note)
        bench.supervisor._fleet.advance_all()
    assert looked == [bench.now]
    assert bench.alerts[0].startswith("worker-a: looking after it failed")


def test_a_child_that_cannot_be_spawned_has_failed_whatever_raised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an OSError was expected: with anything else it counted as starting, without a process, and then for ever
    as stopping."""
    monkeypatch.setattr(Child, "launch", broken)
    bench.ticks()
    assert bench.states() == [ProcessState.BACKOFF, ProcessState.BACKOFF]
    assert len(bench.alerts) == 2


@pytest.mark.parametrize("owner", ["operations", "alerts", "journal"])
def test_the_end_of_a_child_reaches_its_policy_whatever_fails_beside_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    """The end was lost: the child counted as running until it had been silent for too long, and then as stopping for
    ever, since nothing ends twice."""
    bench.ticks()
    supervisor = bench.supervisor
    a, b = supervisor._fleet
    target, name = {
        "operations": (supervisor._operations, "on_exit"),
        "alerts": (supervisor._alerts, "add"),
        "journal": (supervisor._journal, "alert"),
    }[owner]
    with monkeypatch.context() as patch:
        patch.setattr(target, name, broken)
        supervisor._on_exit(a, 1)
    assert a.state.process is ProcessState.BACKOFF
    assert b.state.process is ProcessState.STARTING
    assert owner == "alerts" or bench.alerts


def test_a_forced_stop_ends_the_loop_whatever_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.ticks()
    monkeypatch.setattr(bench.supervisor._stopping, "stop_due", broken)
    bench.supervisor.stop()
    assert not bench.supervisor._finished.is_set()
    bench.supervisor.stop(force=True)
    assert bench.supervisor._finished.is_set()
    assert bench.alerts[0].startswith("stopping failed")


def test_a_running_supervisor_tells_of_timers_threads_and_requests_and_still_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its real loop and socket: whatever raises, `status` says so."""

    async def run() -> list[str]:
        supervisor = Supervisor(Plan(tmp_path, ()))
        task = asyncio.create_task(supervisor.run())
        loop = asyncio.get_running_loop()

        def ask(op: str) -> Any:
            with ControlClient(tmp_path) as client:
                return client.request(op)

        while not (tmp_path / "control.sock").exists():
            await asyncio.sleep(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(supervisor._operations, "_state", broken)
            with pytest.raises(Refused, match="unexpected ZeroDivisionError"):
                await asyncio.to_thread(ask, "ping")
        loop.call_soon(broken)
        with monkeypatch.context() as patch:
            patch.setattr(supervisor, "_tend", broken)
            thread = threading.Thread(target=broken, name="a thread")
            thread.start()
            await asyncio.to_thread(thread.join)
            while len(supervisor._alerts.newest) < 4:
                await asyncio.sleep(0.01)
        status = (await asyncio.to_thread(ask, "status"))["status"]
        supervisor.stop()
        assert await task is ExitCode.OK
        return sorted(alert["text"].partition(" failed: ")[0] for alert in status["alerts"])

    texts = asyncio.run(run())
    assert texts[0].startswith("Exception in callback broken()")
    assert texts[1:] == [
        "a request on the control socket",
        "looking after the children",
        "the thread a thread",
    ]
