"""What the table of the fleet shows of the records: money of today and in all, equity and its highest, last fills.

The sums are those of `pnl`, by the same statements: of all time, and since 00:00 UTC. Kinds of money stay apart. Each
part is read by itself, so that the file is held for a moment only; one that cannot be read keeps what it had, and says
why. What matched pairs made takes longest: it is worked out account by account, on a copy of the account's executions,
only when the account has new ones, and for `GRID_SHARE` of the time at most once each account was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import duckdb

from gridbot.commands.targets import Addressed
from gridbot.store.schema import quote
from supervisor.store import record_questions
from supervisor.store.record_questions import Asked
from supervisor.web.record_file import HoldOver, Records, TooLong, Unreadable

__all__ = ["CURVE_PARTS", "FleetHistory"]

CURVE_S: Final = 86_400
CURVE_PARTS: Final = 48
"""A point of the curve for each half of an hour of the last day: the last equity in it."""
PEAK_DAYS: Final = 30
PEAK_OVERLAP: Final = timedelta(days=1)
"""Records may come late, as those of a worker whose writer was away; the highest of all is the same, seen twice."""
GRID_SHARE: Final = 0.02
GRID_TURN_S: Final = 1.5
"""So long one answer may take for matched pairs; the next goes on."""
GRID_MOST_S: Final = 5.0
"""And so long one account; of one that needs longer, `pnl` tells it."""
AGAIN: Final = -1
"""As the number of executions of which the pairs are known: they are to be tried again."""
TOGETHER: Final = 10_000
"""Accounts with so many executions in all are done at once."""
KEPT_DAYS: Final = 2
BUSY: Final = "not done in the moment that the records may be kept from being written; it is tried again"
TOO_LONG: Final = "it takes longer than the page may keep the records from being written"
ZERO: Final = Decimal(0)
NEVER: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as the times of DuckDB
COPIED: Final = {
    "executions": "account, run_id, seq, strategy, symbol, exec_id, order_link_id, direction, price, qty, closed_size, "
    "fee, exec_type, shadow, exchange_ts, exchange_seq",
    "corrections": "account, exec_id, fee",
    "daily_sums": "account, strategy, symbol, direction, exec_type, shadow",
    "run_events": "account, about_run_id, environment, event",
}
_MONEY: Final = "CASE WHEN environment = 'mainnet' THEN 'real' ELSE coalesce(environment, 'unknown') END AS money"
_PLACES: Final = """(SELECT account, about_run_id AS run_id, max(environment) AS environment
    FROM run_events WHERE event = 'start' GROUP BY ALL)"""

Key = tuple[str, str, str]
"""Account, kind of money, strategy."""
Row = dict[str, Any]


@dataclass(slots=True)
class _Part:
    """What was read last, when (UTC), and why not since."""

    rows: list[Row] = field(default_factory=list)
    as_of: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class _Grid:
    """Profit of an account's matched pairs: all, and of the newest days; by money and strategy."""

    executions: int
    as_of: datetime
    is_known: bool = False
    total: dict[Key, Decimal] = field(default_factory=dict)
    days: dict[tuple[Key, date], Decimal] = field(default_factory=dict)


