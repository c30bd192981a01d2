"""Which of a fleet's records a question can concern: what PostgreSQL need not send is not asked for.

Kinds of records are told from the words of the statement: each name of a table or view that it could mean, and what
those views are made of. So too many may come, and none too few: a statement whose tables are only known when it runs
has all of them, and a table that was left out is not there, so that asking it is an error and never an empty answer.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.sql_columns import as_stored, quote

if TYPE_CHECKING:
    import duckdb

__all__ = ["EVERYTHING", "Wanted", "kinds_of", "unknown_account", "unknown_table"]

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
    named: tuple[str, ...] = ()
    """What of `statement` has to be the name of a table or view."""
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
MOST_NAMED: Final = 20
"""Names that a message about an unknown one shows; of more than that the nearest."""


def unknown_table(con: duckdb.DuckDBPyConnection, named: Iterable[str], more: Iterable[str] = ()) -> str:
    """What is wrong when a name is no table or view of this database, nor of `more` that it gets later; else ""."""
    views = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    tables = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    public = views | {*more} | {name for name in tables if not name.endswith(as_stored(""))}
    return _unknown("tables", (name.lower() for name in named), public | tables | RECORD_TYPES.keys(), public)


def unknown_account(accounts: Iterable[str], known: Iterable[str]) -> str:
    """What is wrong when a name is that of no account; else ""."""
    names = {*known}
    return _unknown("accounts", accounts, names, names)


def _unknown(what: str, names: Iterable[str], known: set[str], shown: set[str]) -> str:
    name = next((name for name in names if name not in known), None)
    if name is None:
        return ""
    near = sorted(shown) if len(shown) <= MOST_NAMED else difflib.get_close_matches(name, shown, 3) or sorted(shown)
    rest = f" and {len(shown) - len(near[:MOST_NAMED])} more" if len(shown) > len(near[:MOST_NAMED]) else ""
    there = f"one of {', '.join(near[:MOST_NAMED])}{rest}" if near else "none, as there is none yet"
    return f"{what}: expected {there}, got {name!r}"


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
