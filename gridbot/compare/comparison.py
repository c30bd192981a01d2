"""The working database of a comparison: two sides in, pairs, tables and a summary out. Memory has bounds."""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from gridbot.compare.near_pairs import near_pairs
from gridbot.compare.pair_tables import (
    LEVEL_VIEW,
    LEVELS,
    OUTCOMES,
    SIDES,
    compared,
    events,
    in_levels,
    lonely,
    rows_of,
)
from gridbot.compare.row_pairs import row_pairs
from gridbot.compare.tolerances import Reach, Tolerance
from gridbot.private_files import open_private
from gridbot.store.schema import STORAGE_VERSION, quote

__all__ = ["Counts", "Money", "Outcome", "Source", "compare", "keep_result", "working"]

BATCH: Final = 20_000
"""Rows that are fetched at a time."""
SHOWN: Final = 5
MANY: Final = 5
"""Pairs whose prices are equally far apart, from which that is no accident."""
UNIT: Final = 10**12
"""Prices of the records have twelve places."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a side's rows come from: statements for the working database. Times are `at_ms`, ms UTC."""

    rows: str
    refusals: str | None = None


@dataclass(frozen=True, slots=True)
class Money:
    """Of one side, USDT; None is not known (a log may not say)."""

    fills: int
    volume: Decimal
    fees: Decimal | None
    realised: Decimal | None
    funding: Decimal | None
    net: Decimal | None


Counts = Mapping[str, Mapping[str, int]]
"""Of each kind (place, cancel, fill) how many rows have which outcome."""


@dataclass(slots=True)
class Outcome:
    """What a comparison found. Rows are those of the table `compared`, as dictionaries."""

    counts: dict[str, dict[str, int]]
    first: list[dict[str, Any]] = field(default_factory=list)
    worst: list[dict[str, Any]] = field(default_factory=list)
    off_tick: int = 0
    shift: tuple[int, int, int] | None = None
    """How many ticks higher most prices there are, of how many pairs, of all that differ in price."""

    @property
    def rows(self) -> int:
        """Pairs, and rows that are alone."""
        return sum(sum(of_kind.values()) for of_kind in self.counts.values())

    @property
    def differing(self) -> int:
        return self.rows - sum(of_kind["same"] for of_kind in self.counts.values())

    def verdict(self, tolerance: Tolerance, money: tuple[Money, Money]) -> str:
        """`same`, `differs` or `nothing` (to compare)."""
        if not self.rows:
            return "nothing"
        nets = [each.net for each in money if each.net is not None]
        apart = abs(nets[0] - nets[1]) if len(nets) == 2 else Decimal(0)
        by_money = tolerance.money is not None and apart > tolerance.money
        return "differs" if by_money or self.differing_percent > tolerance.rows else "same"

    @property
    def differing_percent(self) -> Decimal:
        return Decimal(100 * self.differing) / self.rows if self.rows else Decimal(0)


