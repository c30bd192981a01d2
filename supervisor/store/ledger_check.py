"""Compares the balance of each account with what its recorded executions add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from gridbot.store.grid_check import PairsDiffer, differences
from gridbot.store.schema import quote
from gridbot.store.sums_check import SumsDiffer, sum_differences
from supervisor.store.query import Limits, ask, ask_all

__all__ = ["Balance", "Step", "check_balances", "differing_pairs", "differing_sums", "lasting"]

CENT: Final = Decimal("0.01")
PAIRS_LIMITS: Final = Limits(timeout_s=900.0, memory="2GB")
"""All pairs of an account are worked out at once."""
LOOK_BACK: Final = 1000
"""Steps among which those are looked for that a later step undoes."""

_ENDS: Final = """
    SELECT account, coin, arg_min(ts, seq), arg_max(ts, seq), arg_min(wallet_balance, seq), arg_max(wallet_balance, seq)
    FROM (SELECT account, coin, seq, coalesce(exchange_ts, local_ts) AS ts, wallet_balance FROM wallets
        WHERE wallet_balance IS NOT NULL)
    GROUP BY ALL ORDER BY ALL"""
"""The first and the newest wallet row of each account and coin."""

_STEPS: Final = """
    WITH opened AS (
        SELECT DISTINCT account, TRY_CAST(config ->> '$.account.balance' AS DECIMAL(38, 12)) AS balance
        FROM runs WHERE environment = 'paper')
    SELECT steps.account, coin, previous_ts, ts, previous, difference, opened.balance IS NOT NULL
    FROM (
        SELECT *, lag(difference) OVER rows AS previous, lag(ts) OVER rows AS previous_ts
        FROM ledger WINDOW rows AS (PARTITION BY account, coin ORDER BY seq)) AS steps
    LEFT JOIN opened ON opened.account = steps.account AND coin = 'USDT' AND balance = wallet_balance
    WHERE abs(difference - previous) >= 0.01
    ORDER BY steps.account, coin, seq"""
"""The last column: whether the balance is then the one with which the paper exchange opens the account."""

_GAPS: Final = "SELECT account, sum(to_seq - from_seq + 1)::BIGINT FROM ingest_gaps GROUP BY account"


@dataclass(frozen=True, slots=True)
class Step:
    """The difference between balance and executions changed from `before` to `after`, between two wallet rows.

    `begins_anew`: the account was then as the paper exchange opens it.
    """

    since: datetime
    until: datetime
    before: Decimal
    after: Decimal
    begins_anew: bool = False

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

    `steps` say where a difference comes from, the largest first; `missing` counts records that were lost. `begun_anew`
    is when (between two wallet rows) a paper exchange without a state file began again: with the balance of its
    configuration, and nothing of what was before. What the balance changed by then is none of the `difference`.
    """

    account: str
    coin: str
    ts: str
    balance: Decimal
    expected: Decimal
    difference: Decimal
    steps: Sequence[Step] = ()
    missing: int = 0
    begun_anew: Sequence[Step] = ()

    @property
    def explained(self) -> bool:
        return abs(self.difference) < CENT


def check_balances(data_dir: Path) -> list[Balance]:
    """The newest balance of each account and coin. Raise SqlFailed."""
    ends = ask(data_dir, _ENDS).rows
    nets: dict[tuple[str, datetime], Decimal] = {}
    if ends:
        moments = sorted({(account, ts) for account, _, first_ts, ts, *_ in ends for ts in (first_ts, ts)})
        nets = {(account, ts): net for account, ts, net in ask(data_dir, _nets(moments)).rows}
    balances = []
    for account, coin, first_ts, ts, first, newest in ends:
        expected = first + nets[account, ts] - nets[account, first_ts]
        balances.append(Balance(account, coin, f"{ts:%Y-%m-%d %H:%M:%S}", newest, expected, newest - expected))
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
        else _with_causes(balance, steps.get((balance.account, balance.coin), ()), missing.get(balance.account, 0))
        for balance in balances
    ]


def _with_causes(balance: Balance, steps: Sequence[Step], missing: int) -> Balance:
    """What its difference is made of, beside what a new beginning of the paper exchange explains."""
    anew = [step for step in steps if step.begins_anew]
    others: list[Step] = []
    moved = Decimal(0)
    for step in steps:
        if step.begins_anew:
            moved += step.size
        else:
            others.append(replace(step, before=step.before - moved, after=step.after - moved))
    found = replace(
        balance, expected=balance.expected + moved, difference=balance.difference - moved, begun_anew=tuple(anew)
    )
    return found if found.explained else replace(found, steps=lasting(others), missing=missing)


def differing_pairs(data_dir: Path) -> list[PairsDiffer]:
    """Legs whose kept pairs are others than all executions give. Raise SqlFailed."""
    return differences(lambda statement: ask(data_dir, statement, PAIRS_LIMITS).rows)


def differing_sums(data_dir: Path, accounts: Sequence[str] = ()) -> list[SumsDiffer]:
    """Sums of a day, by which `check_balances` goes, that are others than its executions give. Raise SqlFailed."""
    return sum_differences(lambda statement: ask(data_dir, statement).rows, accounts)


def _nets(moments: Sequence[tuple[str, datetime]]) -> str:
    """Statement of what an account's executions add up to by each of these moments (UTC): of the days before it from
    the sums that the writer keeps, of its own day from the executions. So it looks at no other day's rows."""
    values = ", ".join(f"({quote(account)}, TIMESTAMP {quote(ts.isoformat(sep=' '))})" for account, ts in moments)
    parts = [
        """SELECT moments.account, ts, realised_pnl - fee AS net
            FROM daily_sums AS sums JOIN moments ON moments.account = sums.account AND day < CAST(ts AS DATE)
            WHERE NOT shadow"""
    ]
    for day in sorted({ts.date() for _, ts in moments}):
        begin, end = (f"TIMESTAMP {quote(f'{each} 00:00:00')}" for each in (day, day + timedelta(days=1)))
        parts.append(
            f"""SELECT moments.account, ts, realised_pnl - fee
            FROM corrected_executions AS done JOIN moments
            ON moments.account = done.account AND done.exchange_ts <= ts AND CAST(ts AS DATE) = DATE {quote(str(day))}
            WHERE NOT shadow AND done.exchange_ts >= {begin} AND done.exchange_ts < {end}"""
        )
    return f"""
        WITH moments(account, ts) AS (VALUES {values})
        SELECT account, ts, coalesce(sum(net), 0) FROM moments LEFT JOIN ({" UNION ALL ".join(parts)})
        USING (account, ts) GROUP BY ALL"""


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
