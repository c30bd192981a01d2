"""Compares the pairs that are kept with those that all executions give, leg by leg."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gridbot.store.grid_sql import grid_trades_sql, listed
from gridbot.store.grid_tables import TAILS
from gridbot.store.sql_columns import quote

__all__ = ["PairsDiffer", "differences"]

_COLUMNS: Final = "qty, open_price, close_price, profit, fees, net_profit, opened_at, closed_at"
_IDS: Final = "open_link_id, close_link_id, open_exec_id, close_exec_id"
_SUMS: Final = f"count(*) AS pairs, sum(profit) AS profit, sum(fees) AS fees, bit_xor(hash({_COLUMNS}, {_IDS})) AS rows"


@dataclass(frozen=True, slots=True)
class PairsDiffer:
    """A leg whose kept pairs are others than its executions give. Sums are USDT."""

    account: str
    strategy: str
    symbol: str
    direction: str
    shadow: bool
    kept: int
    expected: int
    kept_profit: Decimal
    expected_profit: Decimal
    error: str | None = None
    """Why the writer could not match its executions."""

    def __str__(self) -> str:
        what = "shadow_grid_trades" if self.shadow else "grid_trades"
        return (
            f"{what} of {self.account}/{self.strategy} {self.symbol} {self.direction}: expected {self.expected} pairs "
            f"with a profit of {self.expected_profit:f} by the executions, got {self.kept} with {self.kept_profit:f}"
            + (f"; those behind could not be matched: {self.error}" if self.error else "")
        )


Ask = Callable[[str], list[tuple[Any, ...]]]
"""Answers a statement."""


def differences(ask: Ask) -> list[PairsDiffer]:
    """The legs that differ, account by account, which bounds the memory. Raise what `ask` raises."""
    accounts = ask("SELECT DISTINCT account FROM daily_sums WHERE exec_type = 'Trade' ORDER BY 1")
    return [PairsDiffer(*row) for (account,) in accounts for row in ask(_of_account(f"account = {quote(account)}"))]


def _of_account(which: str) -> str:
    kept = " UNION ALL ".join(
        f"SELECT *, {shadow} AS shadow FROM {name} WHERE {which}"
        for shadow, name in (("false", "grid_trades"), ("true", "shadow_grid_trades"))
    )
    raw = grid_trades_sql(which, more="shadow,")
    return f"""
        WITH kept AS (SELECT {listed()}, {_SUMS} FROM ({kept}) GROUP BY ALL),
        raw AS (SELECT {listed()}, {_SUMS} FROM ({raw}) GROUP BY ALL)
        SELECT {listed()}, coalesce(kept.pairs, 0), coalesce(raw.pairs, 0), coalesce(kept.profit, 0),
            coalesce(raw.profit, 0), tail.error
        FROM kept FULL JOIN raw USING ({listed()}) LEFT JOIN {TAILS} AS tail USING ({listed()})
        WHERE kept.rows IS DISTINCT FROM raw.rows OR kept.pairs IS DISTINCT FROM raw.pairs
            OR tail.error IS NOT NULL ORDER BY ALL"""
