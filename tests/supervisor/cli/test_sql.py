from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from gridbot.store.migrations import SCHEMA_VERSION
from gridbot.store.reading import DatabaseDamaged, DatabaseLocked, NoDatabase, connect, database_path
from supervisor.cli.main import cli
from supervisor.cli.options import fair_memory
from supervisor.cli.sql import sql
from supervisor.store.interruptible import call
from supervisor.store.writer import Writer, WriterSpec
from tests.case_table import case_table
from tests.store.kit import execution, hold, make_recorder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped session with 100 fills of alice."""
    directory = tmp_path_factory.mktemp("data")
    recorder = make_recorder(directory)
    for number in range(1, 101):
        recorder.record(execution(number))
    recorder.close()
    writer = Writer(WriterSpec(directory, ("alice",)), {})
    writer.flush()
    writer.close()
    return directory


def run(data_dir: Path, *args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(sql, ["--data-dir", str(data_dir), *args], input=stdin)


def test_table(data_dir: Path) -> None:
    result = run(data_dir, "SELECT account, price, qty, is_maker, exchange_ts FROM fills WHERE seq <= 2 ORDER BY seq")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "account     price    qty  is_maker  exchange_ts",
        "alice    104233.1  0.001  true      2023-11-14 22:13:20.001",
        "alice    104233.1  0.002  true      2023-11-14 22:13:20.002",
    ]


def test_a_row_that_is_wider_than_the_screen_is_a_line_per_column(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = "SELECT account, price, repeat('so many words ', 5) AS why, NULL AS nothing FROM fills LIMIT 2"
    monkeypatch.delenv("COLUMNS", raising=False)
    assert len(run(data_dir, statement).stdout.splitlines()) == 3, "in a pipe a row is a line"
    monkeypatch.setenv("COLUMNS", "60")
    row = [
        "account  alice",
        "price    104233.1",
        "why      so many words so many words so many words so many",
        "         words so many words",
        "nothing",
    ]
    assert run(data_dir, statement).stdout.splitlines() == ["--- row 1", *row, "--- row 2", *row]
    assert run(data_dir, "SELECT account, price FROM fills LIMIT 1").stdout.splitlines()[0] == "account     price"
    monkeypatch.setenv("COLUMNS", "20")
    assert run(data_dir, statement).stdout.splitlines()[3:5] == [
        "why",
        "so many words so many words so many words so many words so many words",
    ]
    assert len(run(data_dir, "--format", "csv", statement).stdout.splitlines()) == 3


def test_the_widest_answers_fit_sixty_columns(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for statement in ("SELECT * FROM executions LIMIT 5", "SHOW TABLES", "DESCRIBE fills", "SUMMARIZE executions"):
        result = run(data_dir, statement)
        assert result.exit_code == 0, result.stderr
        assert max(map(len, result.stdout.splitlines())) <= 60, statement


def test_csv_and_json_keep_money_exact(data_dir: Path) -> None:
    statement = "SELECT price, qty, NULL AS nothing, exchange_ts FROM fills WHERE seq = 3"
    as_csv = list(csv.DictReader(io.StringIO(run(data_dir, "--format", "csv", statement).stdout)))
    assert as_csv == [{"price": "104233.1", "qty": "0.003", "nothing": "", "exchange_ts": "2023-11-14 22:13:20.003"}]
    as_json = json.loads(run(data_dir, "--format", "json", statement).stdout)
    expected = {"price": "104233.1", "qty": "0.003", "nothing": None, "exchange_ts": "2023-11-14T22:13:20.003000Z"}
    assert as_json == [expected]


def test_words_of_others_move_no_cursor(data_dir: Path) -> None:
    statement = "SELECT chr(27) || '[2J' || chr(10) || 'forged' || chr(155) || repeat('x', 100000) AS said"
    table = run(data_dir, statement).output
    assert table.replace("\n", "").isprintable()
    assert not any(line.startswith("forged") for line in table.splitlines())
    assert len(table) < 20_000
    whole = run(data_dir, "--format", "json", statement).output
    assert whole.replace("\n", "").isprintable()
    assert json.loads(whole)[0]["said"].startswith("\x1b[2J\nforged\x9bxxx")
    assert len(json.loads(whole)[0]["said"]) > 100_000, "JSON has all of it"
    found = run(data_dir, "--format", "csv", statement).output
    assert "\x1b" not in found
    assert "\x9b" not in found


def test_out_and_parquet(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "fills.csv"
    assert run(data_dir, "--format", "csv", "--out", str(out), "SELECT seq FROM fills ORDER BY seq").stdout == ""
    assert out.read_text().splitlines() == ["seq", *map(str, range(1, 101))]
    out = tmp_path / "it's fills.parquet"
    assert run(data_dir, "--format", "parquet", "--out", str(out), "SELECT * FROM fills;").exit_code == 0
    with duckdb.connect() as con:
        assert con.execute("SELECT count(*), max(seq) FROM read_parquet(?)", [str(out)]).fetchone() == (100, 100)
    assert "needs --out" in run(data_dir, "--format", "parquet", "SELECT 1").stderr
    nowhere = out / "below-a-file.csv"
    result = run(data_dir, "--out", str(nowhere), "SELECT 1")
    assert (result.exit_code, result.stderr) == (1, f"error: {nowhere} cannot be written: Not a directory\n")


def test_out_may_be_a_pipe(data_dir: Path) -> None:
    """`--out /dev/stdout | cat` looked for a file named "pipe:[7180578]"."""
    line = [sys.executable, "-m", "supervisor", "sql", "--out", "/dev/stdout", "SELECT 1 AS y"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GRIDBOT_DATA_DIR": str(data_dir)}
    assert subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True).stdout == "y\n1\n"


@pytest.mark.parametrize("size", ["3potatoes", "-5GB", "0GB", "", "GB"])
def test_a_size_that_is_none_is_a_mistake_of_the_command_line(data_dir: Path, size: str) -> None:
    result = run(data_dir, "--memory", size, "SELECT 1")
    assert (result.exit_code, "expected a size such as 500MB or 2GB" in result.output) == (2, True)


@pytest.mark.parametrize("style", ["table", "csv", "json", "parquet"])
def test_out_replaces_what_the_file_has_once_all_is_there(data_dir: Path, tmp_path: Path, style: str) -> None:
    out = tmp_path / "answer"
    out.write_text("old" * 10_000)
    late = "SELECT CAST(if(seq = 100, 'x', '1') AS INTEGER) FROM fills ORDER BY seq"
    assert run(data_dir, "--format", style, "--out", str(out), late).exit_code == 2
    assert out.read_text() == "old" * 10_000
    for number in (41, 42):
        assert run(data_dir, "--format", style, "--out", str(out), f"SELECT {number} AS n").exit_code == 0
    found = out.read_bytes()
    if style == "parquet":
        with duckdb.connect() as con:
            assert con.execute("SELECT * FROM read_parquet(?)", [str(out)]).fetchall() == [(42,)]
    else:
        assert b"42" in found
    assert b"41" not in found
    assert b"old" not in found
    assert [path.name for path in tmp_path.iterdir()] == ["answer"]


@pytest.mark.parametrize("statement", ["SELECT 42 AS n -- all", "SELECT 42 AS n; -- all", "SELECT 42 AS n /* all */"])
def test_a_comment_at_the_end_does_no_harm(data_dir: Path, tmp_path: Path, statement: str) -> None:
    assert run(data_dir, "--format", "csv", statement).stdout == "n\n42\n"
    for style in ("csv", "parquet"):
        out = tmp_path / style
        assert run(data_dir, "--format", style, "--out", str(out), statement).exit_code == 0
    with duckdb.connect() as con:
        assert con.execute("SELECT * FROM read_parquet(?)", [str(tmp_path / "parquet")]).fetchall() == [(42,)]


def test_a_statement_may_come_from_standard_input(data_dir: Path) -> None:
    assert run(data_dir, "--format", "csv", stdin="SELECT count(*) AS n FROM fills\n;\n").stdout == "n\n100\n"


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("SELECT * FRM fills", "syntax error"),
        ("SELECT * FROM fill", "Did you mean"),
        ("SELECT nope FROM fills", "nope"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
        ("", "expected one SQL statement, got 0"),
        ("SELECT 1; DROP TABLE executions", "got 2"),
        ("DROP TABLE executions", "only reads"),
        ("DELETE FROM executions", "only reads"),
        ("SET threads = 64", "only reads"),
        ("ATTACH 'other.duckdb'", "only reads"),
        ("COPY executions TO 'x.csv'", "only reads"),
        ("SELECT * FROM read_csv('/etc/passwd')", "only the records can be read"),
        ("SELECT * FROM '/etc/passwd'", ""),
        ("SELECT * FROM glob('/etc/*')", "only the records can be read"),
        ("SELECT * FROM read_text('/etc/hostname')", "only the records can be read"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(data_dir: Path, statement: str, says: str) -> None:
    result = run(data_dir, statement)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_parquet_output_opens_no_other_file(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    result = run(data_dir, "--format", "parquet", "--out", str(out), "SELECT * FROM read_text('/etc/passwd')")
    assert result.exit_code == 2
    assert "only the records can be read" in result.stderr


def test_limits_of_time_and_memory(data_dir: Path) -> None:
    endless = "SELECT count(*) FROM range(100000000000) a WHERE a.range % 7 = 3"
    result = run(data_dir, "--timeout", "0.05", endless)
    assert result.exit_code == 5
    assert "--timeout" in result.stderr
    big = (
        "SELECT a.exec_id, b.exec_id, c.exec_id FROM fills a, fills b, fills c ORDER BY a.qty * b.qty * c.qty, 1, 2, 3"
    )
    result = run(data_dir, "--memory", "30MB", big)
    assert result.exit_code == 1
    assert "--memory" in result.stderr


@case_table(("machine", "given"), [(1, "1GB"), (8, "2GB"), (12, "3GB"), (64, "4GB")])
def test_a_statement_gets_a_fair_share_of_the_machine(machine: int, given: str) -> None:
    assert fair_memory(machine * 1024**3) == given


def test_no_database_yet(tmp_path: Path) -> None:
    result = run(tmp_path, "SELECT 1")
    assert result.exit_code == 3
    assert "start the bot first" in result.stderr
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NoDatabase):
        connect(tmp_path)
    with pytest.raises(NoDatabase, match=r"narrow\.duckdb; is that its name\? .*backtest list"):
        connect(tmp_path / "narrow.duckdb")


def test_a_file_that_stays_locked_is_a_timeout(data_dir: Path) -> None:
    holder = hold(data_dir, "rw")
    try:
        result = run(data_dir, "--wait", "0.1", "SELECT 1")
        assert result.exit_code == 5
        assert f"(pid {holder.pid})" in result.stderr
        with pytest.raises(DatabaseLocked):
            connect(data_dir, timeout_s=0)
    finally:
        holder.kill()
        holder.wait()
    assert run(data_dir, "SELECT 1").exit_code == 0


@pytest.mark.parametrize("age_s", [0, 3600])
def test_a_file_that_a_killed_writer_left_unfinished_is_no_damage(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: int
) -> None:
    """Readers met "Could not read enough bytes" right after a `kill -9`, and were told to rebuild the database."""
    path = database_path(tmp_path)
    whole = database_path(data_dir).read_bytes()
    path.write_bytes(whole[:20_000])
    os.utime(path, times=(time.time() - age_s,) * 2)
    rests: list[float] = []

    def next_writer_comes(seconds: float) -> None:
        rests.append(seconds)
        path.write_bytes(whole)

    monkeypatch.setattr("gridbot.store.reading.time.sleep", next_writer_comes)
    if age_s:
        with pytest.raises(DatabaseDamaged, match="gridbot-supervisor rebuild"):
            connect(tmp_path)
        assert rests == []
        return
    with connect(tmp_path) as con:
        assert con.execute("SELECT count(*) FROM fills").fetchone() == (100,)
    assert len(rests) == 1


@pytest.mark.parametrize("words", [["sql", "SELECT count(*) FROM fills"], ["fills", "-n", "1"]])
def test_blocks_that_a_killed_writer_left_half_written_are_read_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """They are met when a statement reads them, not when the file is opened."""
    os.utime(database_path(data_dir))
    fails = [1, 1]

    def interrupted(connection: object, work: Callable[[], object], *, until: float) -> object:
        if fails:
            fails.pop()
            raise duckdb.IOException(
                "IO Error: Could not read enough bytes from file x: attempted to read 262144 bytes"
            )
        return call(connection, work, until=until)  # type: ignore[arg-type]

    monkeypatch.setattr("supervisor.store.query.call", interrupted)
    result = CliRunner().invoke(cli, [*words, "--data-dir", str(data_dir)])
    assert (result.exit_code, fails) == (0, [])
    fails += [1]
    os.utime(database_path(data_dir), times=(0, 0))
    late = CliRunner().invoke(cli, [*words, "--data-dir", str(data_dir)])
    assert "rebuild" in f"{late.output}{late.exception}", "it is old: that is damage"


def test_a_connection_from_python_is_read_only(data_dir: Path) -> None:
    with connect(data_dir) as con:
        assert con.execute("SELECT count(*) FROM fills").fetchone() == (100,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            con.execute("DELETE FROM execution_rows_stored")
    with connect(database_path(data_dir)) as con:
        assert con.execute("SELECT 1").fetchone() == (1,)


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    database_path(tmp_path).write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseDamaged, match="cannot be opened"):
        connect(tmp_path)
    result = run(tmp_path, "SELECT 1")
    assert result.exit_code == 1
    assert f"gridbot-supervisor rebuild --data-dir {tmp_path} makes" in result.stderr


def test_another_file_that_is_damaged_is_not_made_again_from_journals(tmp_path):
    """Only the bot's own database has them; results of a backtest are made by a backtest."""
    path = tmp_path / "backtests" / "a.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"half of a file")
    with pytest.raises(DatabaseDamaged, match="run again what made it") as caught:
        connect(path)
    assert "journals" not in str(caught.value)


@case_table(
    ("name", "version", "said"),
    [
        ("gridbot", 2, "the file is brought to it when this version starts (gridbot-supervisor stop --data-dir "),
        ("gridbot", 99, "ask with the newer gridbot that made it"),
        ("narrow", 2, "run again what made it (a backtest, a comparison), or ask with the version that did"),
    ],
)
def test_what_a_file_of_another_version_has_not_is_explained_by_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, version: int, said: str
) -> None:
    """`pnl` on a file of schema 2 said "Catalog Error: Table with name corrected_executions does not exist!" alone."""
    file = tmp_path_factory.mktemp("data") / f"{name}.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(f"CREATE TABLE schema_versions AS SELECT {version} AS version, 'f' AS fingerprint, 1 AS applied_at")
    result = run(file if name != "gridbot" else file.parent, "FROM corrected_executions")
    assert result.exit_code == 2
    wanted = f"; the file has schema version {version}, this gridbot reads version {SCHEMA_VERSION}: {said}"
    assert wanted in " ".join(result.stderr.split())


def test_a_file_of_this_version_explains_no_mistake(data_dir: Path) -> None:
    result = run(data_dir, "FROM corrected_exec")
    assert (result.exit_code, "schema version" in result.stderr) == (2, False)
