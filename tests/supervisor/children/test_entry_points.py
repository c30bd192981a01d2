"""Exit codes of a paper exchange that cannot start: what may pass is tried again, wrong settings are not."""

from __future__ import annotations

import shutil
import socket
from multiprocessing import Pipe
from pathlib import Path

import pytest

from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.lock_file import take_lock
from gridbot.paper.storage import exchange_file
from gridbot.segment_file import lock_path
from gridbot.worker.spec import KNOWN
from supervisor.children import entry_points, program_files
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launch_plan import ChildLogs
from supervisor.exit_codes import ExitCode

CONFIG = """
environment: paper
accounts: [{name: alice, balance: 100}]
strategies: [{strat_id: a, account: alice, symbol: BTCUSDT, grid_count: 4, grid_step: 1, amount: "120"}]
storage: {data_dir: .}
paper: {state_file: exchange.json, market: {source: synthetic, symbols: {BTCUSDT: {price: 60000}}}}
"""


def ended(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[ExitCode, str]:
    """Exit code and last words of a paper exchange with this configuration."""
    monkeypatch.setattr(entry_points, "set_up_logging", lambda *_: None)
    monkeypatch.setattr(exchange_file, "LOCK_WAIT_S", 0.0)
    path = tmp_path / "gridbot.yaml"
    path.write_text(text)
    report, life = Pipe(), Pipe()
    config = with_paper_secrets(load_config(path), b"seed")
    with pytest.raises(SystemExit) as end:
        entry_points.paper(config, ChildLogs(console=False), "", 0, report[1], life[1])
    assert isinstance(end.value.code, int)
    return ExitCode(end.value.code), report[0].recv()["reason"]


def test_a_state_file_that_another_process_has_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was FATAL at once, as if the configuration were wrong: a supervisor that was killed may leave a frozen one."""
    directory = tmp_path / "exchange.json.journal"
    directory.mkdir()
    take_lock(lock_path(directory))
    code, words = ended(tmp_path, CONFIG, monkeypatch)
    assert code is ExitCode.REFUSED
    assert "is in use by process" in words


def test_a_directory_that_cannot_be_made_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exchange.json.journal").write_text("in the way")
    code, words = ended(tmp_path, CONFIG, monkeypatch)
    assert code is ExitCode.REFUSED
    assert "File exists" in words


def test_a_port_that_another_process_has_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said `[Errno 98] error while attempting to bind on address`, and nothing of what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = CONFIG.replace("{state_file", f"{{port: {taken.getsockname()[1]}, state_file")
        code, words = ended(tmp_path, text, monkeypatch)
    assert code is ExitCode.REFUSED
    assert words.startswith("expected a free port, got: ")
    assert words.endswith("; end what has it, or set paper.port to another one or to 0")


def test_a_network_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CONFIG.replace("source: synthetic", 'source: synthetic, instruments_from: "http://127.0.0.1:9"')
    code, words = ended(tmp_path, text, monkeypatch)
    assert code is ExitCode.REFUSED
    assert "is there a network?" in words


@pytest.mark.parametrize("content", [b"{", b'{"version": 99}'])
def test_a_state_file_that_cannot_be_read_stays_so(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exchange.json").write_bytes(content)
    code, words = ended(tmp_path, CONFIG, monkeypatch)
    assert code is ExitCode.CONFIG
    assert "away to start without them" in words


def test_a_writer_does_not_begin_from_files_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a `git pull` one that had died came back with the new modules below the old ones."""
    module = tmp_path / "gridbot" / "store" / "schema.py"
    for place in (module, tmp_path / "supervisor" / "writer.py"):
        place.parent.mkdir(parents=True)
        place.write_text("VERSION = 9\n")
    monkeypatch.setattr(program_files, "ROOT", tmp_path)
    monkeypatch.setattr(program_files, "_at_start", [])
    assert not program_files.are_changed()
    (module.parent / "notes.txt").write_text("no module")
    assert not program_files.are_changed()
    module.write_text("VERSION = 10\n")
    path = tmp_path / "gridbot.yaml"
    path.write_text(CONFIG)
    report, life = Pipe(), Pipe()
    with pytest.raises(SystemExit) as end:
        entry_points.writer(load_config(path), ChildLogs(console=False), {}, report[1], life[1])
    assert end.value.code == ExitCode.REFUSED
    said = report[0].recv()
    assert (said["type"], f"stop --data-dir {tmp_path}`" in said["reason"]) == ("refused", True)
    shutil.rmtree(tmp_path / "supervisor")
    assert program_files.are_changed(), "in the middle of a `git pull`"


def test_what_a_worker_has_read_of_its_account_reaches_the_next_one_and_stops_no_order(tmp_path: Path) -> None:
    """As a document that stops orders it would be one that no file has."""
    path = tmp_path / "gridbot.yaml"
    path.write_text(CONFIG)
    config, spec = load_config(path), ChildSpec("alice", ChildKind.WORKER, "", account="alice")
    launch = LaunchArguments(["alice"])
    try:
        launch.held("alice", {"name": KNOWN, "document": {"user_id": "7"}})
        launch.held("alice", {"name": "holds.json", "document": {"seq": 1}})
        for takes_over in (True, False):
            url, _, held = launch.of(spec, takes_over=takes_over)
            found = entry_points._worker_spec("alice", config, "run", ChildLogs(console=False), url, held)
            assert (found.known, found.takes_over) == ({"user_id": "7"}, takes_over)
            assert found.held == {"holds.json": {"seq": 1}}
    finally:
        launch.close()
