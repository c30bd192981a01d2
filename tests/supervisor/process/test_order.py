"""Start and stop order with children that are never really launched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.fleet import Fleet, FleetEvents
from supervisor.children.launch_arguments import TAKES_OVER, LaunchArguments
from supervisor.children.launcher import Launcher
from supervisor.children.policy_types import Exited, ProcessState, Ready
from supervisor.process.start_order import StartOrder
from supervisor.process.stop_order import StopOrder
from supervisor.store.supervisor_journal import SupervisorJournal


def fail(part: str, error: BaseException) -> None:
    raise AssertionError(part) from error


class Bench:
    """A paper exchange, a writer and two workers; `launched` has the names in the order of their starts."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.launched: list[tuple[str, tuple[Any, ...]]] = []
        self.now = 0.0
        self.told: list[tuple[str, str, str, str]] = []
        monkeypatch.setattr(Child, "launch", lambda child, extra: self.launched.append((child.spec.name, extra)))
        specs = (
            ChildSpec("paper", ChildKind.PAPER, "x:y"),
            ChildSpec("writer", ChildKind.WRITER, "x:y"),
            ChildSpec("worker-a", ChildKind.WORKER, "x:y", account="a", needs_paper=True),
            ChildSpec("worker-b", ChildKind.WORKER, "x:y", account="b"),
        )
        self.launch = LaunchArguments(["a", "b"])
        events = FleetEvents(lambda *_: None, lambda *_: None, lambda *_: True, lambda: "keep", fail)
        clock = lambda: self.now  # noqa: E731
        self.fleet = Fleet(
            specs, Launcher(tmp_path / "crash.log"), self.launch, events, clock=clock, jitter=lambda: 0.0
        )
        self.starting = StartOrder(self.fleet, self.launch)
        self.elsewhere: set[str] = set()
        self.stopping = StopOrder(
            *(self.fleet, SupervisorJournal(tmp_path, "r"), "cancel", self.alert), self.elsewhere.__contains__
        )

    def alert(self, child: Child, level: str, text: str, key: str) -> bool:
        self.told.append((child.spec.name, level, text, key))
        return True

    def child(self, name: str) -> Child:
        child = self.fleet.find(name)
        assert child is not None
        return child

    def names(self) -> list[str]:
        return [name for name, _ in self.launched]

    def ready(self, name: str) -> None:
        self.fleet.advance(self.child(name), Ready())

    def asked_to_stop(self) -> set[str]:
        return {child.spec.name for child in self.fleet if child.state.process is ProcessState.STOPPING}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_workers_wait_for_the_writer_and_for_the_address_of_the_exchange(bench: Bench) -> None:
    bench.starting.start_due()
    assert bench.names() == ["paper", "writer"]
    assert bench.child("a").state.reason == "waits for the paper exchange"
    assert bench.child("b").state.reason == "waits for the writer"
    bench.ready("writer")
    bench.starting.start_due()
    assert bench.names() == ["paper", "writer", "worker-b"]
    assert bench.launch.paper_is_ready({"url": "http://x", "port": 1}) == ""
    bench.ready("paper")
    bench.starting.start_due()
    assert bench.names()[3:] == ["worker-a"]
    assert bench.launched[3][1][0] == "http://x"
    assert bench.launched[2][1][0] is None
    assert not bench.starting.complete, "the workers have not reported yet"


def test_workers_do_not_wait_for_a_writer_whose_database_is_new(bench: Bench) -> None:
    bench.starting.start_due()
    bench.child("writer").holds_nothing = True
    bench.starting.start_due()
    assert bench.names() == ["paper", "writer", "worker-b"]


def test_only_a_worker_that_died_at_work_believes_what_the_fleet_has_read(bench: Bench) -> None:
    """Not one whose start failed: it is started for the newest terms. Nor the second of two deaths in a row."""
    bench.starting.start_due()
    bench.child("writer").holds_nothing = True
    bench.starting.start_due()

    def dies() -> bool:
        bench.now += 100.0
        bench.fleet.advance(bench.child("b"), Exited(1))
        bench.now += 100.0
        bench.fleet.advance(bench.child("b"))
        return TAKES_OVER in bench.launched[-1][1][2]

    assert not dies(), "its first start failed"
    bench.ready("b")
    assert [dies(), dies()] == [True, False], "once at work, and then at its start"
    assert bench.names()[2:] == ["worker-b"] * 4


