"""Three ways to insert records into a table, inside the caller's transaction.

`append` converts bodies of frames row by row in Python and uses DuckDB's appender: best for the few rows of an ordinary
flush. `load` hands the bodies to DuckDB's JSON reader as they are: three to five times faster when there is much to
catch up with. `load_parts` is for blocks (`gridbot.records.record_block`): their lines go to DuckDB's CSV reader as
they are, a third of the JSON reader's work. All give the same rows. The quicker ones may refuse what `append` takes,
such as an older frame without a newer field; then the caller uses `append`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import duckdb
import orjson

from gridbot.records.block_reader import Layout, Part
from gridbot.records.codec import CodecError
from gridbot.records.columns import Column, ColumnKind, columns_of
from gridbot.records.record_block import END, NULL, SEP
from gridbot.records.record_types import Header
from gridbot.store.context_rows import put_rows
from gridbot.store.kept_ids import kept_query, kept_row, kept_types
from gridbot.store.row_contexts import CONTEXT_TABLE, user_types
from gridbot.store.row_putting import Putting, putting
from gridbot.store.row_values import row_of
from gridbot.store.sql_columns import as_stored, json_type, quote, table_columns, value_sql

__all__ = ["LOAD_FROM", "append", "load", "load_parts", "memory_file"]

LOAD_FROM: Final = 200
"""Number of rows from which `load` is faster (measured: 8 against 11 ms)."""

LINES_FROM: Final = 500
"""Number of rows alike from which a statement of their own is worth it."""

_LINES_AT_ONCE: Final = 2000
_PARTS_AT_ONCE: Final = 32
_LONGEST_LINE: Final = 4 * 1024 * 1024
_OPEN_FILES: Final = Path("/proc/self/fd")


def append(con: duckdb.DuckDBPyConnection, table: str, bodies: Sequence[bytes], into: str = "") -> None:
    """Put bodies of a record table into it, or into another table with its columns.

    Raise CodecError or duckdb.Error when a body fits no row of the table.
    """
    names = [column.name for column in table_columns(table)]
    if table == CONTEXT_TABLE and not into:
        _append_waiting(con, [row_of(orjson.loads(body)) for body in bodies])
        return
    with con.appender(into or as_stored(table), columns=[*kept_types(table)]) as appender:
        appender.append_rows([kept_row(table, names, row_of(orjson.loads(body))) for body in bodies])


def _append_waiting(con: duckdb.DuckDBPyConnection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows that are made of others by a statement: by way of a table that is gone behind it."""
    types = {name: "VARCHAR" if kind.startswith("DECIMAL") else kind for name, kind in user_types().items()}
    con.execute(f"CREATE OR REPLACE TEMP TABLE waiting ({', '.join(f'{name} {kind}' for name, kind in types.items())})")
    with con.appender("waiting") as appender:
        appender.append_rows(rows)
    put_rows(con, putting({name: name for name in types}, "temp.waiting"), {}, len(rows))
    con.execute("DROP TABLE temp.waiting")


def load(con: duckdb.DuckDBPyConnection, table: str, bodies: Sequence[bytes], into: str = "") -> None:
    """As `append`. Raise duckdb.Error when a body fits no row of the table, OSError when there is no memory file."""
    with memory_file() as (file, path):
        _write_lines(file, bodies)
        file.flush()
        if table == CONTEXT_TABLE and not into:
            put_rows(con, putting(*_json_values(table)), {}, len(bodies), path)
        else:
            con.execute(_load_sql(table, into or as_stored(table)).replace("$path", quote(path), 1))


def load_parts(con: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Part], into: str = "") -> None:
    """As `load`, of parts of blocks. Raise CodecError, duckdb.Error when a record fits no row of the table, OSError."""
    alike: dict[Layout, list[Part]] = {}
    for part in parts:
        alike.setdefault(part.layout, []).append(part)
    bodies: list[bytes] = []
    for layout, found in alike.items():
        if "j" in layout.forms or sum([part.count for part in found]) < LINES_FROM:
            bodies += [body for part in found for _, body in part.numbered()]
        else:
            _load_lines(con, table, layout, found, into)
    if bodies:
        (load if len(bodies) >= LOAD_FROM else append)(con, table, bodies, into)


@contextlib.contextmanager
def memory_file() -> Iterator[tuple[IO[bytes], str]]:
    """An empty file, and a path under which DuckDB can use it. Where the system can do that it is in memory, and where
    it names open files it has no name of its own: nothing is left of it when this process is killed."""
    with _nameless() if _OPEN_FILES.is_dir() else tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        yield file, str(_OPEN_FILES / str(file.fileno())) if _OPEN_FILES.is_dir() else file.name


