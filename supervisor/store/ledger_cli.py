"""`gridbot-supervisor ledger check`: do the executions explain the balance, to the cent?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import click

from supervisor.exit_codes import ExitCode
from supervisor.store.sql_cli import SqlFailed, ask

__all__ = ["Balance", "check", "ledger"]

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


def check(data_dir: Path) -> tuple[list[Balance], list[str]]:
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


@click.group("ledger")
def ledger() -> None:
    """Money: what came in, what went out, whether it adds up."""


@ledger.command("check")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="GRIDBOT_DATA_DIR",
    default=Path("data"),
    show_default=True,
    help="Data directory of the bot.",
)
def check_command(data_dir: Path) -> None:
    """Compare each account's balance with its executions. Exit code 6 when a cent or more is unexplained.

    Deposits, withdrawals and trades made before the first wallet row's records show up as differences.
    """
    try:
        balances, lines = check(data_dir)
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    if not balances:
        click.echo("no balances are recorded yet")
    for balance in balances:
        verdict = "explained" if balance.explained else f"DIFFERENCE {balance.difference:+.2f}"
        click.echo(
            f"{balance.account}: {balance.balance:.2f} {balance.coin} at {balance.ts} UTC, "
            f"executions say {balance.expected:.2f}: {verdict}"
        )
    for line in lines:
        click.echo(f"  {line}")
    if not all(balance.explained for balance in balances):
        sys.exit(ExitCode.DEGRADED)
