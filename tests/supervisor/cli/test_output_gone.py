"""A reader that has gone ends every command without a word with 141: each of the tree, with what it prints."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.cli import detached_start, worker_command
from supervisor.cli import main as cli_module
from supervisor.cli.standard_streams import OutputGone
from supervisor.exit_codes import ExitCode
from tests.store.session import make_session
from tests.supervisor.cli.test_declared_commands import all_commands

PAPER = "environment: paper\naccounts: [{name: alice}]\n"
LINES = {
    "backup": "backup {here}/copy.duckdb",
    "check": "check -c {here}/g.yaml",
    "correct": "correct alice --as-of 1 --figures []",
    "export": "export {here}/parquet --table executions",
    "ledger check": "ledger check",
    "logs": "logs writer",
    "paper": "paper -c {here}/g.yaml",
    "pause": "pause alice",
    "rebuild": "rebuild",
    "reconcile": "reconcile alice",
    "report": "report --account alice --out -",
    "restart": "restart alice",
    "resume": "resume alice",
    "sql": "sql 'FROM range(100000)'",
    "start": "start --detach -c {here}/g.yaml",
    "status": "status --json",
    "stop": "stop",
    "vacuum": "vacuum",
}
"""Of each command a line that prints something."""


class Gone(io.RawIOBase):
    """A pipe without a reader, as `standard_streams` makes one of it."""

    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> int:
        raise OutputGone


class Client:
    """A supervisor that runs."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def worker(self, *_: Any) -> dict[str, Any]:
        return {"result": "done"}

    def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"child": "worker-alice"}

    def status(self) -> dict[str, Any]:
        return {"health": "healthy", "accounts": []}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("records")
    make_session(directory)
    (directory / "logs").mkdir()
    (directory / "logs" / "writer.jsonl").write_text("a line\n")
    return directory


def test_there_is_a_line_for_each_command() -> None:
    assert LINES.keys() == all_commands().keys()


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("asked", ["{line}", "{name} --help"])
def test_it_ends_without_a_word(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(records, data)
    (tmp_path / "g.yaml").write_text(PAPER)
    for module in ("ledger", "restart", "status_command"):
        monkeypatch.setattr(f"supervisor.cli.{module}.PatientClient", Client)
    monkeypatch.setattr(worker_command, "PatientClient", Client)
    monkeypatch.setattr("supervisor.cli.stop.stop_supervisor", lambda *_, **__: "stopped")
    monkeypatch.setattr("supervisor.cli.paper.run_standalone", lambda _, show: show("http://127.0.0.1:1"))
    monkeypatch.setattr("supervisor.cli.detached_start.subprocess.Popen", lambda *_, **__: SimpleNamespace(pid=1))
    ready = {"accounts": [], "writer": None, "paper": None}
    monkeypatch.setattr(detached_start, "_started", lambda *_: ready)
    words = shlex.split(asked.format(line=LINES[name].format(here=tmp_path), name=name))
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", *words, "--data-dir", str(data)])
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Gone()), write_through=True))
    with pytest.raises(SystemExit) as end:
        cli_module.main()
    assert (end.value.code, said.getvalue()) == (ExitCode.OUTPUT_GONE, "")
