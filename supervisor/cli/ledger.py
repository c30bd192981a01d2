"""`gridbot-supervisor ledger check`: do the executions explain the balance, to the cent?"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbot.config.paths import find_config
from gridbot.exchange.environment import Environment
from supervisor.cli.options import config_option, records_option
from supervisor.cli.patient_client import PatientClient
from supervisor.control.control_client import ControlError
from supervisor.exit_codes import ExitCode
from supervisor.store.ledger_check import check_balances
from supervisor.store.query import SqlFailed

if TYPE_CHECKING:
    from gridbot.config.account_models import AccountConfig
    from gridbot.config.models import GridbotConfig
    from gridbot.exchange.listing import Unreadable
    from supervisor.store.address_pace import Paces
    from supervisor.store.exchange_ledger import AccountCheck
    from supervisor.store.exchange_views import ViewCheck

__all__ = ["ledger"]

VIEWS_REMEDY = (
    "What does not rest ends with --repair. What an order or leg has changed by stays until it changes again; "
    "`gridbot-supervisor restart ACCOUNT` reads all."
)


@click.group("ledger")
def ledger() -> None:
    """Money: what came in, what went out, whether it adds up."""


@ledger.command("check")
@records_option()
@click.option("--exchange", is_flag=True, help="Also compare each movement with the exchange's own transaction log.")
@click.option("--repair", is_flag=True, help="With --exchange: correct what differs, by records.")
@config_option("With --exchange: the configuration, for the keys.")
@click.option("--account", "accounts", multiple=True, help="With --exchange: only this account.")
def check_command(data_dir: Path, exchange: bool, repair: bool, config: str | None, accounts: tuple[str, ...]) -> None:
    """Compare each account's balance with its executions. Exit code 6 when a cent or more is unexplained.

    Deposits, withdrawals and trades made before the first wallet row's records show up as differences; with --exchange
    the transaction log tells them apart from what is missing. Only queries are sent to the exchange.

    --repair has the worker of each account correct what differs to the exchange's figures, and write the last row of
    orders that are recorded as open and do not rest; the bot has to run.
    """
    if repair and not exchange:
        raise click.UsageError("expected --repair together with --exchange: the exchange's figures are what counts")
    try:
        explained = _with_exchange(data_dir, config, accounts, repair) if exchange else _from_records(data_dir)
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    if not explained:
        sys.exit(ExitCode.DEGRADED)


def _from_records(data_dir: Path) -> bool:
    """Print the verdict of the records alone; whether every cent is explained. Raise SqlFailed."""
    balances, lines = check_balances(data_dir)
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


def _with_exchange(data_dir: Path, config: str | None, accounts: tuple[str, ...], repair: bool) -> bool:
    """Print where the exchange's log and the records differ. Raise SqlFailed; exits with 4 without a configuration."""
    from gridbot.config.errors import ConfigError
    from gridbot.config.loading import load_config
    from supervisor.store.address_pace import Paces
    from supervisor.store.exchange_ledger import check_with_exchange
    from supervisor.store.exchange_repair import repair_records

    try:
        settings = load_config(find_config(config), data_dir=str(data_dir))
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.CONFIG)
    logging.getLogger("gridbot").setLevel(logging.ERROR)  # the offset of each connection's clock is of no use here
    paces = Paces(settings)

    def check() -> list[AccountCheck]:
        return check_with_exchange(settings, data_dir, accounts, lambda: _paper_url(data_dir), paces)

    checks: Sequence[AccountCheck] = check()
    if repair:
        checks = repair_records(
            checks,
            check,
            lambda account, args: _correct(data_dir, account, args),
            click.echo,
        )
    read = {found.account for found in checks if found.comparison is not None}
    views = _views(
        settings, [account for account in settings.accounts if account.name in read], data_dir, paces, repair=repair
    )
    explained = True
    for found in checks:
        explained &= _show_movements(found)
        if found.account in read:
            explained &= _show_views(views[found.account])
    if not checks:
        click.echo("no account of the configuration has balances recorded here")
    return explained


def _show_movements(found: AccountCheck) -> bool:
    """Whether records and log have the same movements; what differs is printed."""
    if found.comparison is None:
        click.echo(f"{found.account}: not compared: {found.problem}")
        return False
    result = found.comparison
    verdict = "explained" if found.explained else f"UNEXPLAINED {result.unexplained:+.2f} USDT"
    apart = f", {result.later} newer than the records" if result.later else ""
    apart += f", {result.older} of ours older than the log" if result.older else ""
    click.echo(
        f"{found.account}: {result.agree} movements since {found.start:%Y-%m-%d %H:%M:%S} UTC agree with the "
        f"exchange's log{apart}; {len(result.transfers)} without an execution (transfers and the like): {verdict}"
    )
    _show_unreadable(found.unreadable)
    for each in found.corrected:
        click.echo(f"  corrected: {each.executions} executions by {each.net.normalize():+f} USDT: {each.reason}")
    for line in (*result.transfers, *result.lines):
        click.echo(f"  {line}")
    return found.explained


def _views(
    settings: GridbotConfig, accounts: Sequence[AccountConfig], data_dir: Path, paces: Paces, *, repair: bool
) -> Mapping[str, ViewCheck]:
    """Compare the views of these accounts with the exchange; with `repair` after what does not rest has ended."""
    from supervisor.store.exchange_ledger import PATIENT, connect
    from supervisor.store.exchange_repair import repair_orders
    from supervisor.store.exchange_views import check_views

    address = functools.cache(lambda: _paper_url(data_dir))

    def compare() -> Mapping[str, ViewCheck]:
        return check_views(
            settings,
            accounts,
            data_dir,
            lambda account: connect(account, address() if account.environment is Environment.PAPER else None),
            PATIENT,
            paces,
        )

    found = compare()
    if not repair:
        return found
    return repair_orders(found, compare, lambda account, args: _correct(data_dir, account, args), click.echo)


def _show_views(found: ViewCheck) -> bool:
    """Whether `open_orders` and `positions` are what the exchange has; what differs is printed."""
    if found.problem:
        click.echo(f"  open_orders and positions: not compared: {found.problem}")
    elif not found.lines:
        apart = "; symbols with rows that could not be read were left out" if found.unreadable else ""
        click.echo(f"  {found.orders} open_orders and {found.legs} positions are as the exchange has them{apart}")
    _show_unreadable(found.unreadable)
    for line in found.lines:
        click.echo(f"  DIFFERENT {line}")
    if found.lines:
        click.echo(f"  {VIEWS_REMEDY}")
    return not (found.lines or found.problem or found.unreadable)


def _show_unreadable(rows: Sequence[Unreadable]) -> None:
    if rows:
        click.echo(f"  {len(rows)} rows of the exchange could not be read: {rows[0]}")


def _correct(data_dir: Path, account: str, args: dict[str, str]) -> str:
    """Have the worker of an account correct its records; what it did. Raises LookupError when it did not."""
    try:
        with PatientClient(data_dir) as client:
            return str(client.worker(account, "correct", args).get("result"))
    except ControlError as error:
        raise LookupError(str(error)) from error


def _paper_url(data_dir: Path) -> str | None:
    """Where the running bot's paper exchange answers. Raises LookupError when no bot runs."""
    try:
        with PatientClient(data_dir) as client:
            paper = client.status().get("paper") or {}
    except ControlError as error:
        raise LookupError(str(error)) from error
    return paper.get("url")
