"""Which of a fleet's records a question can concern: what PostgreSQL need not send is not asked for.

Kinds of records are told from the words of the statement: each name of a table or view that it could mean, and what
those views are made of. So too many may come, and none too few: a statement whose tables are only known when it runs
has all of them, and a table that was left out is not there, so that asking it is an error and never an empty answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.sql_columns import as_stored, quote

if TYPE_CHECKING:
    import duckdb

__all__ = ["EVERYTHING", "Wanted", "kinds_of"]

_WORD: Final = re.compile(r"[a-z_][a-z_0-9]*")
_MADE_LATER: Final = re.compile(
    r"query.*|.*execute.*|prepare|call|show|describe|summarize|pivot|unpivot|import|export|pragma|information_schema|pg_.*"
    r"|duckdb_.*|sqlite_.*"
)
"""Words of statements whose tables are not told by name, or that look at all of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`statement`: a question, or the names of tables and views that are asked; of `accounts` only; recorded `since`
    then. None: of all. Sums, starts of runs, and the newest rows of orders and positions are those of always."""

    statement: str | None = None
    accounts: tuple[str, ...] | None = None
    since: datetime | None = None
    small: bool = False
    """The process is to stay small: without pyarrow, whose import takes 40 MB."""

    @property
    def since_utc(self) -> datetime | None:
        """With its zone: one without is UTC."""
        if self.since is None:
            return None
        return self.since.replace(tzinfo=UTC) if self.since.tzinfo is None else self.since.astimezone(UTC)

    @property
    def names(self) -> str:
        """The accounts, for SQL."""
        return ", ".join(map(quote, self.accounts or ("",)))

    def of_files(self, kind: str) -> str:
        """The condition on rows of files of a kind: on `account`, `day` and `local_ts`; "" for all of them."""
        parts = []
        if self.accounts is not None:
            parts.append(f"account IN ({self.names})")
        if (since := self.since_utc) is not None and kind != "run_events":
            parts.append(f"day >= DATE '{since:%Y-%m-%d}' AND local_ts >= TIMESTAMP '{since:%Y-%m-%d %H:%M:%S.%f}'")
        return f" WHERE {' AND '.join(parts)}" if parts else ""


EVERYTHING: Final = Wanted()


def kinds_of(con: duckdb.DuckDBPyConnection, statement: str | None) -> frozenset[str] | None:
    """The kinds of records that a question to this database can need; None: all of them."""
    if statement is None:
        return None
    views = dict(con.execute("SELECT view_name, lower(sql) FROM duckdb_views() WHERE NOT internal").fetchall())
    return _named(statement, views)


def _named(statement: str, views: Mapping[str, str]) -> frozenset[str] | None:
    words = _words(statement)
    if any(_MADE_LATER.fullmatch(word) for word in words):
        return None
    found: set[str] = set()
    while words:
        found |= words
        words = set().union(*(_words(views[word]) for word in words & views.keys())) - found
    return frozenset(kind for kind in RECORD_TYPES if found & {kind, as_stored(kind)})


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
