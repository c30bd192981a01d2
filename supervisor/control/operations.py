"""What the control socket can ask of a supervisor; the requests are listed in `socket_protocol`.

`gridbot.commands.command_table` declares the commands; every one for the fleet has its handler here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from gridbot.commands.arguments import RestartArguments, StopArguments, read_arguments
from gridbot.commands.command import Command
from gridbot.commands.command_table import FLEET_COMMANDS, WORKER_COMMANDS, find_command
from gridbot.commands.wording import CommandMistake, did_you_mean, one_of
from gridbot.core.limits import OnBreach
from gridbot.core.strict_numbers import amount_or_none, whole_or_none
from gridbot.doors.plain_text import for_people, one_line, printable_lines, shown
from gridbot.version import __version__
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.policy_types import ProcessState, Restart
from supervisor.children.rescues import NoRescue, Rescues, RescueUnderWay
from supervisor.control.operator_name import asked_for
from supervisor.control.socket_protocol import UNTIL, Json, denied, refused, unanswered
from supervisor.control.worker_commands import WorkerCommands
from supervisor.status.program_revision import REVISION

__all__ = ["DECLINED", "HERE_ALONE", "QUESTIONS", "Operations", "no_reload"]

COMMAND_WAIT_S = 5.0
RESCUED_WAIT_S = 2.0
"""How long a worker may take for a command that a rescue would carry out."""
RESCUE_WAIT_S = 30.0
"""How long a rescue may take until it begins: its birth, on a machine with too much to do, and the lock of the key."""
CAPPED_POLL_S = 0.1
"""Between two looks whether a rescue that is in the way of a cap's has ended."""
RESCUES = 3
"""How many rescues are tried for a command: one may die or hang."""
SETTLING_S = 1.0
"""How long a rescue that has answered may write down what it did."""
LONGEST_WAIT_S = 3600
QUESTION_WAIT_S = 3.0
QUESTIONS = ("ping", "status", "news", "why", "permits", "config", "settings")
EXCHANGES = ("bybit", "paper")
WORKER = "worker"
DECLINED = "declined"
HERE_ALONE = "here_alone"
"""In a request of the command of a fleet that every host carries out: this is the part of one."""
VARIABLES = "variables"
LONGEST_WHY = 4000
"""Characters that are kept of why a command was not given."""


_OF_CAPS: Mapping[OnBreach, str] = {
    OnBreach.REDUCE: "reduce",
    OnBreach.CANCEL: "cancel",
    OnBreach.FLATTEN: "flatten",
}
"""The command that does without a worker what a cap wants."""

Handler = Callable[[Any, str], Json | Awaitable[Json]]
"""Gets the arguments of a command and who has given it."""
NO_DESK: Mapping[str, Handler] = {}


async def no_settings() -> Json:
    """Of a supervisor that was started without a file."""
    return refused("this supervisor has no configuration file")


def no_reload(args: Any, who: str) -> Json:
    """Of a supervisor that was started without a file."""
    return refused("this supervisor has no configuration file to read again")


class StopCall(Protocol):
    """Begins the stop: with the orders' `mode` (None: as configured), or by `force`."""

    def __call__(self, mode: str | None, *, force: bool) -> None: ...


class PermitsCall(Protocol):
    """Hears what a guest of an exchange (of `EXCHANGES`) says. Raises KeyError, TypeError, ValueError."""

    def __call__(self, exchange: str, message: Json) -> Json: ...


class Elsewhere(Protocol):
    """Accounts that other hosts of a fleet have (`supervisor.process.fleet_part`)."""

    def afar(self, request: Json, who: str) -> Awaitable[Json] | None:
        """The answer to a request about one of them; None when it is about none."""

    async def told(self, request: Json, answer: Json) -> Json:
        """The answer of a worker of ours, with a word on whether the fleet has it too."""

    async def shown(self, status: Json) -> Json:
        """The status with theirs."""

    def tells(self) -> Json | None:
        """Who of the fleet tells people of alerts; None without one."""


class NewsFeed(Protocol):
    """What has become of alerts (`supervisor.process.alert_feed`)."""

    def asked(self, account: str) -> None:
        """Somebody has asked for a restart of this account."""

    def news(self, run: str, after: int) -> Json:
        """The changes after that number of that run."""


