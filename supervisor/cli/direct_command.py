"""`--direct`: a command that needs the exchange alone, carried out by this process, when the supervisor is dead.

It takes the locks of the key and of the records like a worker, so whoever has the account is named and nothing is done.
What it holds and what it has sent is in the account's journal: the next worker finds it explained. Where a supervisor
answers that has the account, it is refused: the command without --direct does the same, also where a worker is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from gridbot.commands.targets import Addressed, FleetMember, accounts_of, listed
from gridbot.config.paths import find_config
from gridbot.doors.plain_text import one_line
from supervisor.cli.confirmation import require_confirmation
from supervisor.cli.fleet_command import Given, conclude, show_dry_run, show_outcome, tell_error
from supervisor.cli.options import load_with_secrets
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.target_options import addressed
from supervisor.control.control_client import ControlError, Denied, Failed, NotRunning, Refused, Unanswered
from supervisor.control.dry_rows import DIRECT, dry_rows
from supervisor.control.operator_name import asked_for, before_sudo, user_at_host
from supervisor.control.target_outcomes import Outcome
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.budget.address_budget import AddressBudget
    from gridbot.config.account_models import StrategyConfig
    from gridbot.config.models import GridbotConfig
    from gridbot.rescue.account_view import AccountView
    from gridbot.worker.spec import WorkerSpec

__all__ = ["give_directly"]

LONGEST_LINE = 2000
SUPERVISOR_S = 3.0
"""How long a supervisor that is there may take to say which accounts it has."""


def give_directly(config: str | None, data_dir: str | None, given: Given) -> ExitCode:
    """Do it here, and print what came of it; the exit code. Raises CommandError when nothing was done.

    Also raises the failure itself when there is one target alone.
    """
    try:
        settings, _ = load_with_secrets(find_config(config), data_dir)
        fleet = [
            FleetMember(
                account.name,
                tuple(strategy.strat_id for strategy in settings.strategies_of(account.name)),
                tuple(account.groups),
            )
            for account in settings.accounts
        ]
        targets = addressed(given.written, fleet)
        _no_supervisor_has(settings, targets, given.command.name)
        _no_paper_of_a_supervisor(settings, targets)
        if given.dry_run:
            rows = dry_rows(given.command, given.args, targets, asyncio.run(_as_it_is(settings, accounts_of(targets))))
            return show_dry_run(given, targets, rows)
        can_ask = not given.as_json and sys.stdin.isatty() and sys.stderr.isatty()
        ask = (lambda question: str(click.prompt(question, err=True))) if can_ask else None
        require_confirmation(given.command, accounts_of(targets), given.expect, ask)
    except CommandError as error:
        tell_error(given, error)
        raise
    return conclude(given, targets, asyncio.run(_all(settings, given, targets)))


def _no_supervisor_has(settings: GridbotConfig, targets: Sequence[Addressed], command: str) -> None:
    """Raises CommandError when a supervisor answers that has one of the accounts."""
    try:
        with PatientClient(settings.storage.data_dir, timeout=SUPERVISOR_S) as client:
            status = client.status()
    except ControlError:
        return  # there is none, or it hangs: the locks say whether its workers live
    theirs = {row["account"] for row in status["accounts"]}
    if there := [account for account in accounts_of(targets) if account in theirs]:
        text = (
            f"expected no supervisor for --direct, got one (pid {status['supervisor']['pid']}) that answers and has "
            f"{listed(there)}; give `{command}` without --direct: it also acts where a worker is dead or hangs"
        )
        raise CommandError(f"{text}; nothing was sent", ExitCode.REFUSED)


async def _all(settings: GridbotConfig, given: Given, targets: Sequence[Addressed]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}

    async def one(target: Addressed) -> None:
        began_s = time.monotonic()
        try:
            async with _permits(settings, target.account, len(accounts_of(targets))) as permits:
                text = await _one(settings, given, target, *permits)
            outcome = Outcome(str(target), text, None, time.monotonic() - began_s)
        except ControlError as failure:
            outcome = Outcome(str(target), "", failure, time.monotonic() - began_s)
        except Exception as error:  # noqa: BLE001 - told as its outcome: the other accounts are carried on
            what = one_line(f"{type(error).__name__}: {error}", LONGEST_LINE)
            failed = Failed(f"it broke off, look at the account: unexpected {what}")
            outcome = Outcome(str(target), "", failed, time.monotonic() - began_s)
        found[str(target)] = outcome
        show_outcome(given, targets, outcome)

    await asyncio.gather(*map(one, targets))
    return found


@contextlib.asynccontextmanager
async def _permits(settings: GridbotConfig, account: str, count: int) -> Any:
    """What one of `count` accounts may send of the address's requests: a budget, and who hears of a ban.

    A supervisor of other accounts lends it. Without one that answers all of the address is shared evenly.
    """
    from gridbot.budget.address_budget import AddressBudget
    from gridbot.system_ports import SystemClock
    from supervisor.control.guest import Guest

    limits, on_paper = settings.supervisor, settings.account(account).environment == "paper"
    requests = settings.paper.limits.ip_requests if on_paper else limits.requests_per_5s
    share = max(1, requests // count) if requests else None
    try:
        with PatientClient(settings.storage.data_dir, timeout=SUPERVISOR_S) as client:
            client.ping()
    except NotRunning:
        pass
    except ControlError:  # it hangs, and its workers may go on with what they were lent
        share = None if share is None else max(1, limits.share_of_others(requests) // count)
    else:
        async with Guest(settings.storage.data_dir, "paper" if on_paper else "bybit", share) as guest:
            yield guest.budget, guest.banned
        return
    budget = AddressBudget(SystemClock(), lambda message: None)
    budget.lease({"lent": share, "keep": None, "floor": 0, "ahead": 0})
    yield budget, lambda ban: None


async def _one(
    settings: GridbotConfig,
    given: Given,
    target: Addressed,
    budget: AddressBudget,
    on_ban: Callable[[Any], object],
) -> str:
    """What was done, as a sentence. Raises ControlError when it was not."""
    from gridbot.records.journal import JournalBusy
    from gridbot.rescue.rescue import Rescue, Said
    from gridbot.rescue.rescue_entry import locked
    from gridbot.state.key_lock import KeyRefused
    from gridbot.system_ports import SystemClock, SystemIds
    from gridbot.worker.fleet_link import FleetLink

    clock = SystemClock()
    answers: list[Mapping[str, Any]] = []

    def alert(level: str, key: str, text: str) -> None:
        click.echo(f"{target}: {level}: {one_line(text, LONGEST_LINE)}", err=True)

    spec = _spec(settings, target.account)
    who = asked_for(before_sudo(os.environ), user_at_host(os.getuid()))
    args = {**given.args, **({"strategy": target.strategy} if target.strategy else {})}
    fleet = FleetLink(clock, str(settings.account(target.account).environment), budget=budget, on_ban=on_ban)
    rescue = Rescue(spec, None, clock, SystemIds(), Said(answers.append, alert=alert), fleet)
    with contextlib.ExitStack() as stack:
        try:
            await locked(stack, spec, clock, 0.0)
            await rescue.run({"type": "command", "name": given.command.name, "args": args, "who": who})
        except (KeyRefused, JournalBusy) as refusal:
            hint = "where its supervisor answers, leave --direct out; a process that hangs can be ended by its pid"
            raise Denied(f"nothing was done: {refusal}; {hint}") from refusal
    answer = answers[-1]
    if answer["ok"]:
        return str(answer.get("result"))
    kind = Unanswered if answer.get("unanswered") else Refused
    raise kind(str(answer.get("error")))


async def _as_it_is(settings: GridbotConfig, accounts: Sequence[str]) -> dict[str, Any]:
    """The status model as far as `dry_rows` needs it, as the exchange has it; what cannot be read is unknown."""
    return {"accounts": await asyncio.gather(*(_account_as_it_is(settings, account) for account in accounts))}


async def _account_as_it_is(settings: GridbotConfig, account: str) -> dict[str, Any]:
    from gridbot.rescue.account_view import look_at

    seen = await look_at(_spec(settings, account))
    if seen.problem:
        click.echo(f"{account}: what it has is not known: {one_line(seen.problem, LONGEST_LINE)}", err=True)
    return {
        "account": account,
        "process": {"state": DIRECT},
        "strategies": [_strategy_row(each, seen) for each in settings.strategies_of(account)],
    }


def _strategy_row(strategy: StrategyConfig, seen: AccountView) -> dict[str, Any]:
    is_live = not strategy.shadow_mode
    sizes = {str(direction): size for (symbol, direction), size in seen.legs.items() if symbol == strategy.symbol}
    return {
        "strat_id": strategy.strat_id,
        "symbol": strategy.symbol,
        "mode": "live" if is_live else "shadow",
        "state": None,
        "open_orders": seen.orders.get(strategy.symbol, 0) if is_live and not seen.problem else None,
        **{leg: {"size": str(sizes.get(leg, 0)) if is_live else "0"} for leg in ("long", "short")},
    }


def _spec(settings: GridbotConfig, account: str) -> WorkerSpec:
    from gridbot.config.paper_secrets import of_account
    from gridbot.system_ports import SystemIds
    from gridbot.worker.spec import WorkerSpec

    return WorkerSpec(
        account=account,
        settings=of_account(settings, account),
        data_dir=settings.storage.data_dir,
        run_id=SystemIds().token(16),
        paper_url=f"http://127.0.0.1:{settings.paper.port}" if _on_paper(settings, account) else None,
        console=False,
    )


def _on_paper(settings: GridbotConfig, account: str) -> bool:
    return settings.account(account).environment == "paper"


def _no_paper_of_a_supervisor(settings: GridbotConfig, targets: Sequence[Addressed]) -> None:
    """A paper exchange has to run by itself (`paper`); the one in a supervisor has ended with it."""
    if not settings.paper.port and any(_on_paper(settings, account) for account in accounts_of(targets)):
        raise CommandError(
            "expected a paper exchange of its own for --direct, at paper.port of the file, got none: "
            "the one of a supervisor ends with it, and with it its orders",
            ExitCode.REFUSED,
        )
