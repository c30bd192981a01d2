"""`gridbot-supervisor ledger check`: do the executions explain the balance, to the cent?"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridbot.command_line import pasteable
from gridbot.commands.targets import accounts_of
from gridbot.commands.wording import did_you_mean, one_of
from gridbot.config.paths import data_directory, find_config
from gridbot.exchange.environment import Environment
from gridbot.store.reading import database_path
from supervisor.cli.known_fleet import known_fleet
from supervisor.cli.options import example, load_with_secrets, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.control.control_client import ControlError, NotRunning
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.ledger_check import check_balances, differing_pairs, differing_sums
from supervisor.store.query import SqlFailed

if TYPE_CHECKING:
    from gridbot.config.account_models import AccountConfig
    from gridbot.config.models import GridbotConfig
    from gridbot.exchange.bans import Ban
    from gridbot.exchange.listing import Unreadable
    from supervisor.store.address_pace import Paces
    from supervisor.store.exchange_ledger import AccountCheck
    from supervisor.store.exchange_views import ViewCheck

__all__ = ["ledger"]

VIEWS_REMEDY = (
    "What does not rest ends with --repair. What an order or leg has changed by stays until it changes again; "
    "`{restart}` reads all."
)

BEGUN_ANEW = (
    "the paper exchange began anew between {since:%Y-%m-%d %H:%M:%S} and {until:%Y-%m-%d %H:%M:%S}, with the balance "
    "of the configuration ({size:+.2f}): orders, positions and money of before ended with it (paper.state_file keeps "
    "them)"
)

BEGUN_BEFORE = (
    "the paper exchange has begun anew since: its log has nothing of before its TRANSFER_IN (paper.state_file keeps it)"
)

CHANGED_REMEDY = (
    "Rows or sums were changed by something else than gridbot. `{rebuild}` makes both anew from the journals that are "
    "kept, and adds up the rows that are older."
)


@click.group("ledger")
def ledger() -> None:
    """Money: what came in, what went out, whether it adds up."""


@ledger.command("check", epilog=example("ledger check --exchange alice"))
@place_options()
@target_options("ACCOUNT")
@click.option("--exchange", is_flag=True, help="Also compare each movement with the exchange's own transaction log.")
@click.option("--pairs", is_flag=True, help="Also compare the matched pairs that are kept with all executions.")
@click.option("--repair", is_flag=True, help="With --exchange: correct what differs, by records.")
@click.option("--account", "accounts", multiple=True, help="The same as ACCOUNT; may be repeated.")
@click.option(
    "--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Lines of one kind and account; 0: all."
)
def check_command(
    config: str | None,
    data_dir: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    exchange: bool,
    pairs: bool,
    repair: bool,
    accounts: tuple[str, ...],
    rows: int,
) -> None:
    """Compare each account's balance with its executions, and all executions with what was added up as they came.

    Exit code 0: explained. 8: a cent or more is not, or something differs. 6: what could be compared agrees, and an
    account could not be. 9: nothing to compare.

    A paper exchange without paper.state_file begins anew with each start: that is said, and is no difference.

    Deposits, withdrawals and trades made before the first wallet row's records show up as differences; with --exchange
    the transaction log tells them apart from what is missing. Only queries are sent to the exchange, with the keys of
    the configuration; where a supervisor runs in the data directory, those of its own.

    --pairs works the pairs of grid_trades out from all executions, and says where those that are kept beside them are
    others (8). `rebuild` makes them anew.

    --repair has the worker of each account correct what differs to the exchange's figures, and write the last row of
    orders that are recorded as open and do not rest; the bot has to run.
    """
    if repair and not exchange:
        raise click.UsageError("expected --repair together with --exchange: the exchange's figures are what counts")
    place = data_directory(data_dir, config)
    written = target_words(targets, groups, everything)
    if not written.are_none:
        found = addressed(written, known_fleet(place, config), whole_for="ledger check")
        accounts = tuple(dict.fromkeys((*accounts, *accounts_of(found))))
    try:
        differing = differing_pairs(place) if pairs else []
        for each in differing:
            click.echo(f"DIFFERS: {each}")
        if pairs and not differing:
            click.echo("matched pairs: those that are kept are those that the executions give")
        if exchange:
            code = _alone_with_exchange(place, config, accounts, repair, rows)
        else:
            code = _from_records(place, accounts, rows)
            if code == ExitCode.DIFFERS:
                more = pasteable("ledger check --exchange", config=config, data_dir=data_dir)
                click.echo(f"`{more}` says which movements these are")
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    sys.exit(ExitCode.DIFFERS if differing else code)


def _require_known(accounts: Sequence[str], known: Sequence[str]) -> None:
    """A name that nobody has is a mistake of the command line, also beside right ones."""
    for name in accounts:
        if name not in known:
            meant = did_you_mean(name, known)
            raise click.UsageError(f"--account: expected {one_of(sorted(known))}, got {name!r}{meant}")


def _from_records(data_dir: Path, accounts: Sequence[str], rows: int) -> ExitCode:
    """Print the verdict of the records alone. Raise SqlFailed."""
    balances = check_balances(data_dir)
    if accounts and balances:
        _require_known(accounts, list(dict.fromkeys(balance.account for balance in balances)))
        balances = [balance for balance in balances if balance.account in accounts]
    for balance in balances:
        verdict = "explained" if balance.explained else f"DIFFERENCE {balance.difference:+.2f}"
        click.echo(
            f"{balance.account}: {balance.balance:.2f} {balance.coin} at {balance.ts} UTC, "
            f"executions say {balance.expected:.2f}: {verdict}"
        )
        for step in balance.begun_anew:
            click.echo(f"  {BEGUN_ANEW.format(since=step.since, until=step.until, size=step.size)}")
        if balance.missing:
            click.echo(
                f"  {balance.missing} records of {balance.account} are lost (ingest_gaps): fills may be among them"
            )
        _show_lines([f"{balance.account}: {step}" for step in balance.steps], rows)
    if changed := differing_sums(data_dir, accounts):
        click.echo(f"DIFFERENT: {len(changed)} sums of a day and leg are others than the executions there give")
        _show_lines([str(each) for each in changed], rows)
        click.echo(f"  {CHANGED_REMEDY.format(rebuild=pasteable('rebuild', data_dir=data_dir))}")
        return ExitCode.DIFFERS
    if not balances:
        click.echo("no balances are recorded yet: nothing to compare")
        return ExitCode.NOTHING
    if all(balance.explained for balance in balances):
        return ExitCode.OK
    return ExitCode.DIFFERS


def _show_lines(lines: Sequence[str], rows: int) -> None:
    """The first `rows` of them (0: all), and how many more there are."""
    shown = lines[:rows] if rows else lines
    for line in shown:
        click.echo(f"  {line}")
    if len(shown) < len(lines):
        click.echo(f"  ... and {len(lines) - len(shown)} more; --rows 0 shows all")


@contextlib.contextmanager
def _only_errors() -> Iterator[None]:
    """What connections say of themselves, such as the offset of a clock, is of no use here."""
    log = logging.getLogger("gridbot")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _alone_with_exchange(data_dir: Path, *how: Any) -> ExitCode:
    """Raise SqlFailed; exits with 4 without a configuration."""
    from supervisor.store.address_pace import only_check

    if not database_path(data_dir).exists():  # before a mistyped directory is made for the secrets
        wanted = "start the bot first (its writer makes it within seconds)"
        raise SqlFailed(f"there is no database in {data_dir} yet; {wanted}", ExitCode.NOT_RUNNING)
    with only_check(data_dir):
        return _with_exchange(data_dir, *how)


@_only_errors()
def _with_exchange(data_dir: Path, config: str | None, accounts: tuple[str, ...], repair: bool, rows: int) -> ExitCode:
    """Print where the exchange's log and the records differ. Raise SqlFailed; exits with 4 without a configuration."""
    from supervisor.control.guest import Guest
    from supervisor.store.address_pace import Paces
    from supervisor.store.exchange_ledger import check_with_exchange
    from supervisor.store.exchange_repair import repair_records

    try:
        settings, _ = load_with_secrets(Path(_running_config(data_dir, config) or find_config(config)), str(data_dir))
    except CommandError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.code)
    _require_known(accounts, [account.name for account in settings.accounts])

    def guest(exchange: str, spare: int | None, on_ban: Callable[[Ban], object]) -> Guest:
        return Guest(data_dir, exchange, spare, on_ban=on_ban)

    paces = Paces(settings, data_dir, guest)

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
    verdicts: list[bool | None] = []
    for found in checks:
        verdicts.append(_show_movements(found, rows))
        if found.account in read:
            verdicts.append(
                _show_views(views[found.account], rows, pasteable(f"restart {found.account}", data_dir=data_dir))
            )
    if not checks:
        wanted = ", ".join(accounts or (account.name for account in settings.accounts))
        click.echo(f"nothing to compare: {data_dir} has no balances of the accounts {wanted}")
    return _exit_code(verdicts)