@contextlib.contextmanager
def working(directory: Path, memory: str, into: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A working database that spills into `directory`; what stays is made in the file `into`, if that is given."""
    settings: Any = {"memory_limit": memory, "threads": 2, "temp_directory": str(directory / "spilled")}
    with duckdb.connect(config=settings) as con:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        if into is not None:
            con.execute(f"ATTACH {quote(str(into))} AS result (STORAGE_VERSION {quote(STORAGE_VERSION)})")
            con.execute("USE result")
        yield con
        if into is not None:
            con.execute("USE memory")
            con.execute("DETACH result")


def compare(
    con: duckdb.DuckDBPyConnection,
    directory: Path,
    sources: tuple[Source, Source],
    ticks: Mapping[str, Decimal],
    tolerance: Tolerance,
    reach: Reach,
    span: tuple[int, int] = (0, 1 << 62),
) -> Outcome:
    """Pair the rows of two sides and make the tables `compared` and `compared_levels`, of rows in the span (ms UTC, its
    end not included) and of what outside belongs to them.

    `directory` is for files in between. `ticks` has the tick size of each symbol, as far as it is known; otherwise it
    is the largest that all prices are whole multiples of.
    """
    nameless = _without_direction(con, sources)
    _make_ticks(con, sources, ticks)
    for side, source in zip(SIDES, sources, strict=True):
        con.execute(rows_of(side, source.rows, nameless))
        con.execute(events(side, source.refusals))
    con.execute(LEVELS)
    con.execute("CREATE TEMP TABLE pairs (here BIGINT, there BIGINT)")
    _keep(con, directory / "pairs.csv", row_pairs(_fetched(con, in_levels()), reach.time_ms))
    _keep(con, directory / "near.csv", near_pairs(_fetched(con, lonely()), reach.time_ms, reach.near))
    con.execute(compared(tolerance, reach, *span))
    con.execute(LEVEL_VIEW)
    return _outcome(con)


def keep_result(
    con: duckdb.DuckDBPyConnection,
    names: tuple[str, str],
    span: tuple[datetime, datetime],
    tolerance: Tolerance,
    outcome: Outcome,
    money: tuple[Money, Money],
    *,
    verdict: str,
    notes: Sequence[str],
) -> None:
    """Make the tables `comparison` (one row: what was compared, and how it ended) and `compared_money`."""
    con.execute("""
        CREATE TABLE comparison (here VARCHAR, there VARCHAR, since TIMESTAMP, until TIMESTAMP, tolerance VARCHAR,
            verdict VARCHAR, rows BIGINT, differing BIGINT, notes VARCHAR[])""")
    con.execute(
        "INSERT INTO comparison VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*names, *span, str(tolerance), verdict, outcome.rows, outcome.differing, list(notes)],
    )
    con.execute("""
        CREATE TABLE compared_money (side VARCHAR, name VARCHAR, fills BIGINT, volume DECIMAL(38, 12),
            fees DECIMAL(38, 12), realised DECIMAL(38, 12), funding DECIMAL(38, 12), net DECIMAL(38, 12))""")
    for side, name, sums in zip(SIDES, names, money, strict=True):
        con.execute("INSERT INTO compared_money VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [side, name, *astuple(sums)])


def _without_direction(con: duckdb.DuckDBPyConnection, sources: tuple[Source, Source]) -> set[str]:
    """Kinds of rows of which a side does not always know the leg."""
    both = " UNION ALL ".join(f"SELECT what, direction FROM ({source.rows})" for source in sources)
    return {what for (what,) in con.execute(f"SELECT DISTINCT what FROM ({both}) WHERE direction IS NULL").fetchall()}


def _make_ticks(con: duckdb.DuckDBPyConnection, sources: tuple[Source, Source], ticks: Mapping[str, Decimal]) -> None:
    known = dict(ticks)
    both = " UNION ALL ".join(f"SELECT what, symbol, price FROM ({source.rows})" for source in sources)
    wanted = f"SELECT DISTINCT symbol FROM ({both})"
    for (symbol,) in con.execute(wanted).fetchall():
        if symbol not in known:
            prices = con.execute(f"SELECT DISTINCT price FROM ({both}) WHERE symbol = ? AND what <> 'fill'", [symbol])
            steps = math.gcd(*(int(price * UNIT) for (price,) in prices.fetchall()))
            known[symbol] = Decimal(max(steps, UNIT // 10**8)) / UNIT
    con.execute("CREATE TEMP TABLE symbol_ticks (symbol VARCHAR, tick DECIMAL(38, 12))")
    for symbol, tick in known.items():
        con.execute("INSERT INTO symbol_ticks VALUES (?, ?)", [symbol, tick])


def _fetched(con: duckdb.DuckDBPyConnection, statement: str) -> Iterator[Any]:
    cursor = con.execute(statement)  # nobody else uses the connection before the last row is there
    while batch := cursor.fetchmany(BATCH):
        yield from batch


def _keep(con: duckdb.DuckDBPyConnection, path: Path, pairs: Iterable[tuple[int, int]]) -> None:
    """Pairs go by a file: there may be more of them than memory should hold."""
    with open_private(path, "x", encoding="ascii", newline="") as file:
        csv.writer(file).writerows(pairs)
    con.execute(
        f"INSERT INTO pairs FROM read_csv({quote(str(path))}, header = false, auto_detect = false, "
        "columns = {here: 'BIGINT', there: 'BIGINT'})"
    )
    path.unlink()


def _outcome(con: duckdb.DuckDBPyConnection) -> Outcome:
    counts: dict[str, dict[str, int]] = {}
    for what, outcome, number in con.execute("SELECT what, outcome, count(*) FROM compared GROUP BY ALL").fetchall():
        counts.setdefault(what, dict.fromkeys(OUTCOMES, 0))[outcome] = number
    differ = "FROM compared WHERE outcome <> 'same' ORDER BY"
    start = "coalesce(least(here_at, there_at), here_at, there_at), what, symbol, direction, side, price"
    off = "(here_price IS NOT NULL AND here_price % tick <> 0) OR (there_price IS NOT NULL AND there_price % tick <> 0)"
    [(off_tick,)] = con.execute(
        f"SELECT count(*) FROM compared JOIN symbol_ticks USING (symbol) WHERE what <> 'fill' AND ({off})"
    ).fetchall()
    shifts = con.execute("""
        SELECT CAST(ticks_higher AS BIGINT), count(*), CAST(sum(count(*)) OVER () AS BIGINT) FROM compared
        WHERE outcome = 'price' GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 1""").fetchall()
    return Outcome(
        {what: counts[what] for what in ("place", "cancel", "fill") if what in counts},
        _dictionaries(con, f"{differ} {start} LIMIT {SHOWN}"),
        _dictionaries(con, f"{differ} worth DESC, abs(late_s) DESC NULLS LAST, {start} LIMIT {SHOWN}"),
        off_tick,
        next((shift for shift in shifts if shift[1] >= MANY), None),
    )


def _dictionaries(con: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    cursor = con.execute(statement)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
