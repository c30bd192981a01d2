"""Compares the balance of each account with what its recorded executions add up to."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from supervisor.store.query import ask

__all__ = ["Balance", "check_balances"]

CENT: Final = Decimal("0.01")

_NEWEST: Final = """
    SELECT account, coin, ts, wallet_balance, expected, difference FROM ledger
    QUALIFY row_number() OVER (PARTITION BY account, coin ORDER BY seq DESC) = 1 ORDER BY account, coin"""

# Where the difference changed for good: it is the same on both sides of the step for three wallet rows.
_STEPS: Final = """
    SELECT account, ts, previous_ts, difference - previous AS step, wallet_balance, expected
    FROM (
        SELECT *, lag(difference) OVER rows AS previous, lag(ts) OVER rows AS previous_ts,
            lead(difference, 2) OVER rows AS later
        FROM ledger WINDOW rows AS (PARTITION BY account, coin ORDER BY seq))
    WHERE abs(difference - previous) >= 0.01 AND (later IS NULL OR abs(later - previous) >= 0.01)
    ORDER BY account, ts LIMIT 50"""


@dataclass(frozen=True, slots=True)
class Balance:
    """Newest wallet row of an account and what its executions say, in coin units."""

    account: str
    coin: str
    ts: str
    balance: Decimal
    expected: Decimal
    difference: Decimal

    @property
    def explained(self) -> bool:
        return abs(self.difference) < CENT


def check_balances(data_dir: Path) -> tuple[list[Balance], list[str]]:
    """Newest balances, and a line for each moment at which an unexplained difference began. Raise SqlFailed."""
    balances = [
        Balance(account, coin, f"{ts:%Y-%m-%d %H:%M:%S}", balance, expected, difference)
        for account, coin, ts, balance, expected, difference in ask(data_dir, _NEWEST).rows
    ]
    if all(balance.explained for balance in balances):
        return balances, []
    lines = [
        f"{account}: {step:+.2f} between {before:%Y-%m-%d %H:%M:%S} and {ts:%Y-%m-%d %H:%M:%S} "
        f"(balance {balance:.2f}, executions say {expected:.2f})"
        for account, ts, before, step, balance, expected in ask(data_dir, _STEPS).rows
    ]
    return balances, lines
