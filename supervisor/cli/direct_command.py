"""`--direct`: a command that needs the exchange alone, carried out by this process, when the supervisor is dead.

It takes the locks of the key and of the records like a worker, so whoever has the account is named and nothing is done.
What it holds and what it has sent is in the account's journal: the next worker finds it explained.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gridbot.commands.targets import Addressed, FleetMember, accounts_of
from gridbot.config.paths import find_config
from gridbot.doors.plain_text import one_line
from supervisor.cli.confirmation import require_confirmation
from supervisor.cli.fleet_command import Given
from supervisor.cli.options import load_with_secrets
from supervisor.cli.target_options import addressed
from supervisor.control.operator_name import asked_for, before_sudo, user_at_host
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.config.models import GridbotConfig

__all__ = ["give_directly"]

LONGEST_LINE = 2000


def give_directly(config: str | None, data_dir: str | None, given: Given) -> ExitCode:
    """Do it here, and print what came of it; the exit code. Raises CommandError when nothing was done."""
    if given.dry_run or given.as_json:
        raise CommandError("expected --direct without --dry-run and --json, got both", ExitCode.USAGE)
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
    can_ask = sys.stdin.isatty() and sys.stderr.isatty()
    ask = (lambda question: str(click.prompt(question, err=True))) if can_ask else None
    require_confirmation(given.command, accounts_of(targets), given.expect, ask)
    codes = asyncio.run(_all(settings, given, targets))
    if all(code is ExitCode.OK for code in codes):
        return ExitCode.OK
    return next(code for code in codes if code is not ExitCode.OK)


async def _all(settings: GridbotConfig, given: Given, targets: Sequence[Addressed]) -> list[ExitCode]:
    return list(await asyncio.gather(*(_one(settings, given, target) for target in targets)))


async def _one(settings: GridbotConfig, given: Given, target: Addressed) -> ExitCode:
    from gridbot.config.paper_secrets import knowing_only
    from gridbot.records.journal import JournalBusy
    from gridbot.rescue.rescue import Rescue, Said
    from gridbot.rescue.rescue_entry import locked
    from gridbot.state.key_lock import KeyRefused
    from gridbot.system_ports import SystemClock, SystemIds
    from gridbot.worker.fleet_link import FleetLink
    from gridbot.worker.spec import WorkerSpec

    account, clock = settings.account(target.account), SystemClock()
    answers: list[dict[str, Any]] = []

    def answer(given_answer: dict[str, Any]) -> None:
        answers.append(given_answer)
        _say(target, given_answer)

    def alert(level: str, key: str, text: str) -> None:
        click.echo(f"{target}: {level}: {one_line(text, LONGEST_LINE)}", err=True)

    spec = WorkerSpec(
        account=account.name,
        settings=knowing_only(settings, account.name),
        data_dir=settings.storage.data_dir,
        run_id=SystemIds().token(16),
        paper_url=_paper_url(settings) if account.environment == "paper" else None,
        console=False,
    )
    who = asked_for(before_sudo(os.environ), user_at_host(os.getuid()))
    args = {**given.args, **({"strategy": target.strategy} if target.strategy else {})}
    fleet = FleetLink(clock, str(account.environment))
    rescue = Rescue(spec, None, clock, SystemIds(), Said(answer, alert=alert), fleet)
    with contextlib.ExitStack() as stack:
        try:
            await locked(stack, spec, clock, 0.0)
            done = await rescue.run({"type": "command", "name": given.command.name, "args": args, "who": who})
        except (KeyRefused, JournalBusy) as refusal:
            hint = "where its supervisor answers, leave --direct out; a process that hangs can be ended by its pid"
            click.echo(f"{target}: NOT DONE: nothing was done: {refusal}; {hint}", err=True)
            return ExitCode.REFUSED
    if done:
        return ExitCode.OK
    return ExitCode.TIMEOUT if answers and answers[-1].get("unanswered") else ExitCode.USAGE


def _say(target: Addressed, answer: dict[str, Any]) -> None:
    if answer["ok"]:
        click.echo(f"{target}: {one_line(str(answer.get('result')), LONGEST_LINE)}")
    else:
        click.echo(f"{target}: NOT DONE: {one_line(str(answer.get('error')), LONGEST_LINE)}", err=True)


def _paper_url(settings: GridbotConfig) -> str:
    """A paper exchange that runs by itself (`paper`); the one in a supervisor has ended with it."""
    if not settings.paper.port:
        raise CommandError(
            "expected a paper exchange of its own for --direct, at paper.port of the file, got none: "
            "the one of a supervisor ends with it, and with it its orders",
            ExitCode.REFUSED,
        )
    return f"http://127.0.0.1:{settings.paper.port}"
