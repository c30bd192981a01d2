"""A worker's handlers of operator commands: each acts through the part that owns what it changes.

`gridbot.commands.command_table` declares the commands; every one for a worker has its handler here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from gridbot.command_line import pasteable
from gridbot.commands.arguments import (
    AdoptArguments,
    CancelArguments,
    CorrectArguments,
    FlattenArguments,
    NoArguments,
    PauseArguments,
    ReduceArguments,
    ResumeArguments,
    read_arguments,
)
from gridbot.commands.command_table import WORKER_COMMANDS, find_command
from gridbot.commands.wording import did_you_mean
from gridbot.flatten.flatten_words import BROKEN_OFF
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import CommandRecord, Json
from gridbot.worker.adoption import Adoption, HowToAdopt
from gridbot.worker.cap_guard import CapGuard
from gridbot.worker.flatten_commands import OPERATOR, FlattenCommands, NotNow, Told, held_by
from gridbot.worker.flattening import Flattening
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.money_watch import MoneyWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.refused_strategies import NOBODY, RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Answer", "Commands", "answer_to", "record_of", "told", "too_late"]

Answer = dict[str, Any]
"""`ok`, and a `result` or an `error`, both text; a `result` that takes long is a future (`Told`)."""


class Commands:
    """The commands of one trading account."""

    def __init__(
        self,
        account: str,
        runners: Collection[StrategyRunner],
        requests: RefreshRequests,
        losses: LossGuard,
        money: MoneyWatch,
        recorded: OpenOrders,
        flattening: Flattening,
        refused: RefusedStrategies = NOBODY,
        data_dir: Path | None = None,
        caps: CapGuard | None = None,
        adoption: Adoption | None = None,
        latched: Callable[[], str] = lambda: "",
    ) -> None:
        """`latched`: why the account is held as a whole, which `resume` of one of its strategies does not lift."""
        self._account = account
        self._restart = pasteable(f"restart {account}", data_dir=data_dir)
        self._resume_all = pasteable(f"resume {account}", data_dir=data_dir)
        self._latched = latched
        self._refused = refused
        self._runners = runners
        self._requests = requests
        self._losses = losses
        self._caps = caps
        self._adoption = adoption
        self._money = money
        self._recorded = recorded
        self._flattening = flattening
        self._who = OPERATOR
        self._closing = FlattenCommands(flattening, refused)
        self.handlers: Mapping[str, Callable[[Any], str | Told]] = {
            "pause": self._pause,
            "reduce": self._reduce,
            "cancel": self._cancel,
            "flatten": self._flatten,
            "kill": self._kill,
            "resume": self._resume,
            "reconcile": self._reconcile,
            "correct": self._correct,
            "adopt": self._adopt,
        }

    def run(self, name: object, args: object, who: str = "") -> str | Told:
        """Carry out a command; returns what it did, as text, or what will be told when it is done.

        LookupError when `args` names a strategy that the account does not have, CommandMistake for an unknown command
        or argument.
        """
        command = find_command(name, WORKER_COMMANDS)
        self._who = who or OPERATOR
        return self.handlers[command.name](read_arguments(command, args))

    def _addressed(self, name: str | None) -> tuple[Sequence[StrategyRunner], Sequence[RefusedStrategy]]:
        """The strategy of that name, or all: those that run, and those that could not start."""
        if not name:
            return list(self._runners), tuple(self._refused)
        runners = [runner for runner in self._runners if runner.strat_id == name]
        refused = [each for each in self._refused if each.strat_id == name]
        if not (runners or refused):
            known = [each.strat_id for each in (*self._runners, *self._refused)]
            hint = did_you_mean(name, known)
            raise LookupError(f"expected a strategy of {self._account} ({', '.join(known)}), got {name!r}{hint}")
        return runners, refused

    def _pause(self, args: PauseArguments) -> str:
        """Also what could not start: it begins paused when its symbol may be traded."""
        runners, refused = self._addressed(args.strategy)
        reason = held_by("paused", self._who, args.reason)
        for runner in runners:
            runner.pause(cancel=args.cancel, reason=reason)
        for each in refused:
            self._refused.pause(each.strat_id, reason=reason)
        return f"{len(runners) + len(refused)} paused"

    def _reduce(self, args: ReduceArguments) -> str:
        return self._closing.reduce(self._addressed(args.strategy), args, self._who)

    def _cancel(self, args: CancelArguments) -> Told:
        return self._closing.cancel(self._addressed(args.strategy), args, self._who)

    def _flatten(self, args: FlattenArguments) -> Told:
        return self._closing.flatten(self._addressed(args.strategy), args, self._who)

    def _kill(self, args: FlattenArguments) -> Told:
        return self._closing.kill(self._addressed(args.strategy), args, self._who)

    def _resume(self, args: ResumeArguments) -> str:
        """Ends what holds a strategy; without one it lifts the account's latches as well."""
        runners, refused = self._addressed(args.strategy)
        self._closing.refuse_while_busy((runners, refused))
        if not args.strategy:
            self._losses.clear()
            if self._caps is not None:
                self._caps.clear()
            self._flattening.unlatch()
        for runner in runners:
            runner.resume()
        for each in refused:
            self._refused.resume(each.strat_id)
        if args.strategy and (why := self._latched()):
            told = f"{args.strategy} is not held any more, but its account is latched ({why})"
            return f"{told}: `{self._resume_all}` lifts that"
        again = f"; it is looked at again each minute, `{self._restart}` does so now"
        return "; ".join([f"{len(runners)} active", *(f"{each}{again}" for each in refused)])

    def _reconcile(self, args: NoArguments) -> str:
        self._requests.reconcile("asked by the operator")
        return "under way"

    def _adopt(self, args: AdoptArguments) -> Told:
        runners, refused = self._addressed(args.strategy)
        if self._adoption is None or (refused and not runners):
            raise ValueError(f"expected a strategy that runs, got {'; '.join(map(str, refused)) or 'none'}")
        return self._adoption.begin(runners, HowToAdopt(args.apply, args.ladder, args.any_quantity, self._who))

    def _correct(self, args: CorrectArguments) -> str:
        done = []
        if args.listed_figures:
            done.append(self._money.repair(args.as_of_record, args.listed_figures))
        if args.listed_orders:
            done.append(f"{self._recorded.missed(args.listed_orders)} orders that do not rest are asked for")
            self._requests.reconcile("orders that are recorded as open do not rest")
        return "; ".join(done) or "nothing to correct"