def _nameless() -> Any:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("gridbot-ingest", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()


def _write_lines(file: Any, bodies: Sequence[bytes]) -> None:
    for first in range(0, len(bodies), _LINES_AT_ONCE):  # not all in one: that would be one more copy of everything
        file.write(b"\n".join([*bodies[first : first + _LINES_AT_ONCE], b""]))


# -- lines of blocks --------------------------------------------------------------------------------------------------


def _load_lines(con: duckdb.DuckDBPyConnection, table: str, layout: Layout, parts: Sequence[Part], into: str) -> None:
    """Parts of one layout: what is the same in all of them is said once, other values go before each line."""
    heads = [(part.account, part.run_id, *part.same) for part in parts]
    names = ["account", "run_id", *layout.is_same]
    try:
        distinct = set(heads)
    except TypeError:
        raise CodecError("a value cannot stand in a line") from None
    differs = [at for at, values in enumerate(zip(*distinct, strict=True)) if len(set(values)) > 1]
    before = [names[at] for at in differs]
    same = {name: value for name, value in zip(names, heads[0], strict=True) if name not in before}
    prefixes = {head: "".join([_in_a_line(head[at]) + SEP for at in differs]) for head in distinct} if differs else {}
    nulls = frozenset(name for name, value in same.items() if value is None)
    alike = (table, layout, tuple(before), frozenset(same), nulls)
    values, source = _lines_values(*alike)
    with memory_file() as (file, path):
        for piece in _prefixed(parts, heads, prefixes):
            file.write(piece)
        file.flush()
        count = sum([part.count for part in parts])
        if table == CONTEXT_TABLE and not into:
            put_rows(con, _lines_putting(*alike), same, count, path)
            return
        sql = (
            f"INSERT INTO {into or as_stored(table)} ({_listed(kept_types(table))}) {kept_query(table, values, source)}"
        )
        wanted = {name: same[name] for name, value in values.items() if value.find("$") >= 0}
        row = con.execute(sql.replace("$path", quote(path), 1), wanted).fetchone()
        if row != (count,):
            raise CodecError(f"expected {count} rows of {table}, got {row}")


def _prefixed(
    parts: Sequence[Part], heads: Sequence[tuple[Any, ...]], prefixes: Mapping[tuple[Any, ...], str]
) -> Iterator[bytes]:
    if not prefixes:
        for at in range(0, len(parts), _PARTS_AT_ONCE):  # a cache holds so many: all in one take three times as long
            yield "".join([part.lines for part in parts[at : at + _PARTS_AT_ONCE]]).encode()
        return
    for part, head in zip(parts, heads, strict=True):
        before = prefixes[head]
        yield (before + part.lines[:-1].replace(END, END + before) + END).encode()


def _in_a_line(value: Any) -> str:
    if value is None:
        return NULL
    text = _WORDS[value] if type(value) is bool else str(value)
    if type(value) not in (str, int, bool) or not _MARKS.isdisjoint(text):
        raise CodecError("a value cannot stand in a line")
    return text


_WORDS: Final = {True: "true", False: "false"}
_MARKS: Final = frozenset(("\n", END, "\0", SEP, NULL))


@functools.lru_cache(maxsize=512)
def _lines_values(
    table: str, layout: Layout, before: tuple[str, ...], same: frozenset[str], nulls: frozenset[str]
) -> tuple[Mapping[str, str], str]:
    """Expressions of the columns that users read, of which some are `$NAME`, and the source that has the others. Those
    in `nulls` are NULL.

    Raise CodecError for a record that fits no row.
    """
    known = {column.name: column for column in table_columns(table)}
    read = [*before, "seq", *layout.kept]
    types = [f"{quote(name)}: {quote(_read_type(table, known[name]) if name in known else 'VARCHAR')}" for name in read]
    values = dict[str, str]()
    for column in known.values():
        if column.name in read:
            values[column.name] = value_sql(column, f'"{column.name}"')
        elif column.name in same:
            value = "NULL" if column.name in nulls else f"${column.name}"
            values[column.name] = value_sql(column, f"CAST({value} AS {_read_type(table, column)})")
        else:  # written before the type had that field
            raise CodecError(f"records of {table} have no {column.name}")
    how = (
        f"auto_detect = false, header = false, delim = chr({ord(SEP)}), nullstr = chr({ord(NULL)}), new_line = '\\r', "
        f"quote = '', escape = '', compression = 'none', parallel = false, max_line_size = {_LONGEST_LINE}"
    )
    return values, f"read_csv($path, {how}, columns = {{{', '.join(types)}}})"


def _read_type(table: str, column: Column) -> str:
    """Type in which a value is read from lines or JSON. Amounts that become whole numbers stay texts until then."""
    is_text = table == CONTEXT_TABLE and column.kind is ColumnKind.DECIMAL
    return "VARCHAR" if is_text else json_type(column)


@functools.lru_cache(maxsize=512)
def _lines_putting(
    table: str, layout: Layout, before: tuple[str, ...], same: frozenset[str], nulls: frozenset[str]
) -> Putting:
    values, source = _lines_values(table, layout, before, same, nulls)
    return putting(values, source, same & values.keys(), nulls=nulls)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@functools.cache
def _load_sql(table: str, into: str) -> str:
    values, source = _json_values(table)
    return f"INSERT INTO {into} ({_listed(kept_types(table))}) {kept_query(table, values, source)}"


@functools.cache
def _json_values(table: str) -> tuple[Mapping[str, str], str]:
    """Expressions of the columns that users read, and the source that has them."""
    header, own = columns_of(Header), table_columns(table)[len(columns_of(Header)) :]
    outer = [f"{column.name}: {quote(json_type(column))}" for column in header]
    inner = ", ".join(f'"{column.name}" {_read_type(table, column)}' for column in own)
    outer.append(f"data: {quote(f'STRUCT({inner})')}")
    values = {column.name: value_sql(column, column.name) for column in header}
    values |= {column.name: value_sql(column, f'data."{column.name}"') for column in own}
    source = f"read_json($path, format = 'newline_delimited', compression = 'none', columns = {{{', '.join(outer)}}})"
    return values, source
