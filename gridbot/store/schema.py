"""The database's tables, derived from the record types, and how an existing file is brought up to date.

Money is DECIMAL(38, 12), times are TIMESTAMP in UTC. There is no primary key on the record tables: uniqueness comes
from `ingest_offsets`, which changes in the same transaction as the rows. A record type that got a new field gets a
new nullable column; what needs more than that is in `migrations`.
"""

from __future__ import annotations

import contextlib
import hashlib
from datetime import UTC, datetime
from typing import Final

import duckdb

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.context_rows import take_over_rows
from gridbot.store.grid_marks import mark_all
from gridbot.store.grid_tables import (
    GRID_DOCS,
    GRID_TABLES,
    LANDED_PAIRS,
    LEVELS,
    OF_VERSION_7,
    PAIRS,
    TAILS,
    VIEWS_FROM_ROWS,
)
from gridbot.store.kept_ids import ODD, has_texts, kept_steps, kept_types
from gridbot.store.migrations import SCHEMA_VERSION, statements_from
from gridbot.store.newest_moves import make_newest, move_newest
from gridbot.store.rollups import REMOVED_SUMS, ROLLUPS, Rollup
from gridbot.store.row_contexts import (
    CONTEXT_DOCS,
    CONTEXT_TABLE,
    CONTEXTS,
    CONTEXTS_AGAIN,
    FOUND,
    ROWS,
    rows_of_version_9,
    tables_sql,
)
from gridbot.store.sql_columns import LANDED, OFFSETS, as_stored, quote, sql_type, table_columns
from gridbot.store.stored_views import PLAIN_VIEWS, STORED_VIEWS
from gridbot.store.view_type import View
from gridbot.store.views import VIEWS
from gridbot.version import __version__

__all__ = [
    "BLOCK_BYTES",
    "GROUP_ROWS",
    "NEW_FILE",
    "PARSED_VIEWS",
    "SCHEMA_VERSION",
    "STORAGE_VERSION",
    "SchemaTooNew",
    "applied",
    "ensure_schema",
    "forget_fingerprint",
    "quote",
    "require_known",
    "sql_type",
    "table_columns",
]

STORAGE_VERSION: Final = "v1.4.0"
GROUP_ROWS: Final = 49_152
"""Rows of a table that are written together. A question for the newest works out all columns of a whole such group, of
DuckDB's own 122,880 rows 21 ms more. Kept by each ATTACH, not by the file."""
BLOCK_BYTES: Final = 128 * 1024
"""Bytes of a block of a new file, half of DuckDB's own: less is left empty behind each group. Ids of 8,191 rows fill
one. A file keeps what it was made with."""
NEW_FILE: Final = f"(STORAGE_VERSION {quote(STORAGE_VERSION)}, BLOCK_SIZE {BLOCK_BYTES}, ROW_GROUP_SIZE {GROUP_ROWS})"
"""Options of the ATTACH that makes a file."""
LONG_VIEW: Final = 250
"""Characters from which a view is kept as a text in the file."""
PARSED_VIEWS: Final = frozenset(
    ("grid_pairs_landed", "grid_trades", "executions", "corrections", "corrected_executions", "fills")
)
"""Long views that the file has parsed. As texts those of pairs cost each question for pairs 12 ms more, and each flush
of the writer 1.5 ms less; those of fills a question for fills 4 to 5 ms more, and a flush 0.4 ms less."""
EVERY_VIEW: Final = (*STORED_VIEWS, LANDED_PAIRS, *VIEWS)
_INSTEAD: Final = {view.name: view for view in (*PLAIN_VIEWS, *VIEWS_FROM_ROWS)}
VIEWS_OF_ROWS: Final = (
    *(_INSTEAD.get(view.name, view) for view in EVERY_VIEW),
    *(view for view in VIEWS_FROM_ROWS if view.name not in {each.name for each in EVERY_VIEW}),
)

