"""Ctrl-C in a run ends it where its records are whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.backtest import run, run_file
from gridbot.backtest.held_interrupt import held_interrupt
from gridbot.backtest.record_columns import KeptRecords, PackedRecords, put_records
from gridbot.backtest.run_days import DaysInMemory
from gridbot.backtest.run_file import RunFile
from gridbot.records.columns import RECORD_TYPES
from tests.backtest.backtest_examples import DAY, config_of, day_of
from tests.store.kit import execution


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_kept_until_somebody_looks_and_the_second_is_not() -> None:
    with held_interrupt() as look:
        look()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            look()
        look()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_decides_about_it_already_goes_on_doing_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_interrupt() as look:
        signal.raise_signal(signal.SIGINT)
        look()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_no_record_is_missing_before_one_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while thousands were put lost these, and what came after them was kept."""

    def put_slowly(con: duckdb.DuckDBPyConnection, records: PackedRecords) -> None:
        signal.raise_signal(signal.SIGINT)
        put_records(con, records)

    monkeypatch.setattr(run_file, "PUT_TOGETHER", 1)
    monkeypatch.setattr(run_file, "put_records", put_slowly)
    monkeypatch.setattr("gridbot.backtest.run_records.AT_ONCE", 1)
    monkeypatch.setattr("gridbot.backtest.drive.LOOKS_BETWEEN", 8)
    days = DaysInMemory([day_of([50_000, 49_400, 50_100] * 20)])
    result = run(config_of(), days, from_=DAY, to=DAY, into=tmp_path / "run.duckdb")
    assert not result.summary["finished"]
    assert any(text.startswith("broken off at ") for text in result.summary["warnings"])
    assert result.sql("SELECT finished FROM backtests") == [(False,)]
    numbers: list[int] = []
    for table in RECORD_TYPES:
        numbers += [seq for (seq,) in result.sql(f"SELECT seq FROM {table}")]
    assert sorted(numbers) == [*range(1, len(numbers) + 1)]
    assert len(numbers) > 5
    result.close()


def test_at_the_very_end_it_leaves_nothing_but_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = RunFile.close

    def closed(file: RunFile) -> None:
        signal.raise_signal(signal.SIGINT)
        close(file)

    monkeypatch.setattr(RunFile, "close", closed)
    result = run(config_of(), DaysInMemory([day_of([50_000] * 3)]), from_=DAY, to=DAY, into=tmp_path / "run.duckdb")
    assert result.summary["finished"]
    assert [path.name for path in tmp_path.iterdir()] == ["run.duckdb"]


@pytest.mark.parametrize("is_committed", [False, True])
def test_what_could_not_be_put_is_put_with_what_comes_next_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    file = RunFile(tmp_path / "run.duckdb", tmp_path)
    monkeypatch.setattr(run_file, "PUT_TOGETHER", 1)

    def records(seq: int) -> KeptRecords:
        return KeptRecords("alice", "r", seq, {"executions": [(seq, 1000 + seq, execution(seq))]})

    def fails(con: duckdb.DuckDBPyConnection, packed: Any) -> None:
        if is_committed:
            put_records(con, packed)
        raise duckdb.IOException("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_file, "put_records", fails)
        with pytest.raises(duckdb.IOException):
            file.put(records(1))
    file.put(records(2))
    file.close()
    with duckdb.connect(str(file.path), read_only=True) as con:
        assert con.execute("SELECT seq FROM executions ORDER BY seq").fetchall() == [(1,), (2,)]
