"""Operator commands: each acts through the part that owns what it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from gridbot.records.record_types import CommandRecord, Json
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Answer", "Commands", "answer_to", "record_of"]

Answer = dict[str, Any]
"""`ok`, and a `result` or an `error`, both text."""


class Commands:
    """The commands of one trading account."""

    def __init__(
        self, account: str, runners: Sequence[StrategyRunner], requests: RefreshRequests, losses: LossGuard
    ) -> None:
        self._account = account
        self._runners = runners
        self._requests = requests
        self._losses = losses
        self._handlers: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "pause": self._pause,
            "resume": self._resume,
            "reconcile": self._reconcile,
        }

    def run(self, name: object, args: Mapping[str, Any]) -> str:
        """Carry out a command; returns what it did, as text.

        LookupError when `args` names a strategy that the account does not have, ValueError for an unknown command.
        """
        self._addressed(args)
        handler = self._handlers.get(str(name))
        if handler is None:
            raise ValueError(f"expected pause, resume or reconcile, got {name!r}")
        return handler(args)

    def _addressed(self, args: Mapping[str, Any]) -> Sequence[StrategyRunner]:
        """The strategy named in `args`, or all."""
        name = args.get("strategy")
        if not name:
            return self._runners
        found = [runner for runner in self._runners if runner.strat_id == name]
        if not found:
            raise LookupError(f"expected a strategy of {self._account}, got {name!r}")
        return found

    def _pause(self, args: Mapping[str, Any]) -> str:
        runners = self._addressed(args)
        for runner in runners:
            runner.pause(cancel=bool(args.get("cancel")))
        return f"{len(runners)} paused"

    def _resume(self, args: Mapping[str, Any]) -> str:
        """Ends pause and halt; without a strategy it lifts the account's loss latch as well."""
        runners = self._addressed(args)
        if not args.get("strategy"):
            self._losses.clear()
        for runner in runners:
            runner.resume()
        return f"{len(runners)} active"

    def _reconcile(self, args: Mapping[str, Any]) -> str:
        self._requests.reconcile("asked by the operator")
        return "under way"


def answer_to(message: Mapping[str, Any], commands: Commands | None, state: str) -> Answer:
    """Carry out the command of a `command` message. `commands` is None while the worker, in `state`, cannot trade."""
    try:
        if commands is None:
            raise ValueError(f"expected a trading worker, it is {state}; try again in a moment")
        return {"ok": True, "result": commands.run(message.get("name"), message.get("args") or {})}
    except (LookupError, ValueError) as error:
        return {"ok": False, "error": str(error)}
    except OSError as error:
        return {"ok": False, "error": f"expected to save the state of the account, got: {error}"}


def record_of(message: Mapping[str, Any], answer: Answer) -> CommandRecord:
    """The record of a command and its result."""
    args = message.get("args") or {}
    return CommandRecord(
        strategy=str(args.get("strategy") or ""),
        name=str(message.get("name")),
        args=Json(orjson.dumps(args).decode()),
        ok=bool(answer["ok"]),
        result=str(answer.get("result") or answer.get("error")),
    )
