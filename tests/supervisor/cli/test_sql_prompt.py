from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor.cli.sql_prompt import Completer, read_statements
from tests.store.session import make_session


def drive(*lines: str | type[BaseException]) -> tuple[list[str], list[str]]:
    """What was run and what was shown for these lines."""
    waiting, ran, shown = list(lines), [], []

    def read_line(_: str) -> str:
        line = waiting.pop(0) if waiting else EOFError
        if isinstance(line, str):
            return line
        raise line

    read_statements(ran.append, lambda word, rest: f"<{word}|{rest}>", read_line=read_line, show=shown.append)
    return ran, shown


def test_a_statement_ends_with_a_semicolon_or_an_empty_line() -> None:
    ran, _ = drive("SELECT 1;", "SELECT", "2;", "", "SELECT 3", "", "SELECT ';' AS x", ";  ")
    assert ran == ["SELECT 1;", "SELECT\n2;", "SELECT 3", "SELECT ';' AS x\n;  "]


def test_interrupt_drops_the_statement_and_dot_lines_are_commands() -> None:
    ran, shown = drive("SELECT 1", KeyboardInterrupt, ".format csv", "SELECT 2;", ".help", ".quit", "SELECT 3;")
    assert ran == ["SELECT 2;"]
    assert "<format|csv>" in shown
    assert any("End a statement" in text for text in shown)


def test_completion_knows_names_in_any_case() -> None:
    completer = Completer(["fills", "fees", "exec_id"])
    assert completer.matches("FI") == ["fills"]
    assert [completer("fe", 0), completer("fe", 1)] == ["fees", None]
    assert "SELECT" in completer.matches("sel")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    make_session(tmp_path)
    return tmp_path


def test_on_a_terminal(data_dir: Path) -> None:
    ours, theirs = pty.openpty()
    code = "from supervisor.cli.sql import sql; sql()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--data-dir", str(data_dir)], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        os.write(ours, b"SELECT count(*) AS many FROM fills;\nSELECT nope;\n.format json\nSELECT 7 AS lucky;\n.quit\n")
        output = _read_all(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    for expected in ("records of", "many", "error: Binder Error", '"lucky": 7'):
        assert expected in output
    assert "SELECT 7 AS lucky" in (data_dir / "sql_history").read_text()


def _read_all(fd: int) -> str:
    """Everything until the other side has closed the terminal."""
    output, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    return output.decode(errors="replace")
