"""`sql` as an operator meets it: Ctrl-C, answers larger than memory, any time zone."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import orjson
import pytest
from click.testing import CliRunner, Result

from gridbot.store.reading import connect
from supervisor.cli.answer_output import rendered
from supervisor.cli.sql import sql
from supervisor.exit_codes import ExitCode
from supervisor.store import query
from supervisor.store.interruptible import Late, call, memory_bound
from supervisor.store.query import Limits, Query, SqlFailed
from tests.store.session import make_session

ROOT = Path(__file__).resolve().parents[3]
AGGREGATE = "SELECT count(*) FROM range(100000000) a, range(1000) b"
"""DuckDB does not look for a signal before the end of it."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    make_session(directory)
    return directory


def run(data_dir: Path, *args: str) -> Result:
    return CliRunner().invoke(sql, ["--data-dir", str(data_dir), *args])


def test_ctrl_c_ends_it_with_130_and_one_line(data_dir: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor", "sql", "--timeout", "50", "--data-dir", str(data_dir), AGGREGATE],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        stat = Path(f"/proc/{process.pid}/task")
        while len(list(stat.iterdir())) < 3:  # the thread of the statement
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (ExitCode.FORCED, "", "gridbot-supervisor: interrupted\n")


def test_an_interrupt_stops_the_statement_itself(data_dir: Path) -> None:
    """In this process: whoever waits gets KeyboardInterrupt, and DuckDB is free again."""
    with connect(data_dir) as con:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call(con, lambda: con.execute(AGGREGATE).fetchall(), until=time.monotonic() + 60)
        assert con.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(Late):
            call(con, lambda: con.execute(AGGREGATE).fetchall(), until=time.monotonic() + 0.1)
        assert con.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_that_does_not_stop_is_late_all_the_same(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB refused to close the connection under it: that was the error (1), also after Ctrl-C."""
    own = shutil.copy(data_dir / "gridbot.duckdb", tmp_path)  # it is held until the statement ends by itself
    monkeypatch.setattr("supervisor.store.interruptible._stop", lambda *_: None)
    with pytest.raises(SqlFailed, match="not done after") as failed:
        Query(Path(own), Limits(timeout_s=0.2)).ask("SELECT count(*) FROM range(2000000) a, range(40000) b")
    assert failed.value.exit_code == ExitCode.TIMEOUT


def test_rows_come_in_batches_and_a_reader_that_stops_ends_the_statement(data_dir: Path) -> None:
    with Query(data_dir, Limits(timeout_s=20)).rows("SELECT * FROM range(5000000000)") as rows:
        taken = [len(next(rows.batches)) for _ in range(10)]
    assert taken == [1, 4, 16, 64, 256, 1000, 1000, 1000, 1000, 1000]


def test_long_rows_come_a_few_at_a_time(data_dir: Path) -> None:
    with Query(data_dir, Limits()).rows("SELECT repeat('x', 1000000) FROM range(30)") as rows:
        assert [len(batch) for batch in rows.batches] == [1, 4, 4, 4, 4, 4, 4, 4, 1]


def test_a_value_larger_than_memory_is_one_line(data_dir: Path) -> None:
    """DuckDB does not count what it has handed over: a list of 20 million numbers took 1 GB with a limit of 100 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = run(data_dir, "--memory", "100MB", "SELECT range(20000000)")
    assert (result.exit_code, result.stdout) == (ExitCode.UNEXPECTED, "")
    assert "needs more than 100MB of memory and " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000, "kB"


def test_what_a_statement_may_write_to_disk_is_bounded(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB itself would fill nine tenths of what is free; the journals of the bot beside it want the same disk."""
    setting = "SELECT current_setting('max_temp_directory_size') AS it"
    free = shutil.disk_usage(data_dir).free
    most = min(10_000_000_000, free // 4)
    given = run(data_dir, "--format", "csv", setting).stdout.split()[1:]
    assert float(given[0]) * 1024 ** ("KiB", "MiB", "GiB").index(given[1]) * 1024 == pytest.approx(most, rel=0.1)
    monkeypatch.setattr(query, "SPILL_BYTES", 1_048_576)
    assert run(data_dir, "--format", "csv", setting).stdout == "it\n1.0 MiB\n"


NUMBER = 2**127 - 1


@pytest.mark.parametrize(
    ("value", "as_json", "as_cell"),
    [
        (f"{NUMBER}::HUGEINT", f'"{NUMBER}"', f"{NUMBER}"),
        (f"[{NUMBER}::HUGEINT, 1]", f'["{NUMBER}",1]', f'"[""{NUMBER}"",1]"'),
        ("MAP {1: 2, 3: 4}", '{"1":2,"3":4}', '"{""1"":2,""3"":4}"'),
        ("MAP {DATE '2026-01-02': 1}", '{"2026-01-02":1}', '"{""2026-01-02"":1}"'),
        ("MAP {1.50::DECIMAL(4,2): 1}", '{"1.5":1}', '"{""1.5"":1}"'),
        ("MAP {[1]: 2}", '{"key":[[1]],"value":[2]}', '"{""key"":[[1]],""value"":[2]}"'),
        ("{'a': [MAP {'x': 1.5::DECIMAL(4,2)}]}", '{"a":[{"x":"1.5"}]}', '"{""a"":[{""x"":""1.5""}]}"'),
        (r"'\x01\xFF'::BLOB", '"01ff"', "01ff"),
    ],
)
def test_values_of_every_type_are_text_that_can_be_read_back(
    data_dir: Path, value: str, as_json: str, as_cell: str
) -> None:
    """A number of 128 bits in a list ended `sql` with a TypeError; tables showed Python's own spelling of lists."""
    found = run(data_dir, "--format", "json", f"SELECT {value} AS it")
    assert orjson.loads(found.stdout) == [{"it": orjson.loads(as_json)}]
    assert run(data_dir, "--format", "csv", f"SELECT {value} AS it").stdout == f"it\n{as_cell}\n"


def test_a_locked_connection_opens_no_other_file(data_dir: Path, tmp_path: Path) -> None:
    """The other one does: only the records are safe from what is asked there."""
    copy = f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'"
    with connect(data_dir, locked=True) as con:
        for statement in (copy, "FROM read_text('/etc/hostname')", "SET enable_external_access = true"):
            with pytest.raises(duckdb.Error):
                con.cursor().execute(statement)
    assert not (tmp_path / "out.csv").exists()
    with connect(data_dir) as con:
        con.execute(copy)
    assert (tmp_path / "out.csv").exists()


def test_the_bound_on_memory_is_gone_afterwards(data_dir: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_bound(1000):
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] != before[0]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_late_reader_is_told(data_dir: Path) -> None:
    late = Query(data_dir, Limits(timeout_s=0.2))
    with pytest.raises(SqlFailed, match="not done after") as failed, late.rows("FROM range(5000000000)") as rows:
        for _ in rows:
            pass
    assert failed.value.exit_code == ExitCode.TIMEOUT


def test_a_table_grows_wider_further_down_and_loses_nothing() -> None:
    batches = [[("a", 1)] * 1000, [("longer than before", 2)]]
    text = "".join(rendered(["name", "n"], batches, "table")).splitlines()
    assert text[0] == "name  n"
    assert text[1] == "a     1"
    assert text[-1] == "longer than before  2"


def test_json_of_no_rows_large_numbers_and_many_batches() -> None:
    assert "".join(rendered(["a"], [], "json")) == "[]\n"
    text = "".join(rendered(["a"], [[(2**70,)], [(None,)]], "json"))
    assert text == '[\n  {\n    "a": "1180591620717411303424"\n  },\n  {\n    "a": null\n  }\n]\n'


def test_a_terminal_is_safe_from_what_is_recorded() -> None:
    assert "".join(rendered(["a"], [[("\x1b[2Jx\ty",)]], "table")) == "a\n\\x1b[2Jx\\ty\n"


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_times_are_utc_wherever_the_machine_is(data_dir: Path, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        # 2026-11-01 06:00 UTC is when New York's clocks go back
        result = run(
            data_dir,
            "--format",
            "csv",
            """SELECT now() - (now() AT TIME ZONE 'UTC')::TIMESTAMPTZ AS none, to_timestamp(0) AS epoch,
            TIMESTAMP '2026-11-01 06:30:00' > TIMESTAMPTZ '2026-11-01 06:00:00+00' - INTERVAL 1 HOUR AS recent,
            TIMESTAMP '2026-11-01 05:30:00' > TIMESTAMPTZ '2026-11-01 06:00:00+00' - INTERVAL 1 HOUR AS edge,
            TIMESTAMP '2026-01-01' AT TIME ZONE 'Asia/Kolkata' AS there, current_date = now()::DATE AS today""",
        )
        assert result.stdout.splitlines()[1] == (
            "0:00:00,1970-01-01 00:00:00.000+00:00,true,true,2025-12-31 18:30:00.000+00:00,true"
        ), result.stderr
        with connect(data_dir) as con:
            for each in (con, con.cursor()):
                [(moment,)] = each.execute("SELECT now()").fetchall()
                assert moment.utcoffset().total_seconds() == 0
    finally:
        monkeypatch.undo()
        time.tzset()
