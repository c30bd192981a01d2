"""The file of a run: a copy of an empty one that is kept, as if it had been made anew."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.backtest import run_file
from gridbot.backtest.run_file import RunFile, file_of, new_name

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
