"""The file of a run: a copy of an empty one that is kept, as if it had been made anew."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.backtest import run_file
from gridbot.backtest.run_file import RunFile, file_of, new_name, summaries
from gridbot.backtest.run_sums import RunSums
from gridbot.lock_file import Locked
from gridbot.records import codec
from gridbot.store.bulk import append
from tests.store.kit import execution

BEGIN = datetime(2026, 1, 5)  # noqa: DTZ001 - naive UTC, as the database has it
EVERYTHING = """
    SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal
    UNION ALL SELECT view_name, sql, '', comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL"""


def made(path: Path, empties: Path) -> list[Any]:
    RunFile(path, empties).close()
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM backtests").fetchall() == [(0,)]
        return con.execute(EVERYTHING).fetchall()


def test_the_copy_is_like_the_first(tmp_path: Path) -> None:
    first = made(tmp_path / "one.duckdb", tmp_path / "kept")
    [empty] = (tmp_path / "kept").iterdir()
    assert any(name == "executions" for name, *_ in first)
    assert made(tmp_path / "two.duckdb", tmp_path / "kept") == first
    assert [empty] == list((tmp_path / "kept").iterdir())


def test_other_tables_make_another_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(tmp_path / "one.duckdb", tmp_path)
    monkeypatch.setattr(run_file, "COLUMNS", run_file.COLUMNS | {"more": ("BIGINT", "Another column.")})
    second = made(tmp_path / "one.duckdb", tmp_path)
    assert set(second) - set(first) == {("backtests", "more", "BIGINT", "Another column.")}
    assert len(list(tmp_path.glob(".empty-*"))) == 1


def test_the_log_of_a_killed_run_does_not_go_into_the_next(tmp_path: Path) -> None:
    path = tmp_path / "one.duckdb"
    first = made(path, tmp_path)
    log = path.with_name(path.name + ".wal")
    log.write_bytes(b"left over")
    assert made(path, tmp_path) == first
    assert not log.exists()


def test_runs_of_one_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    """A sweep of settings starts many at once; the second removed the file of the first."""
    now = datetime(2026, 1, 5, 10, 0, 0)  # noqa: DTZ001 - naive UTC, as the database has it
    first = new_name(tmp_path, now)
    assert first == f"20260105-100000-{os.getpid()}"
    RunFile(file_of(tmp_path, first), tmp_path).close()
    assert new_name(tmp_path, now) == f"{first}-2"
    [broken_off] = summaries(tmp_path)
    assert (broken_off["name"], "broken off at its start" in broken_off["error"]) == (first, True), "it was not listed"


def test_a_name_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    """The second removed the file that the first was writing."""
    path = file_of(tmp_path, "mine")
    first = RunFile(path, tmp_path)
    with pytest.raises(Locked, match=str(os.getpid())):
        RunFile(path, tmp_path)
    first.close()
    RunFile(path, tmp_path).close()
    assert [left.name for left in path.parent.iterdir()] == ["mine.duckdb"]


def test_what_was_killed_is_listed_with_what_it_had_recorded(tmp_path: Path) -> None:
    """It said 0 fills, and had the name of the file that it was copied from."""
    path = file_of(tmp_path, "mine")
    file = RunFile(path, tmp_path)
    file.describe(
        dict.fromkeys(run_file.COLUMNS, 0)
        | {"name": "another", "accounts": ["alice"], "config": {}, "options": {}, "market": {}, "warnings": []}
        | {"from_ts": BEGIN, "to_ts": BEGIN, "made_at": BEGIN, "finished": False}
    )
    with pytest.raises(duckdb.Error):
        file.describe({"name": None})
    with duckdb.connect(str(path)) as con:
        for number, kind in enumerate(("Trade", "Funding", "Trade")):
            at_us = int(BEGIN.replace(hour=number, tzinfo=UTC).timestamp()) * 1_000_000
            append(con, "executions", [codec.body_of("alice", "r", number, at_us, execution(number, exec_type=kind))])
    for process in (str(os.getpid()), ""):
        [row] = summaries(tmp_path)
        assert (row["name"], row["fills"], row["to_ts"].hour, row["process"]) == ("mine", 2, 2, process)
        if process:
            file.close()
    with duckdb.connect(str(path)) as con:  # as a version that calls it something else; all others were not listed
        con.execute("ALTER TABLE backtests RENAME finished TO done")
    [row] = summaries(tmp_path)
    assert (row["name"], "nothing that it can read in finished (made by gridbot 0)" in row["error"]) == ("mine", True)


def test_what_is_told_again_and_again_is_one_warning() -> None:
    """A hundred lines that prices are missing had left no room for the liquidation."""
    sums = RunSums()
    for minute in range(1000):
        sums.told("alice", minute * 60_000_000, "btc", f"BTCUSDT: no price for {30 + minute} s")
    sums.told("alice", 0, "", "liquidated 2 times")
    sums.warn("BTCUSDT: no mark prices")
    assert sums.warnings == [
        "BTCUSDT: no mark prices",
        "1970-01-01 00:00 btc: BTCUSDT: no price for 30 s (1,000 times until 1970-01-01 16:39)",
        "1970-01-01 00:00 alice: liquidated 2 times",
    ]
