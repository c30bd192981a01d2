"""What the records of a fleet cost: shipping them, reading them as live rows, as files, and making those files.

One host ships executions as its writer does; then PostgreSQL makes as many rows of them as are wanted, over several
days. Figures are CPU time of this process, by row where that says more; the server's is its own. One thread of DuckDB.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg
from pydantic import SecretStr

import gridbot
from benchmarks.parts.fleet_database import own_server, sample
from benchmarks.parts.store_setup import execution
from gridbot.config.fleet_models import FleetConfig
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.recorder import Recorder
from gridbot.system_ports import SystemClock
from supervisor.fleet.history_writer import HistoryWriter
from supervisor.fleet.record_shipper import RecordShipper
from supervisor.store.writer import Writer, WriterSpec

__all__ = ["records_of"]

Json = dict[str, Any]
SHIPPED: Final = 20_000
A_SECOND: Final = 150
"""Rows of one look while a host trades: about what the demo's host has in a second."""
LOOKS: Final = 20
DAYS: Final = 10
_MORE: Final = """
    INSERT INTO gridbot.record (account, epoch, seq, origin, host, kind, at, exec_id, body)
    SELECT account, epoch, n, origin, host, kind, at - n %% %(days)s * interval '1 day',
        'e-' || n, body || jsonb_build_object(
        'seq', n, 'local_ts', (body->>'local_ts')::bigint - n %% %(days)s * 86400000000,
        'data', body->'data' || jsonb_build_object('exec_id', 'e-' || n))
    FROM gridbot.record CROSS JOIN LATERAL generate_series(seq + %(there)s, %(rows)s, %(there)s) AS n
"""
QUERIES: Final = {
    "count and fees of all": "SELECT count(*), sum(fee) FROM fills",
    "pnl_daily": "FROM pnl_daily",
    "the last 20 fills": "FROM fills ORDER BY seq DESC LIMIT 20",
}


def records_of(place: Path, rows: int) -> Json:
    """The figures for so many live rows, 7,000 or more. Raises ServerNotStarted, psycopg.Error."""
    with own_server(20) as server:
        dsn = server.dsn()
        before = sample(server)
        result: Json = {"rows": rows, "shipping": _shipping(place, dsn, min(rows // 2, SHIPPED))}
        after = sample(server)
        shipped = result["shipping"]["rows"]
        result["shipping"]["database_us_a_row"] = _us(after.cpu_s - before.cpu_s, shipped)
        result["shipping"]["log_bytes_a_row"] = round((after.log_bytes - before.log_bytes) / shipped)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(_MORE, {"there": shipped, "rows": rows, "days": DAYS})
            connection.execute("UPDATE gridbot.shipped SET seq = %s", (rows,))
        cost, con = _cpu(lambda: gridbot.connect(fleet=dsn, history=False))
        con.close()
        result["live"] = {"connect_us_a_row": _us(cost, rows), "peak_mb": _peak_mb()}
        result["files"] = _files(place / "history", dsn, rows)
    return result


def _shipping(place: Path, dsn: str, rows: int) -> Json:
    data_dir = place / "h1"
    data_dir.mkdir()
    journal = Journal(journal_directory(data_dir, "a00"), "a00", "process")
    recorder = Recorder("a00", "run", journal, clock=SystemClock())
    writer = Writer(WriterSpec(data_dir, ("a00",)), {})
    shipper = RecordShipper(writer.database, _fleet(dsn), lambda: writer.state.committed)
    ship_s = look_s = 0.0
    try:
        for number in range(1, rows + 1):
            recorder.record(execution(number))
            if number <= LOOKS * A_SECOND and number % A_SECOND == 0:
                _written(recorder, writer)
                look_s += _cpu(lambda: _all_of(shipper.once))[0]
        _written(recorder, writer)
        ship_s = _cpu(lambda: _all_of(shipper.once))[0]
        idle_s = _cpu(lambda: [shipper.once() for _ in range(LOOKS)])[0]
    finally:
        shipper.close()
        writer.close()
        recorder.close()
    return {
        "rows": rows,
        "us_a_row": _us(ship_s, rows - LOOKS * A_SECOND),
        "ms_a_look": {
            f"of {A_SECOND} rows": round(1000 * look_s / LOOKS, 1),
            "of none": round(1000 * idle_s / LOOKS, 2),
        },
    }


def _written(recorder: Recorder, writer: Writer) -> None:
    recorder.flush()
    while writer.flush():
        pass


def _files(place: Path, dsn: str, rows: int) -> Json:
    place.mkdir()
    history = HistoryWriter(_fleet(dsn, history=str(place)))
    try:
        written_s, _ = _cpu(lambda: _all_of(history.once))
        there = list(place.rglob("*.parquet"))
        cost, con = _cpu(lambda: gridbot.connect(fleet=dsn))
        asked = {name: round(_cpu(lambda: con.execute(text).fetchall())[0], 3) for name, text in QUERIES.items()}  # noqa: B023
        con.close()
    finally:
        history.drop()
    return {
        "write_us_a_row": _us(written_s, rows),
        "files": len(there),
        "bytes_a_row": round(sum(path.stat().st_size for path in there) / rows, 1),
        "connect_s": round(cost, 2),
        "query_s": asked,
    }


def _fleet(dsn: str, **changes: Any) -> FleetConfig:
    return FleetConfig(name="scale", host="h1", dsn=SecretStr(dsn), **changes)


def _all_of(turn: Callable[[], bool]) -> None:
    while turn():
        pass


def _cpu(call: Callable[[], Any]) -> tuple[float, Any]:
    before = time.process_time()
    found = call()
    return time.process_time() - before, found


def _us(seconds: float, rows: int) -> float:
    return round(seconds * 1e6 / rows, 1)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
