"""Finds damaged blocks of the database while the bot runs: all of it is read again, a slice at a time.

DuckDB compares a block with its checksum when it reads it, and the writer alone reads next to nothing: without this,
damage shows when somebody asks for the row, perhaps after its journal is gone.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import duckdb

from gridbot.store.database import Database, Unreadable
from gridbot.store.file_errors import first_line, is_damage, rebuild_line
from gridbot.store.sql_columns import known_name
from supervisor.store.row_ranges import Rows, row_ranges

__all__ = ["DamageScan"]

FIRST_S: Final = 10.0
SHARE: Final = 1000
SHORTEST_S, LONGEST_S = 60.0, 3600.0
"""From the end of one reading to the next: `SHARE` times the CPU time that it took, within these limits. A file that
another program has written to is read at once; this finds what changed without a trace in the file's size and time."""
SLICE_S: Final = 0.2
SHOWN: Final = 5
"""Tables that the text names."""


class DamageScan:
    """One reading of the file after the other. `step` is called about once a second, by the writer, between flushes."""

    def __init__(self, database: Database, now: float) -> None:
        self._database = database
        self._next = now + FIRST_S
        self._took_s = 0.0
        self._todo: deque[tuple[str, Rows]] = deque()
        self._found: dict[str, str] = {}
        self._damage: dict[str, str] = {}
        self.is_complete = False
        """True once all of the file has been read."""

    @property
    def damage(self) -> str:
        """What cannot be read and what to do, as a text for the operator; empty when nothing is known to be damaged."""
        damage = self._damage | self._found
        if not damage:
            return ""
        texts = [f"{table} ({text})" for table, text in list(damage.items())[:SHOWN]]
        more = f" and {len(damage) - SHOWN} more tables" if len(damage) > SHOWN else ""
        return (
            f"the database is damaged: {', '.join(texts)}{more}; trading goes on. Stop the bot and run "
            f"{rebuild_line(self._database.path)}, which keeps all that can be read"
        )

    def ask(self, now: float) -> None:
        """Something failed: read the file at once, unless damage is known already."""
        if not self.damage:
            self._next = min(self._next, now)

    def step(self, now: float) -> None:
        """Read for SLICE_S when a reading is due. `now` is monotonic, in seconds.

        Raise as `Database.open`, but not Unreadable, which is damage; and duckdb.Error for what says nothing about the
        file, such as a want of memory: the reading goes on from there.
        """
        if self._database.was_changed_by_another():
            self._todo.clear()
            self._next = now
        if not self._todo and now < self._next:
            return
        began_s = time.process_time()
        try:
            with self._database.open() as con:
                if not self._todo:
                    self._begin(con)
                ends_s = time.monotonic() + SLICE_S  # from here: on a busy machine opening alone takes longer
                while self._todo and time.monotonic() < ends_s:
                    self._read(con, *self._todo[0])
                    self._todo.popleft()
        except Unreadable as exc:
            self._todo.clear()
            self._found = {"all tables": first_line(exc.__cause__ or exc)}
        finally:
            self._took_s += time.process_time() - began_s
        if not self._todo:
            self._damage, self.is_complete = self._found, True
            self._next = now + min(max(SHARE * self._took_s, SHORTEST_S), LONGEST_S)

    def _begin(self, con: duckdb.DuckDBPyConnection) -> None:
        self._found, self._took_s = {}, 0.0
        todo: deque[tuple[str, Rows]] = deque()
        tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY ALL"
        for (table,) in con.execute(tables).fetchall():
            try:
                todo += [(table, rows) for rows in row_ranges(con, table)]
            except duckdb.Error as exc:
                self._note(table, exc)
        self._todo = todo

    def _read(self, con: duckdb.DuckDBPyConnection, table: str, rows: Rows) -> None:
        try:
            con.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {table} WHERE {rows.sql}").fetchall()
        except duckdb.Error as exc:
            self._note(table, exc, f"rows from {rows.first}: ")

    def _note(self, table: str, error: duckdb.Error, where: str = "") -> None:
        if not is_damage(error):
            raise error
        self._found.setdefault(known_name(table), f"{where}{first_line(error)}")
