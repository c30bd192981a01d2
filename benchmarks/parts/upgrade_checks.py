"""What must hold when this version has opened a data directory of an earlier one. Each check answers with findings."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks.parts.earlier_version import PAUSED, Left, asked
from benchmarks.parts.fleet import Fleet
from benchmarks.parts.fleet_books import doubled_executions, repeated_levels
from benchmarks.parts.own_supervisor import Status
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.reading import connect, database_path, names_in
from supervisor.store.query import Limits, ask

__all__ = [
    "became_of_orders",
    "exchange_lost",
    "grid_versions",
    "holds_lost",
    "levels_doubled",
    "new_alerts",
    "records_lost",
    "rows_lost",
]

PATIENT = Limits(wait_s=60.0)


def levels_doubled(fleet: Fleet, url: str) -> list[str]:
    """Levels at which two orders rest."""
    _, resting = asked(fleet.config, url)
    return [line for name, orders in resting.items() for line in repeated_levels(name, orders)]


def exchange_lost(left: Left, fleet: Fleet, url: str) -> list[str]:
    """Executions that the paper exchange had and has no more."""
    executions, _ = asked(fleet.config, url)
    return [
        f"{name}: the exchange has lost execution {lost}"
        for name, had in left.executions.items()
        for lost in {each.exec_id for each in had} - {each.exec_id for each in executions[name]}
    ]


def records_lost(left: Left, data_dir: Path) -> list[str]:
    """Executions and orders of the exchange that are not, or not as they were, in the records; or twice."""
    found = doubled_executions(data_dir)
    rows = ask(data_dir, "SELECT account, exec_id, price, qty, fee FROM executions WHERE NOT shadow", PATIENT).rows
    kept = {(account, exec_id): values for account, exec_id, *values in rows}
    for name, had in left.executions.items():
        for each in had:
            if kept.get((name, each.exec_id)) != [each.price, each.qty, each.fee]:
                found.append(f"{name}: execution {each.exec_id} is recorded as {kept.get((name, each.exec_id))}")
    known = set(ask(data_dir, "SELECT DISTINCT account, order_link_id FROM orders", PATIENT).rows)
    links = {(name, order.order_link_id) for name, orders in left.resting.items() for order in orders}
    return found + [f"{name}: order {link} is not in the records" for name, link in links - known]


def rows_lost(before: Path, data_dir: Path) -> list[str]:
    """Rows of the earlier version's database that are there no more, and numbers that no record has."""
    found = []
    with _opened(before) as old, connect(data_dir, timeout_s=PATIENT.wait_s) as new:
        for table in RECORD_TYPES.keys() & names_in(old):
            had, has = (_numbers(con, table) for con in (old, new))
            if lost := had - has:
                found.append(f"{table}: {sum(lost.values())} rows are lost, such as {next(iter(lost))}")
        for table in ("ingest_gaps", "ingest_rejects"):
            had, has = (_rows(con, f"SELECT * EXCLUDE (detected_at) FROM {table}") for con in (old, new))
            found += [f"{table}: {row}" for row in has - had]
    return found


def holds_lost(before: Path, status: Status) -> list[str]:
    """The paused strategy trades again, though the earlier version had kept its pause."""
    files = [path for path in (before / "state").glob("*/holds.json") if PAUSED in path.read_text(encoding="utf-8")]
    rows = [row for account in status["accounts"] for row in account["strategies"] if row["strat_id"] == PAUSED]
    return [f"{PAUSED} is {row['state']}, not paused" for row in rows if files and row["state"] != "paused"]


def became_of_orders(left: Left, data_dir: Path) -> dict[str, int]:
    """What has become of the orders that rested: how often each newest state is recorded, with its reason."""
    newest = "SELECT account, order_link_id, arg_max(state, seq), arg_max(reason, seq) FROM orders GROUP BY ALL"
    rows = {(account, link): what for account, link, *what in ask(data_dir, newest, PATIENT).rows}
    links = [(name, order.order_link_id) for name, orders in left.resting.items() for order in orders]
    return dict(Counter(" ".join(filter(None, rows.get(link, ["unknown"]))) for link in links))


def new_alerts(before: Path, data_dir: Path) -> list[str]:
    """What this version has alerted of since."""
    with _opened(before) as old, connect(data_dir, timeout_s=PATIENT.wait_s) as new:
        last = dict(old.execute("SELECT account, max(seq) FROM alerts GROUP BY 1").fetchall())
        rows = new.execute("SELECT account, seq, level, key, text FROM alerts ORDER BY account, seq").fetchall()
    return [f"{account} {level} {key}: {text}" for account, seq, level, key, text in rows if seq > last.get(account, 0)]


def grid_versions(data_dir: Path) -> dict[str, int]:
    """How often each grid has changed, by its file."""
    files = (data_dir / "state").glob("*/grids/*.grid.json")
    return {path.name: json.loads(path.read_bytes())["grid"]["version"] for path in files}


@contextlib.contextmanager
def _opened(before: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The copy of the earlier version's database: its log is folded in, so it is opened to be written."""
    with duckdb.connect(str(database_path(before))) as con:
        yield con


def _numbers(con: duckdb.DuckDBPyConnection, table: str) -> Counter[tuple[object, ...]]:
    return _rows(con, f"SELECT account, seq FROM {table}")


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> Counter[tuple[object, ...]]:
    return Counter(con.execute(statement).fetchall())