def _exit_code(verdicts: Sequence[bool | None]) -> ExitCode:
    """Of what was compared; None stands for what could not be."""
    if False in verdicts:
        return ExitCode.DIFFERS
    if True not in verdicts:
        return ExitCode.NOTHING
    return ExitCode.DEGRADED if None in verdicts else ExitCode.OK


def _show_movements(found: AccountCheck, rows: int) -> bool | None:
    """Whether records and log have the same movements (None: not compared); what differs is printed, largest first."""
    if found.comparison is None:
        click.echo(f"{found.account}: not compared: {found.problem}")
        return None
    result = found.comparison
    lines = result.lines
    verdict = "explained"
    if lines:
        verdict = f"DIFFERENT: {len(lines)} movements, {result.unexplained:+.2f} USDT in all"
    elif found.unreadable:
        verdict = "NOT KNOWN: not all of the log could be read"
    apart = f", {result.later} newer than the records" if result.later else ""
    apart += f", {result.older} of ours older than the log" if result.older else ""
    click.echo(
        f"{found.account}: {result.agree} movements since {found.start:%Y-%m-%d %H:%M:%S} UTC agree with the "
        f"exchange's log{apart}; {len(result.transfers)} without an execution (transfers and the like): {verdict}"
    )
    _show_unreadable(found.unreadable)
    _show_lines(lines, rows)
    for each in found.corrected:
        click.echo(f"  corrected: {each.executions} executions by {each.net.normalize():+f} USDT: {each.reason}")
    _show_lines(result.transfers, rows)
    if result.older and found.on_paper:
        click.echo(f"  {BEGUN_BEFORE}")
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
            lambda account: connect(account, address() if account.environment is Environment.PAPER else None, paces),
            PATIENT,
            paces,
        )

    found = compare()
    if not repair:
        return found
    return repair_orders(found, compare, lambda account, args: _correct(data_dir, account, args), click.echo)


