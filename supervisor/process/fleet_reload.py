"""A reload, from the file to all workers: read, compare, ask each worker, prepare, apply, and only then count as done.

::

    file ──► checked ──► compared ──► workers concerned have looked ──► all have prepared ──► all have applied ──► done
                │            │                    │                            │                     │
                └────────────┴──────────── refused, nothing changed ───────────┘     those that had applied go back

Until all have applied it, a worker that dies begins again by the configuration of before, so nothing is half in force.
A worker that does not trade cannot be asked: where orders of it may rest, the reload is refused; else it begins by the
new one. Accounts that go are cancelled by their worker first; those that come start when the others have applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridbot.command_line import pasteable
from gridbot.commands.arguments import ReloadArguments
from gridbot.config.account_models import AccountConfig
from gridbot.config.errors import ConfigError
from gridbot.config.host_config import FleetSettings
from gridbot.config.loading import load_file
from gridbot.config.models import GridbotConfig
from gridbot.config.reload_plan import ReloadPlan, Word, reload_plan
from gridbot.config.snapshots import fleet_snapshot, snapshot_sha256
from gridbot.logging_setup import register_secret
from supervisor.children.config_source import FileLook, Source
from supervisor.children.launch_plan import Plan
from supervisor.children.policy_types import ProcessState
from supervisor.control.socket_protocol import Json, denied, refused, unanswered
from supervisor.control.worker_commands import WorkerCommands
from supervisor.process.fleet_source import FleetSource
from supervisor.process.membership import Membership
from supervisor.process.reload_words import document_of, left_open, lines_of, never, waiting
from supervisor.status.config_sections import as_it_runs, sections, sections_document
from supervisor.utc_time import utc_now

__all__ = ["FleetReload", "Hands", "reload_of"]

log = logging.getLogger("supervisor")

LOOK_S: Final = 5.0
PREPARE_S: Final = 30.0
APPLY_S: Final = 90.0
"""Longer than the worker's own time to have orders cancelled."""
RETURN_S: Final = 120.0
INVALID: Final = "configuration"


@dataclass(frozen=True, slots=True)
class Hands:
    """What the supervisor has for a reload."""

    is_stopping: Callable[[], bool]
    alert: Callable[[str, str], object]
    record: Callable[[str, Mapping[str, Any], Mapping[str, Any], str], None]


