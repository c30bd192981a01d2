"""Commands and status of the whole fleet, from any of its hosts.

A request about an account that another host has becomes a row, which its holder takes and answers. One about an account
of ours acts at once, whatever the database does: then the answer says whether the fleet has it too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from gridbot import background
from gridbot.commands.arguments import ReloadArguments
from gridbot.commands.command_table import find_command
from gridbot.commands.wording import CommandMistake
from gridbot.config.dsn_files import read_dsn
from gridbot.config.errors import ConfigError
from gridbot.core.strict_numbers import amount_or_none
from gridbot.doors.fleet_dsn import dsn_secrets
from gridbot.logging_setup import register_secret
from supervisor.control.operations import DECLINED, HERE_ALONE, QUESTIONS
from supervisor.control.socket_protocol import Json, denied, refused, unanswered
from supervisor.fleet.command_store import CommandStore, Given
from supervisor.fleet.fleet_begin import LIMIT_S, PUSH, Begun
from supervisor.fleet.fleet_section import incidents_elsewhere, with_commands_for
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.host_memory import refuse_forgetful
from supervisor.fleet.host_store import HostStore
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.process.fleet_reload import INVALID, FleetReload

if TYPE_CHECKING:
    from supervisor.process.fleet_host import FleetHost

__all__ = ["NOT_YET", "FleetDoor"]

NOT_YET: Final = "local, not yet in the fleet"
WAIT_S: Final = 5.0
"""How long the holder has to take a command that says nothing else."""
LOOK_S: Final = 0.25
GRACE_S: Final = 3.0
"""How much longer the holder has to answer what it has taken."""
EVERYWHERE: Final = ("ack", "mute", "unmute")
"""Commands that every host carries out for itself."""
LISTENS: Final = "telegram"
FROM_CHAT: Final = re.compile(rf"{LISTENS}:[0-9]+")
"""Who gives a command by the bot on this host; what another host was given and asks us for has its name behind it."""
KEPT_S: Final = 2.0
"""How long an answer waits until the fleet has what a worker has just written down."""


class FleetDoor:
    """`handle` answers a request of the control socket, `clock` is monotonic. `host` is set before it is asked."""

    host: FleetHost

    def __init__(
        self,
        begun: Begun,
        handle: Callable[[Json, str], Awaitable[Json]],
        clock: Callable[[], float],
        links: Sequence[PostgresLink],
    ) -> None:
        """`links`: the connections that go elsewhere when the DSN is another one."""
        self._begun = begun
        self._links = links
        self._handle = handle
        self._clock = clock
        self._store = CommandStore(begun.store.link)
        self._taking: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ asked here, answered elsewhere

    def afar(self, request: Json, who: str) -> Awaitable[Json] | None:
        """The answer to a request about an account that another host has; None when it is none of those.

        A command of a chat is refused when the bot is another host's: ours may have stood still since it asked."""
        if (
            FROM_CHAT.fullmatch(who)
            and request.get("op") not in (*QUESTIONS, DECLINED)
            and not self.host.services.may_run(LISTENS)
        ):
            return self._not_our_turn()
        match request.get("op"):
            case "worker" | "why" | "config":
                account = str(request.get("account", ""))
            case "restart":
                account = str(request.get("child", "")).removeprefix("worker-")
            case op if op in EVERYWHERE and not request.get(HERE_ALONE):
                return self._everywhere(request, who)
            case _:
                return None
        names = {each.name for each in self.host.settings.config.accounts}
        if account not in names or self.host.has(account):
            return None
        return self._ask(account, request, who)

    async def _not_our_turn(self) -> Json:
        return denied("nothing was done: another host of the fleet listens to this bot by now; send it again")

    async def _ask(self, account: str, request: Json, who: str) -> Json:
        what = str(request.get("name") or request.get("op"))
        wait_s = float(amount_or_none(request.get("wait_s", WAIT_S)) or WAIT_S)
        try:
            takes_s = find_command(what).takes_s or 0.0
        except CommandMistake:
            takes_s = 0.0
        me = self._begun.me.name
        try:
            number = await self._store.give(account, request, who, me, wait_s)
            until_s = self._clock() + wait_s
            found = await self._store.look(number)
            while found.answer is None and self._clock() < until_s + (takes_s + GRACE_S if found.host else 0.0):
                await self.host.answered(number, LOOK_S)
                found = await self._store.look(number)
            if found.answer is None and not found.host:
                found = await self._store.close(number)
        except FleetAway as why:
            return unanswered(f"{what} for {account} was not given: another host has it, and {why}")
        if found.answer is not None:
            answer = {**with_commands_for(found.answer, self._begun.own.storage.data_dir), "host": found.host}
            return answer if answer.get("ok") else {**answer, "error": f"host {found.host}: {answer.get('error')}"}
        if found.host:
            return unanswered(f"{found.host} has taken {what} for {account} and has not answered yet; look at status")
        return unanswered(f"{what} was not carried out: {self._whereabouts(account)}. It will not be carried out later")

    def _whereabouts(self, addressee: str) -> str:
        host = addressee.removeprefix("host:")
        return f"host {host} did not take it" if host != addressee else self.host.sight.whereabouts(addressee)

    async def _everywhere(self, request: Json, who: str) -> Json:
        """What an operator says of alerts: on every host, as an alert, and what is muted, may be of any of them."""
        asked = {**request, HERE_ALONE: True}
        me = self._begun.me.name
        others = [row.name for row in self.host.sight.view.hosts if row.alive and row.name != me]
        own, *theirs = await asyncio.gather(
            self._handle(dict(asked), who), *(self._ask(f"host:{name}", asked, who) for name in others)
        )
        own["recorded"] = True  # by `_handle`
        answers = dict(zip([me, *others], [own, *theirs], strict=True))
        done = [name for name, answer in answers.items() if answer["ok"]]
        silent = [name for name, answer in answers.items() if answer.get("unanswered")]
        if not done:
            return own
        where: dict[str, list[str]] = {}
        for name in done:
            where.setdefault(str(answers[name].get("result")), []).append(name)
        told = [f"{text} (on {', '.join(names)})" for text, names in where.items()]
        told += [f"NOT on {', '.join(silent)}, which did not answer"] if silent else []
        return {"ok": True, "result": "; ".join(told), "recorded": True}

    # ------------------------------------------------------------------ asked elsewhere, answered here

    def answer_soon(self, account: str) -> None:
        """There may be commands for accounts of ours."""
        if self._taking is None or self._taking.done():
            self._taking = background.start(self._take(), name="commands from other hosts")

    async def _take(self) -> None:
        try:
            for given in await self._store.take(self._begun.me, [self._begun.me.addressee, *self.host.accounts]):
                background.start(self._carry_out(given), name=f"a command of {given.origin}")
        except FleetAway:
            return  # whoever has given them is told that nobody took them

    async def _carry_out(self, given: Given) -> None:
        answer = await self._handle(dict(given.request), f"{given.who} on {given.origin}")
        for _ in range(3):
            try:
                await self._store.answered(given.number, answer)
            except FleetAway:
                await asyncio.sleep(1)
            else:
                return

    # ------------------------------------------------------------------ what the fleet has of it

    async def told(self, request: Json, answer: Json, kept: Callable[[str, float], Awaitable[bool]]) -> Json:
        """The answer of a worker of ours, with a word when the fleet does not have it yet."""
        if request.get("op") != "worker" or not answer.get("ok") or not isinstance(answer.get("result"), str):
            return answer
        account = str(request.get("account", ""))
        if not self.host.has(account):
            return answer
        if self.host.sight.is_away or not await kept(account, KEPT_S):
            return {**answer, "result": f"{answer['result']} ({NOT_YET})"}
        return answer

    # ------------------------------------------------------------------ the configuration

    async def reload(self, reload: FleetReload, args: ReloadArguments, who: str) -> Json:
        """Put the newest version that was pushed in force: here first, then for all hosts."""
        host, store = self.host, self._begun.store
        try:
            moved = await self._follow_dsn(dry_run=args.dry_run)
            newest = await store.config()
            if newest is None:
                return refused(PUSH)
            settings = await asyncio.to_thread(self._begun.read, newest.body, newest.version)
        except FleetAway as why:
            return denied(f"not reloaded, nothing has changed: {why}")
        except ConfigError as error:
            return {**refused(str(error)), "kind": INVALID}
        before = reload.follow_fleet(settings)
        names = {account.name for account in settings.config.accounts}
        gone = sorted({account.name for account in host.settings.config.accounts} - names - set(reload.names))
        answer = await reload.handle(args, who)
        if args.dry_run or not answer["ok"]:
            if before is not None:
                reload.follow_fleet(before)
        else:
            host.now_by(settings)
            try:
                await store.force(newest.version, who, leave_positions=args.leave_positions)
            except FleetAway as why:
                answer["result"] += f"; NOT in force for the other hosts: {why}"
        if answer["ok"]:
            told = f"version {newest.version} by {newest.who}; in force is version {host.sight.view.force}"
            answer["lines"] = [told, *moved, *answer["lines"], *(f"{name}: removed, where it is" for name in gone)]
            answer["asks"] = [*answer["asks"], *gone]
        return answer

    async def _follow_dsn(self, *, dry_run: bool) -> list[str]:
        """Every connection goes where `fleet.dsn_file` says by now, if that is this fleet's database. Raises FleetAway.

        The writer's, which ships records, follows the file by itself.
        """
        own = self._begun.own
        try:
            dsn = await asyncio.to_thread(read_dsn, own.fleet)
        except ValueError as error:
            raise FleetAway(str(error)) from None
        probe = PostgresLink(dsn, name=f"{own.fleet.host} reload", limit_s=LIMIT_S)
        if all(link.goes_to(probe) for link in self._links):
            return []
        for secret in dsn_secrets(dsn):
            register_secret(secret)
        try:
            await HostStore(probe).check(str(own.fleet.name))
            await refuse_forgetful(probe, own.storage.data_dir, str(own.fleet.host))
        finally:
            await probe.close()
        if not dry_run:
            for link in self._links:
                link.follow(dsn)
            self.host.listener.follow()
        return [f"fleet.dsn_file: another database or login, {probe.server}"]

    # ------------------------------------------------------------------ status

    async def shown(self, status: Json) -> Json:
        """The status with `elsewhere`, accounts of other hosts as these have told last, and `incidents_elsewhere`."""
        others = await self.host.sight.others()
        here = {row["account"] for row in status["accounts"]}
        alive = {row.name for row in self.host.sight.view.hosts if row.alive}
        known: dict[tuple[str, str], dict[str, Any]] = {}
        for host, (age_s, told) in others.items():
            for row in told.get("accounts", ()):
                known[host, str(row["account"])] = {
                    **row, "host": host, "age_s": round(age_s, 1), "host_alive": host in alive
                }  # fmt: skip
        rows, holders = [], dict[str, str]()
        for lease in (status.get("fleet") or {}).get("accounts", ()):
            name, host = str(lease["account"]), str(lease["host"])
            holders[name] = host
            if name not in here:
                row = known.get((host, name)) or self._unheard(name, host)
                rows.append({**row, "lease": lease["state"], "epoch": lease["epoch"]})
        told = {host: document for host, (_, document) in others.items() if host in alive}
        return {**status, "elsewhere": rows, "incidents_elsewhere": incidents_elsewhere(status, told, holders)}

    def _unheard(self, name: str, host: str) -> dict[str, Any]:
        config = self.host.settings.config
        strategies = [
            {"strat_id": each.strat_id, "symbol": each.symbol, "mode": "shadow" if each.shadow_mode else "live",
             "state": None}
            for each in config.strategies_of(name)
        ]  # fmt: skip
        return {
            "account": name, "host": host, "age_s": None, "host_alive": False,
            "groups": list(config.account(name).groups),
            "process": {"name": f"worker-{name}", "state": None, "restarts": 0, "reason": "", "last_exit": ""},
            "health": None, "freshness": "offline", "reasons": [], "strategies": strategies,
            "environment": str(config.account(name).environment), "equity": None, "margin_ratio": None,
        }  # fmt: skip
