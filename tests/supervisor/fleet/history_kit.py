"""What the tests of a fleet's history share: writers of it by hand, and processes that kill themselves at a step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

import gridbot
from supervisor.fleet import history_writer
from supervisor.fleet.history_writer import HistoryWriter
from tests.fork_server import CONTEXT
from tests.supervisor.fleet.test_record_shipper import fleet_at

PASSES = "UPDATE gridbot.history_at SET at = at - interval '2 hours'"
"""Two hours go by: parts are due."""
ALL_IN_FILES = "SELECT bool_and(h.seq = s.seq) FROM gridbot.shipped AS s LEFT JOIN gridbot.history_at AS h USING (host)"
_MORE = """
    INSERT INTO gridbot.record (account, epoch, seq, origin, host, kind, at, exec_id, body)
    SELECT account, epoch, seq + %(by)s, origin, host, kind, at, 'e-' || (seq + %(by)s), jsonb_set(jsonb_set(
        body, '{seq}', to_jsonb(seq + %(by)s)), '{data}', body->'data' || jsonb_build_object(
            'exec_id', 'e-' || (seq + %(by)s), 'qty', ((seq + %(by)s) / 1000.0)::text))
    FROM gridbot.record WHERE seq <= 2
"""


def history_of(dsn: str, place: Path | str, host: str = "h1") -> HistoryWriter:
    """A writer whose turns are made by hand."""
    return HistoryWriter(fleet_at(dsn, host, history=str(place)))


def write_all(writer: HistoryWriter) -> None:
    """All that is there goes into files, whether it is due or not."""
    if writer._connection is not None:
        writer._connection.execute(PASSES)
    while writer.once():
        pass


def yesterday(dsn: str, where: str = "true", days: int = 1) -> None:
    """Have rows been recorded on an earlier day."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            f"UPDATE gridbot.record SET at = at - interval '{days} days',"
            f" arrived = arrived - interval '{days} days', body = jsonb_set(body, '{{local_ts}}',"
            f" to_jsonb((body->>'local_ts')::bigint - {days * 86_400_000_000})) WHERE {where}".encode()
        )


def shown(dsn: str, statement: str, **options: Any) -> list[tuple[Any, ...]]:
    """The answer of the fleet's records."""
    with gridbot.connect(fleet=dsn, locked=True, **options) as con:
        return con.execute(statement).fetchall()


def ids(dsn: str, **options: Any) -> list[str]:
    """The executions, each as often as it is there."""
    return [each for (each,) in shown(dsn, "SELECT exec_id FROM executions ORDER BY qty", **options)]


def more_rows(connection: psycopg.Connection[Any], last: int) -> int:
    """Two more executions are shipped, one of an earlier day; the number of the last."""
    with connection.transaction():
        connection.execute(_MORE, {"by": last})
        connection.execute(
            "UPDATE gridbot.record SET at = at - interval '1 day', body = jsonb_set(body, '{local_ts}',"
            " to_jsonb((body->>'local_ts')::bigint - 86400000000)) WHERE seq = %s",
            (last + 2,),
        )
        connection.execute("UPDATE gridbot.shipped SET seq = %s", (last + 2,))
    return last + 2


def numbers_shown(connection: psycopg.Connection[Any], con: duckdb.DuckDBPyConnection, place: Path) -> list[int]:
    """The numbers of all records by what a reader goes by: files that count, and rows above the position."""
    live = connection.execute(
        "SELECT r.seq FROM gridbot.record AS r LEFT JOIN gridbot.history_at AS h USING (host, account)"
        " WHERE r.seq > coalesce(h.seq, 0)"
    ).fetchall()
    there = connection.execute(
        "SELECT path FROM gridbot.history_file WHERE state = 'there' AND kind = 'executions'"
    ).fetchall()
    found = []
    if there:
        names = [str(place / path) for (path,) in there]
        found = con.execute(f"SELECT seq FROM read_parquet({names!r})").fetchall()
    return sorted(seq for (seq,) in [*live, *found])


def files_of(place: Path) -> list[Path]:
    """Everything below a directory but its mark."""
    return sorted(path for path in place.rglob("*") if path.is_file() and path.suffix != ".json")


class Killed(BaseException):
    """The process is gone: nothing of it does anything any more."""


def killed_at(step: int, dsn: str, place: Path, *, real: bool) -> bool:
    """Whether who writes the history, and takes care of it, was killed at this step, and not done before.

    `real`: a process, by SIGKILL; else in this one, where nothing that it would do afterwards is done.
    """
    if not real:
        with pytest.MonkeyPatch.context() as patch:
            return _until(step, dsn, str(place), patch, _gone)
    process = CONTEXT.Process(target=_process_until, args=(step, dsn, str(place)))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _gone() -> None:
    raise Killed


def _process_until(step: int, dsn: str, place: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _until(step, dsn, place, patch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    os._exit(0)


def _until(step: int, dsn: str, place: str, patch: pytest.MonkeyPatch, killed: Callable[[], None]) -> bool:
    """Steps are the statements of PostgreSQL, and what is done to files; of a rename both sides."""
    done = 0

    def counted(owner: Any, name: str) -> None:
        call = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done >= step:
                killed()
            return call(*args, **kwargs)

        patch.setattr(owner, name, counting)

    patch.setattr(history_writer, "WRITING_S", -1.0)
    patch.setattr(history_writer, "GONE_S", -1.0)
    writer = history_of(dsn, place)
    for owner, name in (
        (psycopg.Connection, "execute"), (psycopg.Connection, "commit"), (os, "replace"), (os, "fsync"),
        (Path, "unlink"),
    ):  # fmt: skip
        counted(owner, name)
    try:
        write_all(writer)
        while writer.care():
            pass
    except Killed:
        return True
    finally:
        if writer._connection is not None:
            writer._connection.pgconn.finish()  # the server undoes what was not committed
    return False


def expected(last: int) -> list[str]:
    return [f"e-{number}" for number in range(1, last + 1)]