def _show_views(found: ViewCheck, rows: int, restart: str) -> bool | None:
    """Whether `open_orders` and `positions` are what the exchange has (None: not compared); what differs is printed."""
    if found.problem:
        click.echo(f"  open orders and positions: not compared: {found.problem}")
    elif not found.lines:
        apart = "; symbols with rows that could not be read were left out" if found.unreadable else ""
        click.echo(f"  {found.orders} open orders and {found.legs} positions are as the exchange has them{apart}")
    _show_unreadable(found.unreadable)
    _show_lines([f"DIFFERENT {line}" for line in found.lines], rows)
    if found.lines:
        click.echo(f"  {VIEWS_REMEDY.format(restart=restart)}")
    if found.problem:
        return None
    return not (found.lines or found.unreadable)


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


def _running_config(data_dir: Path, config: str | None) -> str | None:
    """The configuration file of the supervisor that runs there: it is the one that counts. None when none runs.

    When it runs and does not answer the user's `config` has to do; without one, raises ControlError.
    """
    try:
        with PatientClient(data_dir) as client:
            return client.status()["supervisor"].get("config") or None
    except NotRunning:
        return None
    except ControlError:
        if config is None:
            raise
        return None


def _paper_url(data_dir: Path) -> str | None:
    """Where the running bot's paper exchange answers. Raises LookupError when no bot runs."""
    try:
        with PatientClient(data_dir) as client:
            paper = client.status().get("paper") or {}
    except ControlError as error:
        raise LookupError(str(error)) from error
    return paper.get("url")
