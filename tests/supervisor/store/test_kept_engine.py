"""One engine for all questions of a command: nothing of one reaches the next, and the file is free in between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from supervisor.store import kept_engine, writers_turn
from supervisor.store.kept_engine import Opened, close_idle, opened
from supervisor.store.query import Limits, Query, SqlFailed, ask, ask_all

SETTINGS = {"memory_limit": "200MB", "threads": "1"}


@pytest.fixture(autouse=True)
def _no_engine_of_other_tests() -> Iterator[None]:
    close_idle()
    yield
    close_idle()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file whose views read what they should not, as one of a stranger may."""
    path = tmp_path / "some.duckdb"
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE numbers AS SELECT 1 AS a")
        con.execute(f"CREATE VIEW elsewhere AS FROM read_csv('{tmp_path / 'secret.csv'}')")
        con.execute("CREATE VIEW same AS FROM numbers")
    return path


def engines() -> list[duckdb.DuckDBPyConnection]:
    return [engine for _, engine in kept_engine._idle._engines]


def opening(file: Path) -> Opened:
    with opened(file, SETTINGS, wait_s=0) as found:
        return found


def test_a_running_writer_has_its_turn_between_long_questions(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []

    def writes(seconds: float) -> None:
        with duckdb.connect(str(file)) as con:
            turns.append(con.execute("UPDATE numbers SET a = a + 1").fetchall())

    monkeypatch.setattr("supervisor.store.writers_turn.time.sleep", writes)
    monkeypatch.setattr(writers_turn, "REST_S", 3600.0)
    assert [ask(file, "FROM same").rows for _ in range(2)] == [[(1,)]] * 2
    monkeypatch.setattr(kept_engine, "HELD_S", 0.0)
    kept_engine._turns.clear()
    assert [ask(file, "FROM same").rows for _ in range(3)] == [[(1,)], [(2,)], [(3,)]]
    assert len(turns) == 2


def test_questions_share_an_engine_and_the_file_is_free_between_them(file: Path) -> None:
    assert ask(file, "FROM same").rows == [(1,)]
    [engine] = engines()
    with duckdb.connect(str(file)) as writer:
        writer.execute("INSERT INTO numbers VALUES (2)")
        writer.execute("PRAGMA disable_checkpoint_on_shutdown")
    assert file.with_name("some.duckdb.wal").exists(), "rows that are in the log alone count"
    assert [answer.rows for answer in ask_all(file, ["FROM same ORDER BY a", "FROM numbers ORDER BY a"])] == [
        [(1,), (2,)]
    ] * 2
    other = shutil.copy(file, file.with_name("other.duckdb"))
    with duckdb.connect(str(other)) as writer:
        writer.execute("DROP VIEW same; CREATE VIEW same AS SELECT 7 AS a")
    Path(other).replace(file)  # as `vacuum` does
    file.with_name("some.duckdb.wal").unlink()
    assert ask(file, "FROM same").rows == [(7,)]
    assert engines() == [engine]
    with opened(file, SETTINGS, wait_s=0), pytest.raises(duckdb.Error, match=r"lock|same file|already"):
        duckdb.connect(str(file))


def test_nothing_of_a_question_reaches_the_next(file: Path) -> None:
    with opened(file, SETTINGS, wait_s=0) as first:
        first.connection.execute("CREATE TEMP TABLE left_over AS SELECT 1 AS a")
        first.connection.execute("SET VARIABLE left_over = 1")
        first.connection.execute("PREPARE left_over AS SELECT 1")
        first.connection.execute("USE memory")
    with opened(file, SETTINGS, wait_s=0) as second:
        assert second.engine is first.engine
        for statement in ("FROM left_over", "EXECUTE left_over"):
            with pytest.raises(duckdb.Error, match=r"does not exist|not found"):
                second.connection.execute(statement)
        assert second.connection.execute("SELECT getvariable('left_over')").fetchall() == [(None,)]
        assert second.connection.execute("FROM numbers").fetchall() == [(1,)]
        assert second.connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


@pytest.mark.parametrize(
    "statement",
    [
        "FROM elsewhere",
        "FROM read_csv('{beside}/secret.csv')",
        "COPY numbers TO '{beside}/out.csv'",
        "ATTACH '{beside}/other.duckdb'",
        "INSERT INTO numbers VALUES (3)",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{beside}/secret.csv']",
        "SET GLOBAL memory_limit = '10GB'",
        "SET lock_configuration = false",
    ],
)
def test_it_reaches_nothing_else(file: Path, statement: str) -> None:
    for _ in range(2):  # with a new engine, and with one that is kept
        refused = pytest.raises(duckdb.Error, match=r"disabled|read-only|locked")
        with opened(file, SETTINGS, wait_s=0) as found, refused:
            found.connection.execute(statement.format(beside=file.parent))
    assert sorted(each.name for each in file.parent.iterdir()) == ["secret.csv", "some.duckdb"]


def test_an_engine_in_which_something_failed_is_not_used_again(file: Path) -> None:
    first = opening(file)
    with pytest.raises(SqlFailed, match="does not exist"):
        ask(file, "FROM nothing")
    opening(file)
    with pytest.raises(duckdb.Error), opened(file, SETTINGS, wait_s=0) as second:
        second.connection.execute("FROM nothing")
    assert engines() == []
    with pytest.raises(duckdb.Error, match="closed"):
        first.engine.execute("SELECT 1")
    assert opening(file).engine is not first.engine
    duckdb.connect(str(file)).close()


def test_other_limits_and_other_files_have_engines_of_their_own(file: Path) -> None:
    ask(file, "FROM numbers")
    asked = "SELECT current_setting('threads')"
    assert ask(file, asked, Limits(threads=1)).rows == [(1,)]
    assert ask(file, asked, Limits(threads=2)).rows == [(2,)]
    other = Path(shutil.copy(file, file.with_name("other.duckdb")))
    ask(other, "FROM numbers")
    assert len(engines()) == kept_engine.IDLE
    with pytest.raises(duckdb.Error, match="disabled by configuration"), opened(other, SETTINGS, wait_s=0) as found:
        found.connection.execute(f"ATTACH '{file}' (READ_ONLY)")


def test_what_a_user_wrote_has_an_engine_of_its_own(file: Path) -> None:
    ask(file, "FROM numbers")
    with Query(file, Limits()).rows("SELECT getvariable('x'), a FROM numbers") as rows:
        assert list(rows) == [(None, 1)]
        assert len(engines()) == 1
    assert len(engines()) == 1


def test_a_fork_finds_no_engine_whose_threads_stayed_behind(file: Path) -> None:
    first = opening(file)
    if (child := os.fork()) == 0:
        os._exit(0 if engines() == [] and ask(file, "FROM numbers").rows == [(1,)] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert engines() == []
    assert opening(file).engine is not first.engine