class FleetHistory:
    """One per reader. `now` is UTC without a zone, `clock` in seconds."""

    def __init__(
        self,
        records: Records,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC).replace(tzinfo=None),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._now = now
        self._clock = clock
        self._parts: dict[str, _Part] = {}
        self._midnight = NEVER
        self._peaks: dict[tuple[str, str], Decimal] = {}
        self._peaks_until: datetime | None = None
        self._grids: dict[str, _Grid] = {}
        self._grid_next_s = 0.0

    def _seen(self) -> datetime:
        """Of when what was read now is: records of a whole fleet are read now and then."""
        as_of = datetime.fromisoformat(self._records.as_of()).astimezone(UTC).replace(tzinfo=None)
        return min(self._now(), as_of)

    def document(self) -> dict[str, Any]:
        """The answer of `/api/fleet`; money as Decimal, positive fees and funding were paid."""
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        everything, today = Asked(), Asked(since=midnight)
        if midnight != self._midnight:  # sums of another day are not known sums of this one
            self._midnight = midnight
            self._parts.pop("today", None)
        self._read(
            {
                "total": record_questions.profit(everything, "strategy"),
                "today": record_questions.profit(today, "strategy"),
                "last_fill": LAST_FILLS,
                "curve": _curve(now),
                "executions": COUNTS,
            }
        )
        self._see_peaks(now)
        waiting = self._match({row["account"]: int(row["executions"]) for row in self._rows_of("executions")}, now)
        parts = self._parts.items()
        problems = {name: part.problem for name, part in parts if part.problem}
        if missing := self._records.missing():
            problems["history"] = missing
        return {
            "day": midnight.date(),
            "as_of": min((part.as_of for _, part in parts if part.as_of is not None), default=None),
            "problems": problems,
            "pairs_waiting": waiting,
            "pairs_as_of": min((grid.as_of for grid in self._grids.values() if grid.is_known), default=None),
            "pairs_unknown": sorted(
                name for name, grid in self._grids.items() if not grid.is_known and grid.executions != AGAIN
            ),
            "strategies": self._strategies(midnight.date()),
            "accounts": self._accounts(self._rows_of("curve")),
            "curve_s": CURVE_S,
            "curve_parts": CURVE_PARTS,
        }

    def _strategies(self, today: date) -> list[Row]:
        found: dict[Key, Row] = {}
        for name in ("total", "today"):
            for row in self._rows_of(name):
                sums = found.setdefault(_key(row), {}).setdefault(name, _nothing())
                for column in _nothing():
                    sums[column] += row[column]
        for row in self._rows_of("last_fill"):
            found.setdefault(_key(row), {})["last_fill"] = row["last_fill"]
        for key, each in found.items():
            for name in ("total", "today"):
                if self._is_read(name):
                    each.setdefault(name, _nothing())["grid"] = self._grid(key, today if name == "today" else None)
        return [
            {"account": account, "money": money, "strategy": strategy, **values}
            for (account, money, strategy), values in sorted(found.items())
        ]

    def _grid(self, key: Key, day: date | None) -> Decimal | None:
        grid = self._grids.get(key[0])
        if grid is None:  # without an execution there is no pair
            return ZERO if self._is_read("executions") and key[0] not in self._accounts_that_traded() else None
        if not grid.is_known:
            return None
        return grid.total.get(key, ZERO) if day is None else grid.days.get((key, day), ZERO)

    def _accounts_that_traded(self) -> set[str]:
        return {row["account"] for row in self._rows_of("executions")}

    def _accounts(self, rows: Iterable[Row]) -> list[Row]:
        found: dict[tuple[str, str], Row] = {
            (account, money): {"account": account, "money": money, "highest": highest, "curve": []}
            for (account, money), highest in self._peaks.items()
        }
        for row in rows:
            key = (row["account"], row["money"])
            each = found.setdefault(key, {"account": key[0], "money": key[1], "highest": row["equity"], "curve": []})
            each["curve"].append([row["part"], round(float(row["equity"]), 2)])
        return [found[key] for key in sorted(found)]

    def _read(self, statements: Mapping[str, str]) -> None:
        """One after the other: the file is held for each of them alone, and the writer has its turn in between."""
        for name, statement in statements.items():
            self._part(name, statement)

    def _part(self, name: str, statement: str) -> None:
        part = self._parts.setdefault(name, _Part())
        try:
            part.rows = self._rows(statement)
            part.as_of, part.problem = self._seen(), ""
        except HoldOver:
            part.problem = BUSY
        except (TooLong, Unreadable) as error:
            part.problem = str(error) or TOO_LONG

    def _rows_of(self, name: str) -> list[Row]:
        return self._parts[name].rows

    def _is_read(self, name: str) -> bool:
        return self._parts[name].as_of is not None

    def _rows(self, statement: str) -> list[Row]:
        with self._records.reading() as con:
            return _fetched(con, statement)

    # -- the highest equity

    def _see_peaks(self, now: datetime) -> None:
        """Month by month from the first record on; what was seen stays seen. Months without records are passed over: a
        machine that began in 1970, before it knew the time, has hundreds.
        """
        part = self._parts.setdefault("highest", _Part())
        try:
            begin = self._peaks_until
            if begin is None:
                [row] = self._rows("SELECT min(local_ts) AS first FROM run_events")
                begin = row["first"]
            while begin is not None and begin <= now:
                end = begin + timedelta(days=PEAK_DAYS)
                rows = self._rows(_peaks(begin, end))
                for row in rows:
                    key = (row["account"], row["money"])
                    self._peaks[key] = max(self._peaks.get(key, row["highest"]), row["highest"])
                self._peaks_until = begin = min(end, now - PEAK_OVERLAP) if end > now else end
                if end > now:
                    break
                if not rows:
                    [row] = self._rows(f"SELECT min(local_ts) AS first FROM wallets WHERE local_ts >= {_time(end)}")
                    begin = row["first"] or now
            part.as_of, part.problem = self._seen(), ""
        except (TooLong, Unreadable) as error:
            part.problem = str(error) or TOO_LONG

    # -- matched pairs

    def _match(self, counts: Mapping[str, int], now: datetime) -> int:
        """See to the accounts that have new executions, those first that wait longest; returns how many still wait."""
        for account in self._grids.keys() - counts.keys():
            del self._grids[account]
        for account, grid in self._grids.items():
            if grid.executions == counts[account]:
                grid.as_of = now
        changed = [name for name, count in counts.items() if not self._is_matched(name, count)]
        changed.sort(key=lambda name: grid.as_of if (grid := self._grids.get(name)) else NEVER)
        until_s = self._clock() + GRID_TURN_S
        while changed:
            began_s, is_new = self._clock(), changed[0] not in self._grids
            if began_s >= until_s or (not is_new and began_s < self._grid_next_s):
                break
            together = _few(changed, counts, is_new, self._grids)
            self._match_some({name: counts[name] for name in together}, now)
            if not is_new:
                self._grid_next_s = self._clock() + (self._clock() - began_s) / GRID_SHARE
            changed = changed[len(together) :]
        return len(changed)

    def _is_matched(self, account: str, count: int) -> bool:
        grid = self._grids.get(account)
        return grid is not None and grid.executions == count

    def _match_some(self, counts: Mapping[str, int], now: datetime) -> None:
        asked = Asked(tuple(map(Addressed, counts)))
        copied = {table: f"SELECT {columns} FROM {table} WHERE {asked.where()}" for table, columns in COPIED.items()}
        grids = {account: _Grid(count, now) for account, count in counts.items()}
        self._grids.update(grids)
        try:
            with self._records.apart(copied, PAIRS, within_s=GRID_MOST_S) as con:
                rows = _fetched(con, record_questions.grid_profit(asked, "strategy", "day"))
        except (HoldOver, Unreadable):
            for grid in grids.values():
                grid.executions = AGAIN  # when it is their turn
            return
        except TooLong:
            return
        for grid in grids.values():
            grid.is_known = True
        oldest = now.date() - timedelta(days=KEPT_DAYS)
        for row in rows:
            key, day, profit = _key(row), row["day"], row["grid_profit"]
            grid = grids[key[0]]
            grid.total[key] = grid.total.get(key, ZERO) + profit
            if day >= oldest:
                grid.days[key, day] = grid.days.get((key, day), ZERO) + profit


