"""A span of an account in SQL: its condition, and how curves of any length are thinned. Pure.

The file is held only while DuckDB works, and a year of prices has 30 million rows: curves are thinned there, to the
rows of each bucket of time at which something was first, last, lowest or highest. A drawn curve has every extreme.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridbot.report.report_span import Asked

__all__ = ["AT", "FEWEST_BUCKETS", "Span", "literal"]

MOST_BUCKETS: Final = 300
FEWEST_BUCKETS: Final = 40
ALL_BUCKETS: Final = 1200
"""Buckets of all strategies together: what keeps the file below 2 MB."""

AT: Final = "coalesce(exchange_ts, local_ts)"


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def _time(ms: int) -> str:
    return f"make_timestamp({ms * 1000})"


class Span:
    """Conditions of a span. `strategies`: how many the curves of the page belong to."""

    def __init__(self, asked: Asked, strategies: int) -> None:
        self.account = f"account = {literal(asked.account)}"
        self.start, self.end = _time(asked.from_ms), _time(asked.to_ms)
        self.from_ms, self.length_ms = asked.from_ms, asked.length_ms
        self.buckets = min(MOST_BUCKETS, max(FEWEST_BUCKETS, ALL_BUCKETS // max(1, strategies)))
        named = "" if asked.strategy is None else f" AND strategy IN ('', {literal(asked.strategy)})"
        self.own_or_whole = named
        """The strategy's own rows, and those that are about the whole account."""
        self.own = "" if asked.strategy is None else f" AND strategy = {literal(asked.strategy)}"

    def bucket(self, buckets: int) -> int:
        """Length of each of so many parts of the span, ms."""
        return max(1, -(-self.length_ms // buckets))

    def within(self, at: str = AT) -> str:
        """The condition that a row of this account lies in the span."""
        return f"{self.account} AND {at} >= {self.start} AND {at} < {self.end}"

    def thinned(self, rows: str, columns: str, extremes: Sequence[str], keys: str = "") -> str:
        """The rows at which something is first, last, lowest or highest in a bucket of time.

        `rows` has `at_ms`, `seq` and all `columns` and `keys`; the order is that of time.
        """
        names = ["at_ms", "seq", *columns.split(", ")]
        pack = "{" + ", ".join(f"'{name}': {name}" for name in names) + "}"
        picks = ["arg_min(p, seq)", "arg_max(p, seq)"]
        picks += [f"{pick}(p, {name})" for name in extremes for pick in ("arg_min", "arg_max")]
        before = f"{keys}, " if keys else ""
        number = f"(at_ms - {self.from_ms}) // {self.bucket(self.buckets)}"
        unpacked = ", ".join(f"p.{name} AS {name}" for name in names)
        return f"""
            SELECT DISTINCT {before}{unpacked} FROM (
                SELECT {before}unnest([{", ".join(picks)}]) AS p FROM (
                    SELECT *, {pack} AS p, {number} AS bucket FROM ({rows}))
                GROUP BY {before}bucket)
            WHERE p IS NOT NULL ORDER BY {before}at_ms, seq"""
