"""`gridbot-supervisor ledger check`: do the executions explain the balance, to the cent?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import click

from supervisor.cli.sql import SqlFailed, ask
from supervisor.exit_codes import ExitCode

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


_PLACE: Final = click.Path(path_type=Path)


@ledger.command("check")
@click.option(
    "--data-dir",
    type=_PLACE,
    envvar="GRIDBOT_DATA_DIR",
    default=Path("data"),
    show_default=True,
    help="Data directory of the bot.",
)
@click.option("--exchange", is_flag=True, help="Also compare each movement with the exchange's own transaction log.")
@click.option("-c", "--config", envvar="GRIDBOT_CONFIG_PATH", help="With --exchange: the configuration, for the keys.")
@click.option("--account", "accounts", multiple=True, help="With --exchange: only this account.")
def check_command(data_dir: Path, exchange: bool, config: str | None, accounts: tuple[str, ...]) -> None:
    """Compare each account's balance with its executions. Exit code 6 when a cent or more is unexplained.

    Deposits, withdrawals and trades made before the first wallet row's records show up as differences; with --exchange
    the transaction log tells them apart from what is missing. Nothing is sent but questions.
    """
    try:
        explained = _with_exchange(data_dir, config, accounts) if exchange else _from_records(data_dir)
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    if not explained:
        sys.exit(ExitCode.DEGRADED)


def _from_records(data_dir: Path) -> bool:
    """Print the verdict of the records alone; whether every cent is explained. Raise SqlFailed."""
    balances, lines = check(data_dir)
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
    return all(balance.explained for balance in balances)


def _with_exchange(data_dir: Path, config: str | None, accounts: tuple[str, ...]) -> bool:
    """Print what the exchange's log and the records tell differently. Raise SqlFailed; exits with 4 without a file."""
    from gridbot.config.loading import ConfigError, find_config, load_config
    from supervisor.store.exchange_ledger import check_with_exchange

    try:
        settings = load_config(find_config(config), data_dir=str(data_dir))
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.CONFIG)
    explained, compared = True, False
    for found in check_with_exchange(settings, data_dir, accounts):
        compared = True
        if found.comparison is None:
            explained = False
            click.echo(f"{found.account}: not compared: {found.problem}")
            continue
        result = found.comparison
        verdict = f"UNEXPLAINED {result.unexplained:+.2f} USDT" if result.lines else "explained"
        apart = f", {result.later} newer than the records" if result.later else ""
        apart += f", {result.older} of ours older than the log" if result.older else ""
        click.echo(
            f"{found.account}: {result.agree} movements since {found.start:%Y-%m-%d %H:%M:%S} UTC agree with the "
            f"exchange's log{apart}; {len(result.transfers)} are no executions: {verdict}"
        )
        for line in (*result.transfers, *result.lines):
            click.echo(f"  {line}")
        explained &= not result.lines
    if not compared:
        click.echo("no account of the configuration has balances recorded here")
    return explained
