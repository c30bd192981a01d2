"""Whatever goes wrong in a command is a sentence: faults of ours leave details, what may be expected leaves none."""

from __future__ import annotations

import codecs
import contextlib
import errno
import importlib
import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError, Problem
from supervisor.cli import error_report, status_command
from supervisor.cli import main as cli_module
from supervisor.exit_codes import CommandError, ExitCode


def test_unexpected_errors_are_a_sentence_and_a_file(tmp_path, monkeypatch, capsys):
    def broken(*args):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(error_report, "data_directory", lambda *args: tmp_path)
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(status_command, "PatientClient", broken)
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", "status"])
    with pytest.raises(SystemExit) as end:
        cli_module.main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: oops" in said
    assert "Traceback" not in said
    log = tmp_path / "logs" / "gridbot-error.log"
    assert str(log) in said
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "expected room on this machine, got: "),
        (ConfigError("x.yaml", [Problem((), "valid YAML", "a tab", "indent")]), 4, "; indent\ngridbot-supervisor: "),
        (CommandError("no", ExitCode.REFUSED), 7, "no"),
    ],
)
def test_what_may_be_expected_to_fail_leaves_no_file(tmp_path, monkeypatch, capsys, error, code, said):
    monkeypatch.setattr(error_report, "_keep_details", pytest.fail)
    assert error_report.explain(error) == code
    assert said in capsys.readouterr().err


def test_a_missing_file_may_be_a_fault_of_ours_unless_the_working_directory_is_gone(tmp_path, monkeypatch, capsys):
    """It was always taken for expected, and the details of a fault were nowhere."""
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "x")
    monkeypatch.setattr(error_report, "_keep_details", lambda: "details are in y")
    assert error_report.explain(error) == 1
    assert "unexpected FileNotFoundError: [Errno 2] No such file or directory: 'x'; det" in capsys.readouterr().err
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert error_report.explain(error) == 1
    said = capsys.readouterr().err
    assert "expected a working directory that is there, got: " in said
    assert "details" not in said


@pytest.mark.parametrize("given", ["--data-dir {}/over-there", "--data-dir={}/over-there", "-c {}/x.yaml"])
def test_details_of_an_unexpected_error_go_where_the_command_was_sent(tmp_path, monkeypatch, capsys, given):
    monkeypatch.delenv("GRIDBOT_DATA_DIR", raising=False)
    (tmp_path / "x.yaml").write_text("storage: {data_dir: over-there}\n")
    (tmp_path / "over-there" / "logs").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", "status", *given.format(tmp_path).split()])
    error_report.explain(ZeroDivisionError("oops"))
    assert str(tmp_path / "over-there" / "logs" / "gridbot-error.log") in capsys.readouterr().err


def test_details_of_an_unexpected_error_make_no_directory(tmp_path, monkeypatch, capsys):
    """Such as that of a mistyped --data-dir."""
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", "status", "--data-dir", str(tmp_path / "typo")])
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    error_report.explain(ZeroDivisionError("oops"))
    assert str(tmp_path / "gridbot-error.log") in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["gridbot-error.log"]


def test_another_users_files_are_refused_in_a_sentence(tmp_path, monkeypatch, capsys):
    def forbidden(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "logs" / "writer.jsonl"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(Path, "open", forbidden)  # tests may run as root, who is refused nothing
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", "logs", "writer", "--data-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        cli_module.main()
    assert end.value.code == 7
    said = capsys.readouterr().err
    assert said.splitlines() == [
        f"gridbot-supervisor: expected to be allowed to use {path}, got: permission denied; run this as the user who "
        "started the bot"
    ]


@contextlib.contextmanager
def another_user():
    """For root, who is refused nothing; everybody else stays who they are."""
    user = os.geteuid()
    codecs.lookup("ascii")  # what another user may not read is remembered as an encoding that nobody knows
    importlib.import_module("concurrent.futures.thread")  # commands use it, and Python itself may be another user's
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["stop"], ["pause", "a"]])
def test_another_users_instance_is_permission_denied_and_not_not_running(tmp_path, monkeypatch, capsys, command):
    (tmp_path / "data").mkdir(mode=0o700)
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", *command, "--data-dir", str(tmp_path / "data")])
    tmp_path.chmod(0)  # for root, who is refused nothing, it is the user that changes
    try:
        with another_user(), pytest.raises(SystemExit) as end:
            cli_module.main()
    finally:
        tmp_path.chmod(0o700)
    assert end.value.code == ExitCode.REFUSED
    said = capsys.readouterr()
    assert f"{tmp_path / 'data'}, got: permission denied" in said.err
    assert len(said.err.splitlines()) == 1
    if "--json" in command:
        assert json.loads(said.out)["running"] is None


@pytest.mark.parametrize(
    "line", ["sql 'SELECT 1'", "ledger check", "vacuum", "rebuild", "export {}/out", "backup {}/copy", "logs writer"]
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_records_that_another_user_may_not_open_are_permission_denied(tmp_path, monkeypatch, capsys, line):
    """`sql` and the care of the database ended with 1."""
    data = tmp_path / "data"
    (data / "logs").mkdir(parents=True)
    for name in ("gridbot.duckdb", "logs/writer.jsonl"):
        (data / name).touch(mode=0o600)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if "pytest" in str(parent):
            parent.chmod(0o755)  # pytest's own are for root only
    words = shlex.split(line.format(tmp_path))
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", *words, "--data-dir", str(data)])
    with another_user(), pytest.raises(SystemExit) as end:
        cli_module.main()
    said = capsys.readouterr().err
    assert (end.value.code, "ermission denied" in said, len(said.splitlines())) == (ExitCode.REFUSED, True, 1), said