def answer_to(message: Mapping[str, Any], commands: Commands | None, state: str) -> Answer:
    """Carry out the command of a `command` message. `commands` is None while the worker, in `state`, cannot trade.

    Then it is not taken: a worker that was sent SIGTERM by a stranger still counts as running in the supervisor, which
    has to give the command to a rescue.
    """
    name = message.get("name")
    try:
        find_command(name, WORKER_COMMANDS)
        if commands is None:
            text = f"expected a trading worker, it is {state}; try again in a moment"
            return {"ok": False, "unanswered": True, "not_taken": True, "error": text}
        result = commands.run(name, message.get("args") or {}, str(message.get("who") or ""))
        return {"ok": True, "result": result}
    except NotNow as busy:
        return {"ok": False, "denied": True, "error": str(busy)}
    except (LookupError, ValueError) as error:
        return {"ok": False, "error": str(error)}


def told(done: bool, text: str) -> Answer:
    """The answer of a command that has taken long: what is not done in time is no refusal.

    What the end of this process has broken off the supervisor gives to whoever can go on with it now.
    """
    if done:
        return {"ok": True, "result": text}
    not_over = {"ok": False, "unanswered": True, "error": text}
    return {**not_over, "not_taken": True} if text == BROKEN_OFF else not_over


def too_late(late_s: float) -> Answer:
    """The answer to a command that was read `late_s` seconds after the time by which it had to be."""
    return {"ok": False, "error": f"not carried out: it was read {late_s:.1f} s too late"}


def record_of(message: Mapping[str, Any], answer: Answer) -> CommandRecord:
    """The record of a command and its result."""
    args = message.get("args") or {}
    return CommandRecord(
        strategy=str(args.get("strategy") or "") if isinstance(args, Mapping) else "",
        name=str(message.get("name")),
        args=Json(orjson.dumps(args).decode()),
        ok=bool(answer["ok"]),
        result=str(answer.get("result") or answer.get("error")),
        who=str(message.get("who") or "") or None,
    )
