from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest

from supervisor.cli.sql_prompt import Completer, read_statements
from supervisor.exit_codes import ExitCode
from tests.store.session import make_session
from tests.supervisor.cli.test_hostile_sql import AGGREGATE

ROOT = Path(__file__).resolve().parents[3]


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
    """Statements, errors, formats; then Ctrl-C while a statement runs ends it all with 130 and one line."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor", "sql", "--data-dir", str(data_dir), "--timeout", "50"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that the terminal makes a signal of Ctrl-C
    )
    os.close(theirs)
    try:
        output = _read_until(ours, "sql> ")
        for line, answer in (
            ("SELECT count(*) AS many FROM fills;", "many"),
            ("SELECT nope;", "error: Binder Error"),
            (".format json", ""),
            ("SELECT 7 AS lucky;", '"lucky": 7'),
        ):
            # Line by line: what is typed ahead while a terminal is set to other ways may lie there until the next key.
            os.write(ours, f"{line}\n".encode())
            output += _read_until(ours, f"{answer}.*sql> ")
        before = psutil.Process(process.pid).cpu_times().user
        os.write(ours, f"{AGGREGATE};\n".encode())
        deadline = time.monotonic() + 30
        while psutil.Process(process.pid).cpu_times().user < before + 0.2:  # nothing else makes a prompt work
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.write(ours, b"\x03")
        last = _read_until(ours, "interrupted")
        assert process.wait(30) == ExitCode.FORCED
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert last.split("^C")[-1].split() == ["gridbot-supervisor:", "interrupted"]
    for expected in ("records of", "many", "error: Binder Error", '"lucky": 7'):
        assert expected in output
    assert "SELECT 7 AS lucky" in (data_dir / "sql_history").read_text()


def _read_until(fd: int, end: str) -> str:
    """Everything until `end`, a pattern, was shown, or the other side has closed the terminal."""
    output, deadline = b"", time.monotonic() + 30
    while not re.search(end.encode(), output, re.DOTALL) and time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    return output.decode(errors="replace")