@dataclass(slots=True)
class _Asked:
    plan: ReloadPlan
    before: GridbotConfig
    rows: dict[str, dict[str, Json]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    """The accounts whose worker has something to do and can be asked."""
    launches: dict[str, int] = field(default_factory=dict)
    """How many processes each worker concerned had had when it was looked at."""

    @property
    def digest(self) -> str:
        return snapshot_sha256({"of": fleet_snapshot(self.plan.in_force), "waits": waiting(self.plan)})[:16]


class _Refused(Exception):
    """Nothing has changed."""


def _settings_of(source: Source, snapshots: Mapping[str, Any]) -> list[Json]:
    file = load_file(source.file, environ=source.environ, data_dir=source.data_dir)
    given = None if source.data_dir is None else "--data-dir"
    return sections_document(list(as_it_runs(list(sections(file, source.environ, data_dir=given)), file, snapshots)))


def reload_of(plan: Plan, commands: WorkerCommands, members: Membership, hands: Hands) -> FleetReload | None:
    """None for a plan that was made of no file."""
    if plan.config is None or plan.source is None or plan.remake is None:
        return None
    return FleetReload(plan.config, plan.source, plan.data_dir, commands, members, hands)


class FleetReload:
    """One per supervisor; the owner of the configuration in force."""

    def __init__(
        self,
        config: GridbotConfig,
        source: Source,
        place: Path,
        commands: WorkerCommands,
        members: Membership,
        hands: Hands,
    ) -> None:
        self._members = members
        self._config = config
        self._source = source
        self._place = place
        self._commands = commands
        self._hands = hands
        self._busy = asyncio.Lock()
        self._file = FileLook(source.file)
        self._since = utc_now()
        self._waiting: list[str] = []
        self._later: dict[str, AccountConfig] = {}
        """Accounts as they are once their operator has restarted them."""

    def facts(self) -> dict[str, Any]:
        """Which configuration is in force, for `status`."""
        self._catch_up()
        return {
            "hash": snapshot_sha256(fleet_snapshot(self._config))[:12],
            "since": self._since,
            "file_differs": self._file.differs,
            "waiting": list(self._waiting),
            "page_commands": self._config.web.allow_commands,
        }

    async def settings(self, running: Callable[[], Mapping[str, Any]]) -> Json:
        """What is in force and where each value comes from, for the control socket; secrets are left out.

        `running` has what each account runs with. The file is read in a thread: nothing waits for it.
        """
        source, snapshots = self._source, running()
        try:
            found = await asyncio.to_thread(_settings_of, source, snapshots)
        except (ConfigError, OSError) as error:
            return refused(f"the file is refused as it is now: {error}")
        return {"ok": True, "file": str(source.file), "sections": found}

    # ------------------------------------------------------------------ a host's accounts come and go

    @property
    def names(self) -> list[str]:
        """The accounts in force."""
        return [account.name for account in self._config.accounts]

    @property
    def is_busy(self) -> bool:
        """Whether accounts come or go, or a reload is under way."""
        return self._busy.locked()

    async def bring(self, whole: GridbotConfig, account: str, is_ours: Callable[[], bool]) -> None:
        """Start an account of `whole`, the configuration of all, if it is still ours when its turn comes.

        Raises OSError without room, KeyError.
        """
        async with self._busy:
            if account in self.names or not is_ours():
                return
            come = (*self._config.accounts, whole.account(account))
            strategies = (*self._config.strategies, *whole.strategies_of(account))
            plan = self._members_change(come, strategies)
            await self._members.begin(plan)
            self._members.commit(plan)
            self._config = plan.in_force

    async def remove(self, account: str) -> bool:
        """End an account's worker, leave its orders and positions to another host; whether it ended in order."""
        async with self._busy:
            if account not in self.names:
                return True
            stay = tuple(each for each in self._config.accounts if each.name != account)
            strategies = tuple(each for each in self._config.strategies if each.account != account)
            plan = self._members_change(stay, strategies)
            self._members.commit(plan)
            self._config = plan.in_force
            self._waiting = [each for each in self._waiting if not each.startswith(f"{account}: ")]
            return (await self._members.let_go(plan))[account]

    def follow_fleet(self, settings: FleetSettings) -> FleetSettings | None:
        """Of a fleet's host: what it goes by from now on; returns what it went by before."""
        if not isinstance(self._source, FleetSource):
            return None
        before, self._source.settings = self._source.settings, settings
        self._source.here = lambda: self.names
        return before

    def _members_change(self, accounts: tuple[AccountConfig, ...], strategies: tuple[Any, ...]) -> ReloadPlan:
        """What others have to wait for stays as it is."""
        self._catch_up()
        new = self._config.model_copy(update={"accounts": accounts, "strategies": strategies})
        names = {account.name for account in accounts}
        later = {name: account for name, account in self._later.items() if name in names}
        return replace(reload_plan(self._config, new), after_restart=later)

    def _catch_up(self) -> None:
        """Accounts that were restarted since have what they had to wait for."""
        for name, account in list(self._later.items()):
            if self._members.is_staged(name):
                continue
            del self._later[name]
            accounts = tuple(account if each.name == name else each for each in self._config.accounts)
            self._config = self._config.model_copy(update={"accounts": accounts})
            self._waiting = [each for each in self._waiting if not each.startswith(f"{name}: ")]

    # ------------------------------------------------------------------ asked for

    async def handle(self, args: ReloadArguments, who: str) -> Json:
        """By an operator's command: the difference (`dry_run`), or what was done."""
        if self._busy.locked():
            return denied("a reload is under way; look at status, and try again when it is over")
        async with self._busy:
            try:
                return await self._reload(args)
            except ConfigError as error:
                return {**refused(str(error)), "kind": INVALID}
            except (_Refused, OSError, ValueError) as why:
                return denied(f"not reloaded, nothing has changed: {why}")

    async def by_signal(self) -> None:
        """SIGHUP: the same, without a question; a refusal is an alert."""
        answer = await self.handle(ReloadArguments(), "")
        self._hands.record("reload", {"signal": "SIGHUP"}, answer, "")
        if answer["ok"]:
            for line in answer["lines"]:
                log.info("reload: %s", line)
            log.info("reload: %s", answer["result"])
        else:
            self._hands.alert("ERROR", f"SIGHUP: {answer['error']}")

    async def _reload(self, args: ReloadArguments) -> Json:
        if self._hands.is_stopping():
            raise _Refused("the supervisor is stopping")
        self._catch_up()
        new = await asyncio.to_thread(self._source.load, args.variables, self._place)
        for secret in new.secrets():  # those that came with this file; whatever becomes of it, no log has one
            register_secret(secret)
        asked = _Asked(reload_plan(self._config, new), self._config)
        await self._look(asked)
        open_legs = left_open(asked.plan, asked.rows)
        answer = {
            "ok": True,
            "lines": lines_of(asked.plan, asked.rows, asked.notes, partial(pasteable, data_dir=self._place)),
            "difference": document_of(asked.plan, asked.rows),
            "plan": asked.digest,
            "left_open": open_legs,
            "asks": _asks(asked),
            "applied": False,
        }
        if args.dry_run:
            return {**answer, "result": "nothing was changed"}
        if args.plan and args.plan != asked.digest:
            raise _Refused("the file has changed since it was shown; reload again")
        if open_legs and not args.leave_positions:
            names = " ".join(leg.split()[0] for leg in open_legs)
            close = pasteable(f"flatten {names}", data_dir=self._place)
            raise _Refused(
                f"these positions would stay with nobody to look after them: {'; '.join(open_legs)}; close them with "
                f"`{close}`, or say --leave-positions"
            )
        await self._carry_out(asked, leave=args.leave_positions)
        told = "nothing to apply" if asked.plan.is_empty else "applied"
        if open_legs:
            left_text = f"a reload has left positions with nobody to look after them: {'; '.join(open_legs)}"
            self._hands.alert(
                "WARNING", f"{left_text}; close them on the exchange, or put them back into the file and reload"
            )
        if self._waiting:
            told += f"; NOT applied, until a restart: {', '.join(self._waiting)}"
        if left := never(asked.plan):
            told += f"; NOT applied, whatever is restarted: {', '.join(left)}"
        return {**answer, "applied": True, "result": told}

    # ------------------------------------------------------------------ workers

    async def _look(self, asked: _Asked) -> None:
        """Ask every worker concerned what it would do. Raises _Refused for one that cannot be asked."""
        plan = asked.plan
        for account in [*plan.touched, *plan.names(Word.REMOVED)]:
            worker = self._members.worker(account)
            asked.launches[account] = worker.launches
            if worker.state.process is ProcessState.RUNNING:
                asked.running.append(account)
                continue
            removes = account in plan.names(Word.REMOVED) or any(
                change.account == account and change.word in (Word.REMOVED, Word.REPLACED) for change in plan.strategies
            )
            state = worker.state.process
            if worker.state.alive or removes:
                what = "its orders have to be cancelled by it" if removes else "it can be asked when it runs"
                raise _Refused(f"the worker of {account} is {state}, and {what}; try again when it is RUNNING")
            asked.notes.append(f"the worker of {account} is {state}: it begins with this at its next start")
        answers = await self._each(asked.running, lambda name: self._step("look", name, asked.plan.in_force), LOOK_S)
        for account, rows in answers.items():
            asked.rows[account] = {str(row["strategy"]): dict(row) for row in rows}

    async def _carry_out(self, asked: _Asked, *, leave: bool) -> None:
        plan = asked.plan
        if plan.is_empty:
            self._count(asked)
            return
        try:
            await self._each(asked.running, lambda name: self._step("prepare", name, plan.in_force), PREPARE_S)
            await self._members.begin(plan)
        except (_Refused, OSError) as error:
            await self._forget(asked)
            raise _Refused(str(error)) from error
        apply = {"step": "apply", "leave_positions": leave}
        answers = await asyncio.gather(*(self._ask(name, apply, APPLY_S) for name in asked.running))
        told = dict(zip(asked.running, answers, strict=True))
        failed = {name: str(answer.get("error")) for name, answer in told.items() if not answer["ok"]}
        unchanged = [name for name in failed if not (told[name].get("unanswered") or told[name].get("unsure"))]
        for name in self._begun_anew(asked):
            failed[name] = "its process began meanwhile, by the configuration of before"
            unchanged.append(name)
        if failed or self._hands.is_stopping():
            await self._go_back(asked, failed, unchanged)
        self._members.commit(plan)  # nothing is waited for since the look at the processes: none began in between
        self._count(asked)
        await self._members.let_go(plan)

    def _begun_anew(self, asked: _Asked) -> list[str]:
        """Who died and began again while others applied, also after its own answer: it has the old configuration."""
        return [name for name, count in asked.launches.items() if self._members.worker(name).launches != count]

    def _count(self, asked: _Asked) -> None:
        """This configuration is in force."""
        self._config, self._since, self._waiting = asked.plan.in_force, utc_now(), waiting(asked.plan)
        self._later = dict(asked.plan.after_restart)
        self._file.taken()

    async def _go_back(self, asked: _Asked, failed: Mapping[str, str], unchanged: Sequence[str]) -> None:
        """Put the last good configuration in force again where the new one was applied. Raises _Refused."""
        applied = [name for name in asked.running if name not in failed]
        told = [f"{name} did not apply it: {text}" for name, text in failed.items()] or ["the supervisor is stopping"]
        again = []
        for name in asked.running:  # also one that answered too late: it may have applied it after all
            if name in unchanged:
                continue
            answer = await self._ask(name, self._step("prepare", name, asked.before), PREPARE_S)
            if answer["ok"]:
                answer = await self._ask(name, {"step": "apply", "leave_positions": True}, RETURN_S)
            if not answer["ok"] and self._members.end(name):
                again.append(f"{name} ({answer.get('error')})")
        if applied:
            told.append(f"rolled back to the last good configuration: {', '.join(applied)}")
        if again:
            told.append(f"restarted, because it did not go back by itself: {', '.join(again)}")
        text = "; ".join(told)
        self._hands.alert("ERROR", f"a reload was rolled back: {text}")
        raise _Refused(text)

    async def _forget(self, asked: _Asked) -> None:
        await asyncio.gather(*(self._ask(name, {"step": "forget"}, LOOK_S) for name in asked.running))

    def _step(self, step: str, account: str, settings: GridbotConfig) -> Json:
        """The message of a step; an account that goes is asked to have no strategies left."""
        from gridbot.config.paper_secrets import of_account

        names = {each.name for each in settings.accounts}
        if account not in names:
            gone = self._config.account(account)
            rest = tuple(each for each in settings.strategies if each.account != account)
            settings = settings.model_copy(update={"accounts": (*settings.accounts, gone), "strategies": rest})
        return {"step": step, "settings": of_account(settings, account)}

    async def _ask(self, account: str, message: Json, wait_s: float) -> Json:
        try:
            worker = self._members.worker(account)
        except KeyError:
            return unanswered(f"there is no worker of {account}")
        return await self._commands.step(worker, message, wait_s)

    async def _each(self, names: Sequence[str], message: Callable[[str], Json], wait_s: float) -> dict[str, Any]:
        """The results of all, asked side by side. Raises _Refused with what those say that refuse."""
        answers = await asyncio.gather(*(self._ask(name, message(name), wait_s) for name in names))
        found = dict(zip(names, answers, strict=True))
        wrong = [f"{name}: {answer.get('error')}" for name, answer in found.items() if not answer.get("ok", True)]
        if wrong:
            raise _Refused("; ".join(wrong))
        return {name: answer.get("result") for name, answer in found.items()}


def _asks(asked: _Asked) -> list[str]:
    """The accounts for which an operator has to confirm it: something goes, or changes while it has orders."""
    plan = asked.plan
    found = dict.fromkeys(plan.names(Word.REMOVED))
    for change in plan.strategies:
        row = asked.rows.get(change.account, {}).get(change.strategy, {})
        changes_orders = change.word is Word.CHANGED and (row.get("cancel") is None or row.get("cancel"))
        if change.word in (Word.REMOVED, Word.REPLACED) or (row and changes_orders):
            found[change.account] = None
    return list(found)