_INTERNAL_TABLES: Final = {
    "schema_versions": """
        CREATE TABLE IF NOT EXISTS schema_versions (
            version INTEGER NOT NULL, fingerprint VARCHAR NOT NULL, gridbot VARCHAR NOT NULL,
            applied_at TIMESTAMP NOT NULL)""",
    as_stored(OFFSETS): f"""
        CREATE TABLE IF NOT EXISTS {as_stored(OFFSETS)} (
            account VARCHAR PRIMARY KEY, seq BIGINT NOT NULL, updated_at TIMESTAMP NOT NULL)""",
    LANDED: f"""
        CREATE TABLE IF NOT EXISTS {LANDED} (
            account VARCHAR NOT NULL USING COMPRESSION uncompressed, seq BIGINT NOT NULL USING COMPRESSION uncompressed,
            kind VARCHAR NOT NULL USING COMPRESSION uncompressed,
            body VARCHAR NOT NULL USING COMPRESSION uncompressed)""",
    "ingest_gaps": """
        CREATE TABLE IF NOT EXISTS ingest_gaps (
            account VARCHAR NOT NULL, from_seq BIGINT NOT NULL, to_seq BIGINT NOT NULL, reason VARCHAR NOT NULL,
            detected_at TIMESTAMP NOT NULL)""",
    "ingest_rejects": """
        CREATE TABLE IF NOT EXISTS ingest_rejects (
            account VARCHAR NOT NULL, seq BIGINT, kind VARCHAR, error VARCHAR NOT NULL, body VARCHAR NOT NULL,
            detected_at TIMESTAMP NOT NULL)""",
}

_INTERNAL_DOCS: Final = {
    "schema_versions": "Versions of this schema that the file has had; the newest counts.",
    as_stored(OFFSETS): "Number of the last record of each account that is in its table; read ingest_offsets.",
    LANDED: "What came within the last two minutes, as it came; the views of the records show it with the stored rows.",
    "ingest_gaps": "Record numbers that could not be had: the journal was damaged or removed.",
    "ingest_rejects": "Records that fit no table, as they were; nothing is thrown away.",
}


_TABLES_HERE: Final = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"


class SchemaTooNew(RuntimeError):
    """The file was made by a newer program."""


def create_table_sql(table: str, name: str = "", *, temporary: bool = False) -> str:
    """CREATE TABLE statement of a kind's stored rows, or of a table with the same columns under another name.

    Of executions several statements, unless it is another name: their rows are in two tables.
    """
    if table == CONTEXT_TABLE and not name:
        return tables_sql()
    lines = [f"    {column} {kind}" for column, kind in kept_types(table).items()]
    create = "CREATE OR REPLACE TEMP TABLE" if temporary else "CREATE TABLE IF NOT EXISTS"
    return f"{create} {name or as_stored(table)} (\n" + ",\n".join(lines) + "\n)"


