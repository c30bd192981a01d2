"""Compares the sums that are kept by day with those that all executions and corrections give.

So it finds an execution or correction that was changed, added or taken away since it was stored, wherever it is: by its
count, its value (price times quantity), what it realised and what it cost, per UTC day, leg and kind. What it does not
see: changes that cancel each other within one such sum, and columns that are in none, such as ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from gridbot.store.rollups import NEW_CORRECTIONS, NEW_SUMS, SUM_KEYS, SUMMED
from gridbot.store.sql_columns import quote

__all__ = ["SumsDiffer", "sum_differences"]

AT_ONCE: Final = 5_000_000
"""Executions that one statement reads: the writer gets the file between two, after some 0.3 s."""

_KEYS: Final = ", ".join(SUM_KEYS)
_ROUNDED: Final = "CAST(1e-12 AS DECIMAL(38, 18))"
"""Volumes are rounded to 18 decimals each time some are added, so they may differ by less than this."""


@dataclass(frozen=True, slots=True)
class SumsDiffer:
    """Executions of a day, leg and kind that are others than those that were added up. Amounts are USDT."""

    day: date
    account: str
    strategy: str
    symbol: str
    direction: str
    shadow: bool
    exec_type: str
    is_maker: bool
    kept: int
    found: int
    kept_volume: Decimal
    found_volume: Decimal
    kept_net: Decimal
    found_net: Decimal

    def __str__(self) -> str:
        kind = f"{'shadow ' if self.shadow else ''}{self.exec_type}, {'maker' if self.is_maker else 'taker'}"
        return (
            f"executions of {self.account}/{self.strategy} {self.symbol} {self.direction} on {self.day} ({kind}): "
            f"expected {_told(self.kept, self.kept_volume, self.kept_net)} by the sums that were kept as they came, "
            f"got {_told(self.found, self.found_volume, self.found_net)}"
        )


def _told(count: int, volume: Decimal, net: Decimal) -> str:
    return f"{count} worth {volume.normalize():f} that bring {net.normalize():f}"


Ask = Callable[[str], list[tuple[Any, ...]]]
"""Answers a statement."""


def sum_differences(ask: Ask, accounts: Sequence[str] = ()) -> list[SumsDiffer]:
    """The sums that differ, of these accounts (none: of all). Some days at a time. Raise what `ask` raises."""
    days = ask("SELECT day, CAST(sum(executions) AS BIGINT) FROM daily_sums GROUP BY day ORDER BY day")
    return [SumsDiffer(*row) for span in _spans(days) for row in ask(_of_span(*span, accounts))]


def _spans(days: Iterable[tuple[date, int]]) -> Iterator[tuple[date | None, date | None]]:
    """Spans of days that together are all time, each with about `AT_ONCE` executions: the first day, and the first that
    is not in it any more."""
    since, executions = None, 0
    for day, count in days:
        if executions and executions + count > AT_ONCE:
            yield since, day
            since, executions = day, 0
        executions += count
    yield since, None


def _of_span(since: date | None, until: date | None, accounts: Sequence[str]) -> str:
    def within(day: str, kind: str) -> str:
        bounds = [f"{day} {sign} {kind} '{end}'" for sign, end in ((">=", since), ("<", until)) if end is not None]
        if accounts:
            bounds.append(f"account IN ({', '.join(map(quote, accounts))})")
        return " AND ".join(bounds) or "true"

    rows, days = within("exchange_ts", "TIMESTAMP"), within("day", "DATE")
    added = ", ".join(f"sum({name}) AS {name}" for name in SUMMED)
    differs = " OR ".join(f"kept.{name} IS DISTINCT FROM found.{name}" for name in SUMMED if name != "volume")
    both = ", ".join(
        f"coalesce({value}, 0)"
        for name in ("{0}.executions", "{0}.volume", "{0}.realised_pnl - {0}.fee")
        for value in map(name.format, ("kept", "found"))
    )
    return f"""
        WITH found AS (
            SELECT {_KEYS}, {added} FROM (
                {NEW_SUMS.format(rows=f"(SELECT * FROM executions WHERE {rows})")}
                UNION ALL {NEW_CORRECTIONS.format(rows=f"(SELECT * FROM corrections WHERE {rows})")}
                UNION ALL SELECT {_KEYS}, {", ".join(SUMMED)}, last_seq FROM removed_sums WHERE {days})
            GROUP BY ALL),
        kept AS (SELECT * FROM daily_sums WHERE {days})
        SELECT {_KEYS}, {both}
        FROM kept FULL JOIN found USING ({_KEYS})
        WHERE {differs} OR coalesce(abs(kept.volume - found.volume), 1) >= {_ROUNDED} ORDER BY ALL"""
