"""What a backtest returns: a summary, and its records as relations of DuckDB or tables of Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from gridbot.store.reading import connect

__all__ = ["Result"]


@dataclass(slots=True)
class Result:
    """`path` is the DuckDB file of the run, `summary` its row of `backtests`. The file stays open once it was asked."""

    path: Path
    summary: Mapping[str, Any]
    _connection: duckdb.DuckDBPyConnection | None = field(default=None, repr=False)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Read-only."""
        if self._connection is None:
            self._connection = connect(self.path)
        return self._connection

    def relation(self, name: str) -> duckdb.DuckDBPyRelation:
        """A table or view, such as "fills", "executions", "daily_pnl"."""
        return self.connection.table(name) if name in self._tables() else self.connection.view(name)

    def arrow(self, name: str) -> Any:
        """The same as a table of pyarrow."""
        return self.relation(name).to_arrow_table()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(statement).fetchall()

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _tables(self) -> set[str]:
        return {str(row[0]) for row in self.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
