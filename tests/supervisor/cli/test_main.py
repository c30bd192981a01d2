"""The command line: exit codes, sentences instead of tracebacks, help, places, logs."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from click.testing import CliRunner

from gridbot.command_line import pasteable, settle_program
from gridbot.state.data_formats import FILE_NAME
from gridbot.version import __version__
from gridbot.worker.worker_session import EXIT_NO_ROOM, EXIT_OK, EXIT_REFUSED
from supervisor.cli import main as cli_module
from supervisor.cli.database_age import newer_database
from supervisor.cli.detached_start import _ended, outcome
from supervisor.cli.logs import human, last_lines
from supervisor.exit_codes import MEANINGS, CommandError, ExitCode
from supervisor.process.directory_lock import DirectoryLock, holder
from tests import warm_python

ROOT = Path(__file__).resolve().parents[3]


def run(*args, **env):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
    command = [sys.executable, "-m", "supervisor", *args]
    return warm_python.run(command, cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT), **env}, timeout=60)


def test_exit_codes_are_the_published_ones():
    """Code, `--help`, README and docs/command-line.md say the same of each."""
    published = {
        "OK": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "NOT_RUNNING": 3,
        "CONFIG": 4,
        "TIMEOUT": 5,
        "DEGRADED": 6,
        "REFUSED": 7,
        "DIFFERS": 8,
        "NOTHING": 9,
        "NO_ROOM": 10,
        "PARTLY": 11,
        "FORCED": 130,
        "OUTPUT_GONE": 141,
    }
    assert {code.name: code.value for code in ExitCode} == published
    assert (EXIT_OK, EXIT_REFUSED, EXIT_NO_ROOM) == (ExitCode.OK, ExitCode.REFUSED, ExitCode.NO_ROOM)
    named = [f"{code.value} {name}" for code, (name, _) in MEANINGS.items()]
    helped = " ".join(CliRunner().invoke(cli_module.cli, ["--help"]).output.split())
    assert f"Exit codes: {', '.join(named)}." in helped
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"Exit codes: {' · '.join(named)}." in readme
    page = (ROOT / "docs" / "command-line.md").read_text()
    rows = [f"| {code.value} | {name} | {sentence} |" for code, (name, sentence) in MEANINGS.items()]
    assert "\n".join(rows) in page


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["stop"], ["stop", "--force"], ["restart", "a"]])
def test_nothing_runs(tmp_path, command):
    done = run(*command, "--data-dir", str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.startswith(f"gridbot-supervisor: no supervisor runs in {tmp_path}")
    if "stop" not in command:
        assert done.stderr.endswith(f"; `{pasteable('start --detach', data_dir=tmp_path)}` starts one\n")
    if "--json" in command:
        said = json.loads(done.stdout)
        assert (said["running"], said["data_dir"]) == (False, str(tmp_path))
        assert said["reasons"][0] in done.stderr
    else:
        assert done.stdout == ""


def test_where_nothing_runs_what_needs_no_supervisor_is_named(tmp_path):
    place = ["--data-dir", str(tmp_path), "-c", "mine.yaml"]
    done = run("flatten", "alice", *place)
    assert done.returncode == 3
    where = {"config": "mine.yaml", "data_dir": tmp_path}
    start, direct = pasteable("start --detach", **where), pasteable("flatten --direct", **where)
    assert done.stderr.endswith(f"; `{start}` starts one; `{direct}` with the same targets needs none\n")


def test_usage_and_version():
    assert run("dance").returncode == 2
    assert run("status", "--loud").returncode == 2
    assert run("--version").stdout.startswith("gridbot ")
    helped = run("--help")
    assert helped.returncode == 0
    for command in ("start", "stop", "status", "restart", "logs", "sql", "check"):
        assert f"  {command} " in helped.stdout


def test_start_with_a_configuration_that_is_not_there(tmp_path):
    for how in ([], ["--detach"]):
        done = run("start", *how, "-c", str(tmp_path / "no.yaml"), "--data-dir", str(tmp_path))
        assert done.returncode == 4
        assert "no.yaml" in done.stderr
        assert "Traceback" not in done.stderr


def test_start_in_a_taken_directory(tmp_path):
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    assert holder(tmp_path) == os.getpid()
    for how in ([], ["--detach"]):
        done = run("start", *how, "-c", str(ROOT / "conf" / "demo.yaml"), "--data-dir", str(tmp_path))
        assert done.returncode == 7, done.stderr
        assert f"(pid {os.getpid()}) already works in {tmp_path}" in done.stderr
    done = run("stop", "--data-dir", str(tmp_path))
    assert done.returncode == 5
    assert "--force kills it" in done.stderr
    with pytest.raises(CommandError):
        DirectoryLock(tmp_path).acquire()
    lock.release()
    assert holder(tmp_path) is None


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("start", "-c", str(ROOT / "conf" / "demo.yaml"), "--data-dir", str(tmp_path / "file" / "data"))
    assert done.returncode == 7
    assert "expected a data directory that can be written" in done.stderr


RECORDS = ("sql 'SELECT 1'", "export out", "backup out", "vacuum", "ledger check", "logs", "status", "stop")


@pytest.mark.parametrize("line", RECORDS)
@pytest.mark.parametrize("how", ["-c", "--data-dir", "GRIDBOT_CONFIG_PATH", "GRIDBOT_DATA_DIR"])
def test_each_way_of_naming_an_instance_reaches_it(tmp_path, monkeypatch, line, how):
    (tmp_path / "x.yaml").write_text("storage: {data_dir: over-there}\n")
    value = str(tmp_path / ("over-there" if "DATA" in how.upper() else "x.yaml"))
    for name in ("GRIDBOT_CONFIG_PATH", "GRIDBOT_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    if how.startswith("GRIDBOT"):
        monkeypatch.setenv(how, value)
    monkeypatch.chdir(tmp_path)
    given = [] if how.startswith("GRIDBOT") else [how, value]
    done = CliRunner().invoke(cli_module.cli, [*shlex.split(line), *given])
    assert str(tmp_path / "over-there") in f"{done.output} {done.exception}"


def test_hints_can_be_pasted_as_printed(tmp_path, monkeypatch):
    class Client:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def request(self, *_, **__):
            return {"child": "writer"}

        def status(self):
            return {"accounts": [], "writer": {"process": {"name": "writer"}}}

    monkeypatch.setattr("supervisor.cli.fleet_command.PatientClient", Client)
    config, data_dir = str(tmp_path / "my conf.yaml"), str(tmp_path / "it's data")
    given = ["-c", config, "--data-dir", data_dir]
    said = CliRunner().invoke(cli_module.cli, ["restart", "writer", *given]).output
    hint = said.split("`")[1]
    assert shlex.split(hint) == ["gridbot-supervisor", "status", *given]
    assert pasteable("stop", data_dir=data_dir) == f"gridbot-supervisor stop --data-dir {shlex.quote(data_dir)}"
    monkeypatch.delenv("GRIDBOT_CONFIG_PATH", raising=False)
    monkeypatch.delenv("GRIDBOT_DATA_DIR", raising=False)
    monkeypatch.setenv("GRIDBOT_PROGRAM", "bin/gridbot-supervisor")
    assert "`bin/gridbot-supervisor status` shows" in CliRunner().invoke(cli_module.cli, ["restart", "writer"]).output


def test_hints_of_processes_name_the_program_whole(monkeypatch):
    """`status` shows them days later, in another working directory."""
    monkeypatch.chdir("/")
    for typed, settled in (("bin/x", "/bin/x"), ("/bin/x", "/bin/x"), ("x", "x")):
        monkeypatch.setenv("GRIDBOT_PROGRAM", typed)
        settle_program()
        assert pasteable("stop") == f"{settled} stop"


def test_a_hint_names_the_script_that_was_typed(tmp_path):
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "gridbot-supervisor", tmp_path / "bin")
    (tmp_path / "bin" / "_bootstrap").write_text('bootstrap() { venv=$root; mv "$root/program" "$0"; }\n')
    (tmp_path / "program").write_text('#!/bin/sh\necho "$GRIDBOT_PROGRAM $*"\n')
    (tmp_path / "program").chmod(0o755)
    done = subprocess.run(["bin/gridbot-supervisor", "status"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "bin/gridbot-supervisor status\n", done.stderr


def test_status_imports_nothing_heavy():
    probe = (
        "import supervisor.cli.main, supervisor.cli.status_command, supervisor.status.tables, sys\nprint(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    heavy = {"duckdb", "aiohttp", "asyncio", "pydantic", "pybit", "requests", "psutil", "gridbot.config.loading"}
    assert heavy & set(loaded.split()) == set()


def test_logs(tmp_path):
    line = {
        "time": "2026-01-02T03:04:05.678901Z",
        "level": "WARNING",
        "process": "worker-a",
        "account": "a",
        "strategy": "s1",
        "message": "look",
    }
    path = tmp_path / "logs" / "worker-a.jsonl"
    path.parent.mkdir()
    lines = [json.dumps({**line, "message": f"line {number}"}) for number in range(5)]
    path.write_text("\n".join(["not json", *lines]) + "\n")
    assert human(lines[0]) == "2026-01-02 03:04:05.678 WARNING worker-a     a/s1: line 0"
    forged = json.dumps({**json.loads(lines[0]), "message": "x\nforged \x1b[2J\x9b" + "y" * 10_000})
    assert (human(forged) or "").isprintable()
    assert len(human(forged) or "") < 3000
    assert human("[" * 100_000 + "\n") == "[" * 2000 + "... (100000 characters)"
    assert human(lines[0], 40) is None
    assert last_lines(path, 99)[0] == "not json"
    runner = CliRunner()
    shown = runner.invoke(cli_module.cli, ["logs", "a", "-n", "2", "--data-dir", str(tmp_path)])
    assert [text.rsplit(" ", 1)[1] for text in shown.output.splitlines()] == ["3", "4"]
    with pytest.raises(CommandError, match="there are: a"):
        runner.invoke(cli_module.cli, ["logs", "b", "--data-dir", str(tmp_path)], catch_exceptions=False)


def test_a_detached_start_that_could_not_write_why_it_ended_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    error = _ended(7, tmp_path, tmp_path / "stderr.log", 0)
    assert error.code == ExitCode.REFUSED
    assert error.text.startswith("expected a data directory that can be written, got: [Errno 28] No space left")


def test_outcome_of_a_detached_start():
    def row(name, state, reason=""):
        return {"process": {"name": name, "state": state, "reason": reason}}

    well = {"accounts": [row("worker-a", "RUNNING")], "writer": row("writer", "RUNNING"), "paper": None}
    assert outcome(well) == (ExitCode.OK, "")
    code, text = outcome({**well, "accounts": [row("worker-a", "FATAL", "refused its configuration")]})
    assert code is ExitCode.DEGRADED
    assert "worker-a is FATAL: refused its configuration" in text
    strategies = [
        {"strat_id": "btc", "state": "active"},
        {"strat_id": "eth", "state": "halted", "reason": "not listed"},
    ]
    code, text = outcome({**well, "accounts": [{**row("worker-a", "RUNNING"), "strategies": strategies}]})
    assert code is ExitCode.DEGRADED
    assert text.startswith("! eth is halted: not listed\n")


def paper(tmp_path, config):
    path = tmp_path / "paper.yaml"
    path.write_text(config)
    return "paper", "-c", str(path)


def test_the_paper_exchange_alone(tmp_path):
    words = paper(tmp_path, "environment: paper\naccounts: [{name: dan}]\n")
    first = subprocess.Popen(
        [sys.executable, "-m", "supervisor", *words, "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    url = first.stdout.readline().split()[-1]
    with urllib.request.urlopen(f"{url}/v5/market/time", timeout=30) as answer:
        assert json.load(answer)["retCode"] == 0
    second = run(*words, "--port", url.rsplit(":", 1)[1])
    assert second.returncode == 7
    assert "expected to listen on a free port" in second.stderr
    first.send_signal(signal.SIGINT)
    assert first.communicate(timeout=30)[1] == ""
    assert first.returncode == 0


def test_a_paper_exchange_that_cannot_be(tmp_path):
    market = "paper: {market: {symbols: {WHATUSDT: {price: 1}}}}\n"
    done = run(*paper(tmp_path, "environment: paper\naccounts: [{name: dan}]\n" + market))
    said = done.stderr
    assert done.returncode == 4, said
    assert "WHATUSDT" in said


def test_a_replay_that_cannot_be_read(tmp_path):
    market = "paper: {market: {source: replay, files: {BTCUSDT: nowhere.csv}}}\n"
    done = run(*paper(tmp_path, "environment: paper\naccounts: [{name: dan}]\n" + market))
    said = done.stderr
    assert done.returncode == 4, said
    assert "nowhere.csv: cannot be read" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("line", [*RECORDS, "rebuild", "ledger check --exchange", "restart writer", "check"])
def test_a_mistyped_directory_is_not_made(tmp_path, line):
    """`rebuild --data-dir typo` made an empty database there, and said that all went well."""
    (tmp_path / "here").mkdir()
    with contextlib.chdir(tmp_path / "here"):
        done = CliRunner().invoke(cli_module.cli, [*shlex.split(line), "--data-dir", str(tmp_path / "typo")])
    assert (done.exit_code == 0) == (line == "check")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_start_touches_nothing_of_a_directory_of_a_newer_version(tmp_path):
    data_dir, config = tmp_path / "data", tmp_path / "conf.yaml"
    config.write_text("environment: paper\naccounts: [{name: dan}]\n")
    data_dir.mkdir()
    data_dir.chmod(0o755)  # not by mkdir: commands that ran in this process have left their umask
    (data_dir / FILE_NAME).write_text('{"gridbot": "99.0", "formats": {"database": 99}}')
    done = run("start", "-c", str(config), "--data-dir", str(data_dir))
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert "got database of format 99" in done.stderr
    assert "gridbot 99.0 has worked in this data directory" in done.stderr
    assert [path.name for path in data_dir.iterdir()] == [FILE_NAME]
    assert data_dir.stat().st_mode & 0o777 == 0o755


def test_a_start_touches_nothing_beside_a_database_of_a_newer_version_that_came_alone(tmp_path):
    """The writer alone refused it, and the accounts traded without records."""
    data_dir, config = tmp_path / "data", tmp_path / "conf.yaml"
    config.write_text("environment: paper\naccounts: [{name: dan}]\n")
    data_dir.mkdir()
    file = data_dir / "gridbot.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE TABLE schema_versions AS SELECT 99 AS version, 'f' AS fingerprint, now() AS applied_at")
    done = run("start", "-c", str(config), "--data-dir", str(data_dir))
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert f"{file}: the database has schema version 99, this gridbot ({__version__}) knows" in done.stderr
    assert [path.name for path in data_dir.iterdir()] == [file.name]
    file.write_bytes(b"no database")
    assert newer_database(data_dir) is None, "that is for the writer to say"