def _few(changed: Sequence[str], counts: Mapping[str, int], is_new: bool, known: Container[str]) -> list[str]:
    """The first of them, and those after it that are as new and quickly done together with it."""
    found: list[str] = []
    room = TOGETHER
    for account in changed:
        room -= counts[account]
        if found and (room < 0 or (account not in known) != is_new):
            break
        found.append(account)
    return found


def _fetched(con: duckdb.DuckDBPyConnection, statement: str) -> list[Row]:
    cursor = con.execute(statement)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _nothing() -> Row:
    return {"realised": ZERO, "fees": ZERO, "funding": ZERO, "net": ZERO, "fills": 0}


def _key(row: Mapping[str, Any]) -> Key:
    return str(row["account"]), str(row["money"]), str(row["strategy"])


PAIRS: Final = ("grid_trades", "shadow_grid_trades")
COUNTS: Final = (
    "SELECT account, sum(executions) AS executions FROM daily_sums WHERE exec_type = 'Trade' GROUP BY account"
)
LAST_FILLS: Final = f"""
    SELECT done.account, strategy, CASE WHEN shadow THEN 'shadow' WHEN environment = 'mainnet' THEN 'real'
        ELSE coalesce(environment, 'unknown') END AS money, max(exchange_ts) AS last_fill
    FROM executions AS done
    JOIN (SELECT account, strategy, shadow, max(day) AS day FROM daily_sums
        WHERE exec_type = 'Trade' AND executions > 0 GROUP BY ALL) AS newest USING (account, strategy, shadow)
    LEFT JOIN {_PLACES} AS places USING (account, run_id)
    WHERE exec_type = 'Trade' AND exchange_ts >= newest.day GROUP BY ALL"""
"""Of an account that trades in another place now, only what it did on its newest day."""


def _time(moment: datetime) -> str:
    return f"TIMESTAMP {quote(moment.isoformat(sep=' '))}"


def _curve(now: datetime) -> str:
    part_s = CURVE_S // CURVE_PARTS
    first = int(now.replace(tzinfo=UTC).timestamp()) // part_s - CURVE_PARTS + 1
    begin = datetime.fromtimestamp(first * part_s, UTC).replace(tzinfo=None)
    return f"""
        SELECT wallets.account, {_MONEY}, epoch_us(local_ts) // {part_s * 1_000_000} - {first} AS part,
            arg_max(equity, seq) AS equity
        FROM wallets LEFT JOIN {_PLACES} AS places USING (account, run_id)
        WHERE equity IS NOT NULL AND local_ts >= {_time(begin)}
        GROUP BY ALL ORDER BY ALL"""


def _peaks(begin: datetime, end: datetime) -> str:
    return f"""
        SELECT account, {_MONEY}, max(highest) AS highest
        FROM (SELECT account, run_id, max(equity) AS highest FROM wallets
            WHERE equity IS NOT NULL AND local_ts >= {_time(begin)} AND local_ts < {_time(end)} GROUP BY ALL)
        LEFT JOIN {_PLACES} AS places USING (account, run_id) GROUP BY ALL"""