class Operations:
    """Answers requests. `record` keeps a command, arguments, answer, and who gave it. `alert` takes a level, a text.

    `clock` is the monotonic one that all processes of this machine share; `desk` has the handlers of alerts; `running`
    has what each account runs with, without secrets; `settings` says of all of it where each value comes from.
    """

    def __init__(
        self,
        fleet: Fleet,
        status: Callable[[], Json],
        stop: StopCall,
        record: Callable[[str, Mapping[str, Any], Mapping[str, Any], str], None],
        alert: Callable[[str, str], object],
        rescues: Rescues,
        *,
        clock: Callable[[], float],
        data_dir: Path,
        permits: PermitsCall,
        reload: Handler | None = None,
        running: Callable[[], Mapping[str, Any]],
        settings: Callable[[], Awaitable[Json]] = no_settings,
        desk: Mapping[str, Handler] = NO_DESK,
        feed: NewsFeed | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._feed = feed
        self._elsewhere = elsewhere
        self._fleet = fleet
        self._permits = permits
        self._running = running
        self._settings = settings
        self._status = status
        self._begin_stop = stop
        self._record = record
        self._rescues = rescues
        self._clock = clock
        self.commands = self._commands = WorkerCommands(clock, alert, data_dir)
        self.handlers: Mapping[str, Handler] = {
            "stop": self._stop,
            "reload": reload or no_reload,
            "restart": self._restart,
            **desk,
        }

    async def handle(self, request: Json, peer: str = "") -> Json:
        """The answer to one request of `peer`, who may say in "who" for whom it asks.

        Commands are recorded, also those that are refused; what a worker has recorded itself is not.
        """
        asked = {key: value for key, value in request.items() if key not in ("who", UNTIL)}
        who = asked_for(request.get("who"), peer)
        until_s = amount_or_none(request.get(UNTIL))
        late_s = 0.0 if until_s is None else self._clock() - float(until_s)
        try:
            if late_s > 0 and asked["op"] == WORKER:
                answer = unanswered(f"it was not carried out: this supervisor read it {late_s:.1f} s too late")
            else:
                answer = await self._answer(asked, who)
        except CommandMistake as mistake:
            answer = refused(str(mistake))
        op, by_worker = str(asked.pop("op")), bool(answer.pop("recorded", False))
        asked.pop(VARIABLES, None)  # they may be secrets
        asked.pop(HERE_ALONE, None)
        if op in (*self.handlers, WORKER) and not by_worker:
            name = one_line(str(asked.get("name", ""))) if op == WORKER else op
            self._record(name, asked if answer["ok"] else for_people(asked), answer, who)
        elif op == DECLINED and answer["ok"]:
            why = {"ok": False, "error": printable_lines(str(asked.get("why", "")))[:LONGEST_WHY]}
            self._record(str(asked["name"]), for_people(asked.get("args") or {}), why, who)
        return answer

    def on_answer(self, message: Json) -> None:
        """A worker's answer to a command."""
        self._commands.on_answer(message)

    def on_taken(self, message: Json) -> None:
        """A worker has taken a command that takes long."""
        self._commands.on_taken(message)

    def on_exit(self, child: Child) -> None:
        """A process has ended: nobody waits for its answers any more."""
        self._commands.on_exit(child)

    async def _answer(self, request: Json, who: str) -> Json:
        afar = None if self._elsewhere is None else self._elsewhere.afar(request, who)
        if afar is not None:
            return await afar
        match request["op"]:
            case "ping":
                about = {"version": __version__, "revision": REVISION}
                return {"ok": True, "pid": os.getpid(), **about, "state": self._state()}
            case "status":
                status = self._status()
                return {
                    "ok": True,
                    "status": status if self._elsewhere is None else await self._elsewhere.shown(status),
                }
            case "news":
                return self._news(request)
            case "permits":
                return self._lend(request)
            case "why":
                return await self._why(request)
            case "config":
                account = self._of_account(one_line(str(request.get("account", "")))).spec.account
                return {"ok": True, "config": self._running().get(account)}
            case "settings":
                return await self._settings()
            case "worker":
                done = await self._worker(request, who)
                return done if self._elsewhere is None else await self._elsewhere.told(request, done)
            case "declined":
                find_command(request.get("name"))
                return {"ok": True}
            case name if name in self.handlers:
                args = {key: value for key, value in request.items() if key not in ("op", HERE_ALONE)}
                answer = self.handlers[name](read_arguments(find_command(name, FLEET_COMMANDS), args), who)
                return await answer if isinstance(answer, Awaitable) else answer
            case other:
                known = (*QUESTIONS, *self.handlers, WORKER, DECLINED)
                asked = one_line(other)
                return refused(f"unknown request {asked!r}: expected {one_of(known)}{did_you_mean(asked, known)}")

    def _news(self, request: Json) -> Json:
        after = whole_or_none(request.get("after", 0))
        if self._feed is None or after is None:
            return refused(f"expected a whole number in after, got {shown(request.get('after'))}")
        tells = None if self._elsewhere is None else self._elsewhere.tells()
        more = {} if tells is None else {"tells": tells}
        return {"ok": True, **self._feed.news(str(request.get("run", "")), after), **more}

    def _lend(self, request: Json) -> Json:
        exchange = request.get("exchange")
        if exchange not in EXCHANGES:
            return refused(f"expected {one_of(EXCHANGES)} in exchange, got {shown(exchange)}")
        try:
            return {"ok": True, **self._permits(exchange, request)}
        except (KeyError, TypeError, ValueError) as error:
            return refused(f"no permits: {error}")

    def _state(self) -> str:
        return str(self._status()["supervisor"]["state"])

    def _stop(self, args: StopArguments, who: str) -> Json:
        self._begin_stop(args.mode, force=args.force)
        return {"ok": True}

    def _restart(self, args: RestartArguments, who: str) -> Json:
        child = self._fleet.find(args.child)
        if child is None:
            known = [child.spec.account or child.spec.name for child in self._fleet]
            there = f"there are {', '.join(known)}{did_you_mean(args.child, known)}"
            return refused(f"no process or account {one_line(args.child)!r} here; {there}")
        if self._state() == "stopping":
            return denied("the supervisor is stopping")
        if child.staged is not None:
            child.staged()
        if self._feed is not None and child.spec.account:
            self._feed.asked(child.spec.account)
        self._fleet.advance(child, Restart("restart asked for by an operator"))
        return {"ok": True, "child": child.spec.name}

    async def _why(self, request: Json) -> Json:
        worker = self._of_account(one_line(str(request.get("account", ""))))
        if worker.pid is None:
            return unanswered(f"the worker of {worker.spec.account} is {worker.state.process}: nobody can answer")
        return await self._commands.ask(worker, str(request.get("strategy") or ""), QUESTION_WAIT_S)

    def _of_account(self, account: str) -> Child:
        """The worker of an account. Raises CommandMistake, which names those there are."""
        worker = self._fleet.find(account)
        if worker is not None and worker.spec.kind is ChildKind.WORKER:
            return worker
        accounts = [child.spec.account for child in self._fleet if child.spec.kind is ChildKind.WORKER]
        only = f"only {', '.join(accounts)}{did_you_mean(account, accounts)}"
        raise CommandMistake(f"no account {account!r} here, {only}")

    async def _worker(self, request: Json, who: str) -> Json:
        command, account = find_command(request.get("name"), WORKER_COMMANDS), one_line(str(request.get("account", "")))
        args = request.get("args")
        args = {} if args is None else args
        read_arguments(command, args)
        worker = self._of_account(account)
        is_down = worker.state.process is not ProcessState.RUNNING
        if is_down and worker.spec.rescue and (command.rescued or command.kept):
            return await self._rescue(worker, command, args, who)
        if command.needs_trading and is_down:
            why = f"the worker of {account} is {worker.state.process}; it takes commands when RUNNING"
            return unanswered(f"{command.name} was not carried out: {why}")
        wait_s = amount_or_none(request.get("wait_s", COMMAND_WAIT_S))
        if wait_s is None or wait_s > LONGEST_WAIT_S:
            return refused(f"expected 0 to {LONGEST_WAIT_S} seconds in wait_s, got {shown(request['wait_s'])}")
        take_s = float(wait_s)
        if command.rescued:
            take_s = min(take_s, RESCUED_WAIT_S)
        answer = await self._commands.send(worker, command.name, args, take_s, who, takes_s=command.takes_s)
        not_taken = answer.pop("not_taken", False) and self._state() != "stopping"
        if not_taken and worker.spec.rescue and (command.rescued or command.kept):
            return await self._rescue(worker, command, args, who)
        return answer

    async def capped(self, account: str, action: OnBreach, why: str) -> Json:
        """A cap of fleet or groups holds an account whose worker has not said so: what it wants is done without it.

        The worker is killed, and a rescue does with orders and legs what `action` says; no strategy is held, as the cap
        holds the next worker by itself. `why` is for the records.
        """
        worker, command = self._of_account(account), find_command(_OF_CAPS[action])
        while self._rescues.keeps_down(account):
            await asyncio.sleep(CAPPED_POLL_S)
        return await self._rescue(worker, command, {"reason": why}, "a cap", capped=True)

    async def _rescue(self, worker: Child, command: Command, args: Json, who: str, *, capped: bool = False) -> Json:
        """For a worker that does not trade or does not answer: a process of its own does it by REST."""
        if self._state() == "stopping":
            return denied("the supervisor is stopping")
        patience_s = command.takes_s or COMMAND_WAIT_S
        for tries_left in reversed(range(RESCUES)):
            try:
                await self._let_rescue_end(worker.spec.account, patience_s)
                rescue = await self._rescues.begin(worker)
            except RescueUnderWay as why:
                return unanswered(f"{command.name} was not carried out: {why}")
            except NoRescue as why:
                return denied(f"{command.name} was not carried out: {why}")
            more = {"capped": True} if capped else {}
            answer = await self._commands.send(
                rescue, command.name, args, RESCUE_WAIT_S, who, takes_s=command.takes_s, more=more
            )
            # one that ended, or hung, is followed by another, which goes on with what it has begun
            if not (answer.pop("not_taken", False) and tries_left) or self._state() == "stopping":
                break
        return answer

    async def _let_rescue_end(self, account: str, patience_s: float) -> None:
        """Until no rescue of the account is there, so long. One that has answered and still goes on makes way: the next
        one does what is left of its work together with its own."""
        begun_s = self._clock()
        while self._rescues.keeps_down(account) and self._clock() < begun_s + patience_s:
            rescue, waited_s = self._rescues.of(account), self._clock() - begun_s
            if rescue is not None and waited_s > SETTLING_S and not self._commands.waits_for(rescue):
                self._rescues.end(account)
            await asyncio.sleep(CAPPED_POLL_S)