def fingerprint() -> str:
    """Changes when anything about tables, views or their documentation does."""
    parts: list[object] = [
        _INTERNAL_TABLES,
        _INTERNAL_DOCS,
        [(view.name, view.doc, _in_the_file(view)) for view in EVERY_VIEW],
        GRID_TABLES,
        GRID_DOCS,
    ]
    parts += [*ROLLUPS, REMOVED_SUMS, tables_sql(), CONTEXT_DOCS]
    for table, cls in RECORD_TYPES.items():
        # Not their defaults: what stands for none has another address in each process.
        columns = [(column.name, column.kind, column.nullable, column.doc) for column in table_columns(table)]
        parts.append((table, cls.__doc__, columns, kept_types(table)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def applied(con: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Version and fingerprint of an open file; (0, "") when it has no schema of ours yet."""
    here = "table_name = 'schema_versions' AND database_name = current_database()"
    if not con.execute(f"SELECT 1 FROM duckdb_tables() WHERE {here}").fetchone():
        return 0, ""
    newest = "SELECT version, fingerprint FROM schema_versions ORDER BY version DESC, applied_at DESC LIMIT 1"
    row = con.execute(newest).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def require_known(con: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """As `applied`. Raise SchemaTooNew for a file of a newer gridbot."""
    version, known = applied(con)
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the database has schema version {version}, this gridbot ({__version__}) knows versions up to "
            f"{SCHEMA_VERSION}: use the newer gridbot, or another --data-dir"
        )
    return version, known


def ensure_schema(con: duckdb.DuckDBPyConnection, *, from_rows: bool = False) -> None:
    """Create what is missing, in one transaction. Raise SchemaTooNew for a file of a newer gridbot.

    `from_rows`: views of matched pairs ask all executions, where nothing is kept beside the rows, and no view asks for
    the place of a row in its table, where rows may be in files.
    """
    version, known = require_known(con)
    wanted = fingerprint()
    if (version, known) == (SCHEMA_VERSION, wanted):
        return
    con.execute("BEGIN")
    try:
        for statement in statements_from(version) if version else ():
            con.execute(statement)
        _create(con, VIEWS_OF_ROWS if from_rows else EVERY_VIEW)
        now = datetime.now(UTC).replace(tzinfo=None)
        con.execute("INSERT INTO schema_versions VALUES (?, ?, ?, ?)", [SCHEMA_VERSION, wanted, __version__, now])
        con.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # a commit that failed has left no transaction
            con.execute("ROLLBACK")
        raise


def _create(con: duckdb.DuckDBPyConnection, views: tuple[View, ...]) -> None:
    _rename_tables(con)
    for table, sql in _INTERNAL_TABLES.items():
        con.execute(sql)
        con.execute(f"COMMENT ON TABLE {table} IS {quote(_INTERNAL_DOCS[table])}")
    for table in RECORD_TYPES:
        doc = f"The rows of {table} that are stored; read {table}."
        if table == CONTEXT_TABLE:
            _create_executions(con, doc)
        else:
            _create_record_table(con, table, as_stored(table), doc)
    known = _tables_here(con)
    for rollup in (*ROLLUPS, REMOVED_SUMS):
        _create_rollup(con, rollup, is_new=rollup.table not in known)
    _create_pairs(con, known)
    make_newest(con)
    move_newest(con)
    _create_views(con, views)


def _create_pairs(con: duckdb.DuckDBPyConnection, known: set[str]) -> None:
    """Make what is kept of matched pairs. Executions of a file that has none are matched later, step by step."""
    if known.issuperset(OF_VERSION_7):  # pairs without their ids, matched in the commit
        for name in (*OF_VERSION_7, PAIRS, LEVELS):
            con.execute(f"DROP TABLE {name}")
        known = known - {PAIRS}
    elif PAIRS in known and "profit" in _columns(con, PAIRS):  # as up to version 9, before fees
        con.execute(f"ALTER TABLE {PAIRS} ALTER COLUMN profit TYPE DECIMAL(38, 12) USING profit - fees")
        con.execute(f"ALTER TABLE {PAIRS} RENAME COLUMN profit TO net_profit")
    for name, columns in GRID_TABLES.items():
        con.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        con.execute(f"COMMENT ON TABLE {name} IS {quote(GRID_DOCS[name])}")
    if PAIRS not in known:
        mark_all(con)
    con.execute(f"UPDATE {TAILS} SET error = NULL")  # what could not be matched is tried by each version once


def _create_views(con: duckdb.DuckDBPyConnection, views: tuple[View, ...]) -> None:
    for view in views:
        con.execute(f"CREATE OR REPLACE VIEW {view.name} AS {_in_the_file(view)}")
        con.execute(f"COMMENT ON VIEW {view.name} IS {quote(view.doc)}")
        for column in table_columns(view.name) if view.name in RECORD_TYPES else ():
            con.execute(f"COMMENT ON COLUMN {view.name}.{column.name} IS {quote(column.doc)}")


def _in_the_file(view: View) -> str:
    """A view as the file has it. A long one is a text, which is parsed when it is asked: each flush of the writer reads
    and writes all of them, and a text takes it a tenth of the time. Those of `PARSED_VIEWS` are not."""
    if len(view.sql) < LONG_VIEW or view.name in PARSED_VIEWS:
        return view.sql
    return f"FROM query({quote(view.sql)})"


def _tables_here(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in con.execute(_TABLES_HERE).fetchall()}


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Types of the columns of a table, by name."""
    return dict(con.execute(f"SELECT name, type FROM pragma_table_info('{table}')").fetchall())


def _rename_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Up to version 4 rows were in the tables that are views since: they stay as they are, under another name."""
    names = (OFFSETS, *RECORD_TYPES, *(rollup.name for rollup in (*ROLLUPS, REMOVED_SUMS)))
    for table in _tables_here(con).intersection(names):
        con.execute(f"ALTER TABLE {table} RENAME TO {as_stored(table)}")


def _create_record_table(con: duckdb.DuckDBPyConnection, table: str, name: str, doc: str) -> None:
    """Make the table `name` with the columns of a record table, or bring its own up to date."""
    con.execute(create_table_sql(table, name))
    existing = _columns(con, name)
    if has_texts(table, existing):
        for statement in kept_steps(table, name):
            con.execute(statement)
        existing[ODD] = "VARCHAR"
    for column, kind in kept_types(table).items():
        if column not in existing:
            con.execute(f"ALTER TABLE {name} ADD COLUMN {column} {kind.removesuffix(' NOT NULL')}")
    con.execute(f"COMMENT ON TABLE {name} IS {quote(doc)}")


def _create_executions(con: duckdb.DuckDBPyConnection, doc: str) -> None:
    """Make the tables of executions, and put into them the rows of a file that had one table up to version 8, or other
    ones up to version 9."""
    name, before = as_stored(CONTEXT_TABLE), as_stored(f"{CONTEXT_TABLE}_before")
    older = _tables_before(con, name, before)
    con.execute(tables_sql())
    con.execute(f"COMMENT ON VIEW {name} IS {quote(doc)}")
    for table, told in CONTEXT_DOCS.items():
        con.execute(f"COMMENT ON TABLE {table} IS {quote(told)}")
    if older:
        rows = f"({rows_of_version_9(*older)})" if len(older) > 1 else before
        types = dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {rows})").fetchall())
        take_over_rows(con, types, rows)
        for table in older:
            con.execute(f"DROP TABLE {table}")


def _tables_before(con: duckdb.DuckDBPyConnection, name: str, before: str) -> list[str]:
    """Put aside the tables of executions of an earlier version: up to 8 one, of 9 rows and contexts."""
    if name in _tables_here(con):
        con.execute(f"ALTER TABLE {name} RENAME TO {before}")
        return [before]
    known = f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{CONTEXTS}' AND "
    columns = {column for (column,) in con.execute(f"{known} database_name = current_database()").fetchall()}
    if not columns or not columns.isdisjoint(FOUND):
        return []
    con.execute(f"DROP VIEW IF EXISTS {name}")
    con.execute(f"ALTER TABLE {ROWS} RENAME TO {before}; ALTER TABLE {CONTEXTS} RENAME TO {CONTEXTS}_before")
    con.execute(f"DROP TABLE IF EXISTS {CONTEXTS_AGAIN}")  # the first files of version 9 had the others alone
    return [before, f"{CONTEXTS}_before"]


def _create_rollup(con: duckdb.DuckDBPyConnection, rollup: Rollup, *, is_new: bool) -> None:
    """Make a rollup, and fill a new one from the rows that a file has already; one that was there is up to date."""
    if rollup.columns is None:
        _create_record_table(con, rollup.source, rollup.table, rollup.doc)
    else:
        con.execute(f"CREATE TABLE IF NOT EXISTS {rollup.table} ({rollup.columns})")
        con.execute(f"COMMENT ON TABLE {rollup.table} IS {quote(rollup.doc)}")
    if is_new and rollup in ROLLUPS:
        for statement in rollup.statements(as_stored(rollup.source)):
            con.execute(statement)


def forget_fingerprint(con: duckdb.DuckDBPyConnection, database: str) -> None:
    """Have the next `ensure_schema` make everything again, such as comments that a copy left out."""
    con.execute(f"UPDATE {database}.schema_versions SET fingerprint = ''")
