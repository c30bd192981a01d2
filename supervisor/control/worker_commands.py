"""Commands for workers: sends one and waits for the worker's answer.

A command carries a time by which the worker must have taken it. One that freezes and comes back later refuses what is
in its pipe by then, so that "it was not carried out" stays true.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gridbot.command_line import pasteable
from gridbot.core.strict_numbers import whole_or_none
from supervisor.children.child import Child
from supervisor.control.socket_protocol import Json, refused, unanswered

__all__ = ["WorkerCommands"]

log = logging.getLogger("supervisor")

ANSWER_GRACE_S: Final = 1.0
"""How much longer we wait than the worker has to take the command: for what it took at the last moment."""
MOST_GIVEN_UP: Final = 100
KINDS: Final = ("denied", "fault")
"""What an answer may say of a refusal: it cannot be done as things are; a fault of ours."""


class WorkerCommands:
    """Owns the commands that wait for an answer.

    `clock` is the machine's monotonic one, which workers read too; `alert` takes a level and a text; `data_dir`
    is for hints.
    """

    def __init__(self, clock: Callable[[], float], alert: Callable[[str, str], object], data_dir: Path) -> None:
        self._clock = clock
        self._alert = alert
        self._data_dir = data_dir
        self._last_id = 0
        self._waiting: dict[int, tuple[Child, asyncio.Future[Json]]] = {}
        self._taken: set[int] = set()
        """Those that take long, and whose worker has begun."""
        self._given_up: OrderedDict[int, str] = OrderedDict()

    async def send(
        self,
        worker: Child,
        name: str,
        args: Json,
        wait_s: float,
        who: str,
        *,
        takes_s: float = 0.0,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Json:
        """The answer to the client, with "recorded": whether the worker keeps the record of the command.

        The worker has `wait_s` seconds to take it, and `takes_s` more when it says that it takes long. `who` is for
        the record, `more` goes with the message. An answer with "not_taken" says that the worker will not carry it out.
        """
        account = worker.spec.account
        number, future = self._expect(worker)
        message = {"type": "command", "id": number, "name": name, "args": args, "who": who, **more}
        message["expires_s"] = self._clock() + wait_s
        try:
            if not worker.send(message):
                text = f"{name} was not carried out: the worker of {account} reads no commands at the moment"
                return {**unanswered(text), "not_taken": True}
            answer = await self._answer(number, future, wait_s, takes_s)
        except TimeoutError:
            self._give_up(number, f"{name} for {account}")
            if number in self._taken:
                text = f"{name} for {account} was begun and is not over after {takes_s:g} s; look at status"
                return unanswered(text)
            age = self._clock() - worker.state.last_report
            text = (
                f"{name} was not carried out: the worker of {account} did not take it within {wait_s:g} s (its last "
                f"report came {age:.0f} s ago). It will not be carried out later either; "
                f"`{pasteable(f'restart {account}', data_dir=self._data_dir)}` ends a worker that hangs"
            )
            return {**unanswered(text), "not_taken": True}
        finally:
            self._waiting.pop(number, None)
            self._taken.discard(number)
        if answer.get("unanswered"):
            told = {**unanswered(str(answer.get("error"))), "recorded": bool(answer.get("recorded"))}
            return {**told, "not_taken": True} if answer.get("not_taken") else told
        ok = answer.get("ok", True)
        recorded = bool(answer.get("recorded", ok))
        if not ok:
            told = refused(str(answer.get("error") or f"the worker of {account} refused {name!r}"))
            kinds = {kind: True for kind in KINDS if answer.get(kind)}
            return {**told, "recorded": recorded, **kinds}
        return {"ok": True, "delivered": True, "result": answer.get("result"), "recorded": recorded}

    async def _answer(self, number: int, future: asyncio.Future[Json], wait_s: float, takes_s: float) -> Json:
        """Raises TimeoutError."""
        try:
            return await asyncio.wait_for(asyncio.shield(future), wait_s + ANSWER_GRACE_S)
        except TimeoutError:
            if number not in self._taken:
                raise
        return await asyncio.wait_for(future, takes_s)

    def waits_for(self, child: Child) -> bool:
        """Whether an answer of this process is waited for."""
        return any(asked is child for asked, _ in self._waiting.values())

    def on_taken(self, message: Json) -> None:
        """A worker has taken a command that takes long: {"type": "taken", "id": n}."""
        number = whole_or_none(message.get("id")) or 0
        if number in self._waiting:
            self._taken.add(number)

    async def step(self, worker: Child, message: Json, wait_s: float) -> Json:
        """The answer to a step of a reload: `ok`, and `result` or `error`. A late one may be carried out yet."""
        account = worker.spec.account
        number, future = self._expect(worker)
        try:
            if not worker.send({"type": "reload", "id": number, **message}):
                return unanswered(f"the worker of {account} reads nothing at the moment")
            return await asyncio.wait_for(future, wait_s)
        except TimeoutError:
            age = self._clock() - worker.state.last_report
            return unanswered(
                f"the worker of {account} did not answer within {wait_s:g} s (its last report came {age:.0f} s ago)"
            )
        finally:
            self._waiting.pop(number, None)

    async def ask(self, worker: Child, strategy: str, wait_s: float) -> Json:
        """The answer to the question why orders are missing; a late one harms nobody, and is dropped."""
        account = worker.spec.account
        number, future = self._expect(worker)
        try:
            if not worker.send({"type": "question", "id": number, "strategy": strategy}):
                return unanswered(f"the worker of {account} reads nothing at the moment")
            answer = await asyncio.wait_for(future, wait_s)
        except TimeoutError:
            age = self._clock() - worker.state.last_report
            late = f"the worker of {account} did not answer within {wait_s:g} s (its last report came {age:.0f} s ago)"
            return unanswered(
                f"{late}; `{pasteable(f'restart {account}', data_dir=self._data_dir)}` ends one that hangs"
            )
        finally:
            self._waiting.pop(number, None)
        if not answer.get("ok", True):
            return answer if answer.get("unanswered") else refused(str(answer.get("error")))
        return {"ok": True, "why": answer.get("result")}

    def _expect(self, worker: Child) -> tuple[int, asyncio.Future[Json]]:
        """The number of a new message, and what its answer will be put into."""
        self._last_id += 1
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = worker, future
        return self._last_id, future

    def on_answer(self, message: Json) -> None:
        """A worker's answer to a command: {"type": "answer", "id": n, "ok": bool, "result" or "error", "recorded"}."""
        number = whole_or_none(message.get("id")) or 0
        _, waiting = self._waiting.pop(number, (None, None))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
            return
        command = self._given_up.pop(number, None)
        if command is not None and message.get("ok", True):
            self._alert("WARNING", f"{command} was carried out after all: its answer came after we had given it up")

    def on_exit(self, worker: Child) -> None:
        """A process has ended: whoever waits for its answer is told."""
        for number, (asked, future) in list(self._waiting.items()):
            if asked is worker and not future.done():
                del self._waiting[number]
                text = (
                    f"the worker of {worker.spec.account} ended before it answered ({worker.last_exit}): look at "
                    "status when it runs again, and give the command again if it had no effect"
                )
                future.set_result({**unanswered(text), "not_taken": True})

    def _give_up(self, number: int, command: str) -> None:
        self._given_up[number] = command
        while len(self._given_up) > MOST_GIVEN_UP:
            self._given_up.popitem(last=False)
