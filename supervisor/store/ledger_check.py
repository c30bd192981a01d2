"""Compares the balance of each account with what its recorded executions add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from supervisor.store.query import ask, ask_all

__all__ = ["Balance", "Step", "check_balances", "lasting"]

CENT: Final = Decimal("0.01")
LOOK_BACK: Final = 1000
"""Steps among which those are looked for that a later step undoes."""

_NEWEST: Final = """
    SELECT account, coin, ts, wallet_balance, expected, difference FROM ledger
    QUALIFY row_number() OVER (PARTITION BY account, coin ORDER BY seq DESC) = 1 ORDER BY account, coin"""

_STEPS: Final = """
    SELECT account, coin, previous_ts, ts, previous, difference
    FROM (
        SELECT *, lag(difference) OVER rows AS previous, lag(ts) OVER rows AS previous_ts
        FROM ledger WINDOW rows AS (PARTITION BY account, coin ORDER BY seq))
    WHERE abs(difference - previous) >= 0.01
    ORDER BY account, coin, seq"""

_GAPS: Final = "SELECT account, sum(to_seq - from_seq + 1)::BIGINT FROM ingest_gaps GROUP BY account"


@dataclass(frozen=True, slots=True)
class Step:
    """The difference between balance and executions changed from `before` to `after`, between two wallet rows."""

    since: datetime
    until: datetime
    before: Decimal
    after: Decimal

    @property
    def size(self) -> Decimal:
        return self.after - self.before

    def __str__(self) -> str:
        return (
            f"{self.size:+.2f} between {self.since:%Y-%m-%d %H:%M:%S} and {self.until:%Y-%m-%d %H:%M:%S}: "
            f"the difference went from {self.before:+.2f} to {self.after:+.2f}"
        )


@dataclass(frozen=True, slots=True)
class Balance:
    """Newest wallet row of an account and what its executions say, in coin units.

    `steps` say where a difference comes from, the largest first; `missing` counts records that were lost.
    """

    account: str
    coin: str
    ts: str
    balance: Decimal
    expected: Decimal
    difference: Decimal
    steps: Sequence[Step] = ()
    missing: int = 0

    @property
    def explained(self) -> bool:
        return abs(self.difference) < CENT


def check_balances(data_dir: Path) -> list[Balance]:
    """The newest balance of each account and coin. Raise SqlFailed."""
    balances = [
        Balance(account, coin, f"{ts:%Y-%m-%d %H:%M:%S}", *amounts)
        for account, coin, ts, *amounts in ask(data_dir, _NEWEST).rows
    ]
    if all(balance.explained for balance in balances):
        return balances
    changes, gaps = ask_all(data_dir, [_STEPS, _GAPS])
    steps: dict[tuple[str, str], list[Step]] = {}
    for account, coin, *step in changes.rows:
        steps.setdefault((account, coin), []).append(Step(*step))
    missing = dict(gaps.rows)
    return [
        balance
        if balance.explained
        else replace(
            balance,
            steps=lasting(steps.get((balance.account, balance.coin), ())),
            missing=missing.get(balance.account, 0),
        )
        for balance in balances
    ]


def lasting(steps: Iterable[Step]) -> list[Step]:
    """Those that no later one has undone, the largest first: what the difference of today is made of.

    A wallet row often comes before the executions that it counts, or between them. So steps are undone together, when
    the difference is back where it was before them, and one by one, when a deposit came in between.
    """
    left: list[Step] = []
    for step in steps:
        recent = range(len(left) - 1, max(-1, len(left) - 1 - LOOK_BACK), -1)
        back = next((index for index in recent if abs(left[index].before - step.after) < CENT), None)
        alone = next((index for index in recent if abs(left[index].size + step.size) < CENT), None)
        if back is not None:
            del left[back:]
        elif alone is not None:
            del left[alone]
        else:
            left.append(step)
    return sorted(left, key=lambda step: -abs(step.size))
