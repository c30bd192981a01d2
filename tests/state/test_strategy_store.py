"""The grid store with real files: whole or not at all, newest wins, torn and foreign files set aside."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from gridbot.core import Direction, Instrument, LimitOrders, TickerEvent
from gridbot.core.vocabulary import Side
from gridbot.records.recorder import Recorder
from gridbot.state import state_files, state_log
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from gridbot.state.strategy_store import GridAnchorStore
from gridbot.strategies.grid import GRID, GridConfig, GridEngine, GridState
from gridbot.strategies.grid.ladder import Level
from gridbot.system_ports import SystemClock
from tests.core.helpers import SYMBOL, d, engine, fill, ticker
from tests.store.kit import make_recorder


def state(version: int = 1, anchor: str = "100") -> GridState:
    levels = tuple(Level(ticks, Side.BUY) for ticks in (980, 990, 1000, 1010, 1020))
    return GridState(SYMBOL, 4, d(1), d("0.1"), levels, d("99.1"), d(anchor), version, 1_700_000_000_000)


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def files(tmp_path):
    made = StateFiles(tmp_path)
    yield made
    made.close()


@pytest.fixture
def states(files, tmp_path_factory):
    """A log whose journal takes all, so that each file follows at once."""
    recorder = make_recorder(tmp_path_factory.mktemp("journal"))
    yield StateLog(files, recorder)
    recorder.close()


@pytest.fixture
def store(states, problems):
    return Store(states, GRID, problems.append)


class Store(GridAnchorStore[GridState]):
    """Whose files are given to the disk at once, and which reads the files alone, as the next process does."""

    def save(self, strat_id, state, told=()):
        super().save(strat_id, state, told)
        self._states._recorder.write()
        self._states.release()

    def load(self, strat_id):
        saved = GridAnchorStore(StateLog(self._states.files, self._states._recorder), GRID, self._on_problem).load(
            strat_id
        )
        return None if saved is None else saved.state


@pytest.fixture
def path_of(files, store):
    """Of the file of a strategy."""
    return lambda strat_id: files.path(store.name(strat_id))


def test_what_was_saved_is_loaded_by_the_next_process(store, files, problems):
    made = engine()
    made.on_event(ticker("100"), LimitOrders())
    made.on_event(fill("99", ts=5), LimitOrders())
    store.save("btc-1", made.state())
    assert files.close()
    again = store.load("btc-1")
    assert again == made.state()
    assert engine(restored=again).grid == made.grid
    assert problems == []


def test_nothing_saved_is_nothing_loaded(store, problems):
    assert store.load("btc-1") is None
    assert problems == []


def test_strategies_do_not_share_files(store, files, path_of):
    for number, name in enumerate(("a", "b", "A", "a/b", "..", "a b", "x" * 200, "")):
        store.save(name, state(number))
    assert files.flush()
    for number, name in enumerate(("a", "b", "A", "a/b", "..", "a b", "x" * 200, "")):
        assert store.load(name).version == number
        assert path_of(name).parent == path_of("a").parent


def test_the_newest_of_many_wins(store, files, path_of):
    for version in range(300):
        store.save("btc-1", state(version))
    assert files.flush()
    assert store.load("btc-1").version == 299
    assert [path.name for path in path_of("btc-1").parent.iterdir()] == ["btc-1.grid.json"], "no temporary file stays"


def test_a_reader_always_finds_a_whole_file(store, files, problems):
    done = threading.Event()

    def write() -> None:
        for version in range(60):
            store.save("btc-1", state(version))
            files.flush()
        done.set()

    store.save("btc-1", state(0))
    assert files.flush()
    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(store.load("btc-1").version)
    writer.join()
    assert problems == []
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "expected a JSON object, got a torn or foreign file"),
        (lambda text: b"", "torn or foreign"),
        (lambda text: b"\xff\xfe\x00", "torn or foreign"),
        (lambda text: b"[1]", "expected a JSON object, got list"),
        (lambda text: b"{}", "expected format 1, got None"),
        (lambda text: text.replace(b"980", b"981"), "expected a checksum that fits the content"),
    ],
)
def test_a_damaged_file_is_set_aside_and_reported(store, files, problems, damage, message, path_of):
    store.save("btc-1", state())
    files.flush()
    path = path_of("btc-1")
    for number in (1, 2):
        damaged = damage(path.read_bytes() if path.exists() else path.with_name(f"{path.name}.bad-1").read_bytes())
        path.write_bytes(damaged)
        assert store.load("btc-1") is None
        aside = path.with_name(f"{path.name}.bad-{number}")
        assert aside.read_bytes() == damaged, "kept for whoever wants to look"
        assert not path.exists()
        assert message in problems[-1]
        assert f"{path}: " in problems[-1]
        assert f"set aside as {aside.name}, a new grid is built" in problems[-1]
        store.save("btc-1", state(number))
        files.flush()
        assert store.load("btc-1").version == number
    assert len(problems) == 2


def rewrite(path: Path, **changes) -> None:
    """Change fields and keep the checksum right: a file of somebody else, not a torn one."""
    body = {**json.loads(path.read_bytes()), **changes}
    del body["checksum"]
    path.write_text(json.dumps({**body, "checksum": state_log._checksum(body)}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strat_id": "eth-1"}, "expected strat_id 'btc-1', got 'eth-1'"),
        ({"format": 2}, "expected format 1, got 2"),
        ({"grid": None}, "expected an object in grid, got None"),
        ({"grid": {}}, "grid state: expected the field symbol"),
    ],
)
def test_a_foreign_file_is_set_aside_and_reported(store, files, problems, changes, message, path_of):
    store.save("btc-1", state())
    files.flush()
    rewrite(path_of("btc-1"), **changes)
    assert store.load("btc-1") is None
    assert message in problems[0]


def test_a_file_that_cannot_be_read_is_reported_and_stays(store, problems, path_of):
    path_of("btc-1").mkdir(parents=True)
    assert store.load("btc-1") is None
    assert "expected a readable grid file" in problems[0]
    assert path_of("btc-1").is_dir()


def test_a_write_that_fails_is_reported_and_tried_again(store, files, monkeypatch, path_of):
    monkeypatch.setattr(state_files, "_RETRY_S", 0.01)
    blocker = path_of("btc-1")
    blocker.mkdir(parents=True)
    (blocker / "file").touch()  # a directory that is not empty cannot be replaced by a file
    store.save("btc-1", state(1))
    assert files.flush(timeout_s=0.2) is False
    [problem] = files.failing
    assert "expected to write the file, got" in problem
    store.save("btc-1", state(2))
    store.save("eth-1", state(3))
    (blocker / "file").unlink()
    blocker.rmdir()
    assert files.flush()
    assert (store.load("btc-1").version, store.load("eth-1").version) == (2, 3)
    assert files.failing == []


def test_closing_gives_up_on_a_disk_that_does_not_write(tmp_path, monkeypatch):
    monkeypatch.setattr(state_files, "_RETRY_S", 0.01)
    files = StateFiles(tmp_path / "state")
    with make_recorder(tmp_path).journal as journal:
        store = Store(StateLog(files, Recorder("alice", "run", journal, clock=SystemClock())), GRID, pytest.fail)
        (files.path(store.name("btc-1")) / "file").mkdir(parents=True)
        store.save("btc-1", state())
    assert files.close(timeout_s=0.2) is False


def test_saving_never_waits_for_the_disk(store, files, monkeypatch, path_of):
    held, release = threading.Event(), threading.Event()
    real = os.fsync

    def slow(fd: int) -> None:
        held.set()
        release.wait(10)
        real(fd)

    monkeypatch.setattr(os, "fsync", slow)
    store.save("btc-1", state(1))
    assert held.wait(10)
    for version in (2, 3):
        store.save("btc-1", state(version))  # returns while the first write hangs in fsync
    assert files.flush(timeout_s=0.01) is False
    assert not path_of("btc-1").exists(), "not renamed before it is synced"
    release.set()
    assert files.flush()
    assert store.load("btc-1").version == 3


def test_after_closing_nothing_is_saved(store, files):
    assert files.close()
    assert files.close()
    with pytest.raises(RuntimeError, match="expected open state files"):
        store.save("btc-1", state())


def test_a_grid_goes_on_where_it_was_after_a_restart(store, files):
    rules = Instrument(SYMBOL, d("0.1"), d("0.001"), d("0.001"), d(100))
    config = GridConfig(10, d("0.5"))
    first = GridEngine(SYMBOL, rules, config, "btc-1")
    first.on_event(TickerEvent(SYMBOL, d("1234.5"), 1), LimitOrders())
    for price in ("1240.7", "1246.9", "1240.7"):
        first.on_event(TickerEvent(SYMBOL, d(price), 2), LimitOrders())
        first.on_event(fill(price, ts=3), LimitOrders())
    store.save("btc-1", first.state())
    assert files.flush()
    second = GridEngine(SYMBOL, rules, config, "btc-1", restored=store.load("btc-1"))
    probe = TickerEvent(SYMBOL, d("1238.2"), 4)
    assert second.on_event(probe, LimitOrders()) == first.on_event(probe, LimitOrders())
    assert second.state() == first.state()
    assert {intent.direction for intent in second.on_event(probe, LimitOrders())} == set(Direction)