def test_an_exchange_that_returns_elsewhere(bench: Bench) -> None:
    bench.launch.paper_is_ready({"url": "http://x", "port": 1})
    assert bench.launch.paper_is_ready({"url": "http://x", "port": 1}) == ""
    assert bench.launch.paper_is_ready({"url": "http://y", "port": 2}) == "http://x"
    assert bench.launch.paper_url == "http://y"


def test_the_writer_stops_after_the_workers_and_the_exchange_last(bench: Bench) -> None:
    bench.launch.paper_is_ready({"url": "http://x", "port": 1})
    for _ in range(2):
        bench.starting.start_due()
        for child in bench.fleet:
            bench.fleet.advance(child, Ready())
    assert bench.stopping.mode == "cancel"
    bench.stopping.begin("flatten", force=False)
    bench.stopping.begin("keep", force=False)
    assert bench.stopping.mode == "flatten", "the first request decides"
    for names in ({"worker-a", "worker-b"}, {"writer"}, {"paper"}):
        assert not bench.stopping.stop_due()
        assert bench.asked_to_stop() == names
        for name in names:
            bench.fleet.advance(bench.child(name), Exited(0))
    assert bench.stopping.stop_due()


@pytest.mark.parametrize("mode", ["flatten", "keep"])
def test_a_stop_says_whose_positions_it_has_not_closed(bench: Bench, mode: str) -> None:
    """A worker that was still starting, or down, ended in order with all its orders, and nobody was told."""
    bench.launch.paper_is_ready({"url": "http://x", "port": 1})
    for _ in range(2):
        bench.starting.start_due()
        for child in bench.fleet:
            bench.fleet.advance(child, Ready())
    bench.fleet.advance(bench.child("b"), Exited(1))
    bench.stopping.begin(mode, force=False)
    bench.stopping.stop_due()
    bench.child("a")._take({"type": "bye", "reason": "stopped", "exit_code": 0, "left": ["ETHUSDT: 0.1 is open"]})
    bench.fleet.advance(bench.child("a"), Exited(0))
    for _ in range(2):
        bench.stopping.stop_due()
    undone = [] if mode == "keep" else [text for _, _, text, _ in bench.told]
    assert [(name, level, key) for name, level, _, key in bench.told] == [("worker-b", "ERROR", "stop")] * len(undone)
    assert bench.stopping.farewell()["left"] == [
        "worker-a: ETHUSDT: 0.1 is open",
        *(f"worker-b: {text}" for text in undone),
    ]
    if mode == "flatten":
        [text] = undone
        assert text.startswith("it was not trading when the stop came, so `flatten` was not carried out")
        assert "flatten --direct -c FILE b`" in text
    bench.elsewhere.add("b")
    assert bench.stopping.farewell()["left"] == ["worker-a: ETHUSDT: 0.1 is open"], "another host of the fleet has it"
    bench.elsewhere.clear()
    bench.child("b").leaves = True
    assert bench.stopping.farewell()["left"] == ["worker-a: ETHUSDT: 0.1 is open"], "it was to leave all as it was"


def test_force_reaches_everyone_at_once(bench: Bench) -> None:
    bench.starting.start_due()
    bench.stopping.begin(None, force=True)
    assert bench.stopping.forced
    assert bench.asked_to_stop() == {"paper", "writer"}


def test_every_process_of_an_account_and_every_writer_has_the_same_queue(bench: Bench) -> None:
    worker, writer = bench.child("a").spec, bench.child("writer").spec
    for _ in range(2):
        _, sender, _ = bench.launch.of(worker)
        [receivers] = bench.launch.of(writer)
        sender.put_nowait((1, 2, 3, 4, b"records"))
        assert receivers["a"].take() == [(1, 2, 3, 4, b"records")]
        assert receivers["b"].take() == []
