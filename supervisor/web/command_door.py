"""`POST /api/command`: who is logged in gives a command, a dangerous one in two steps.

    {"command", "targets", "groups", "everything", "args", "dry_run"}
        ├─►  {"step": "done", "rows"}                                      what is not dangerous
        └─►  {"step": "confirm", "token", "accounts", "rows"}              what is: nothing was given yet
    {"token", "accounts"}  ──►  {"step": "done", "rows"}

The second step names nothing but the token of the first one and how many accounts it is for. A command that was begun
is carried out also when the browser goes away meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from gridbot import background
from gridbot.command_line import pasteable
from gridbot.commands.wording import CommandMistake, counted
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import for_people
from supervisor.control.control_client import ControlError
from supervisor.remote.confirmations import Confirmations
from supervisor.remote.prepared_command import GOOD_S, Prepared
from supervisor.remote.remote_commands import NotAllowed, carry_out, decline, prepare, require_allowed
from supervisor.web.logins import Session
from supervisor.web.page_answers import json_answer, words

__all__ = ["MOST_AT_WORK", "CommandDoor"]

T = TypeVar("T")
log = logging.getLogger("supervisor.web")

READ_S: Final = 10.0
MOST_AT_WORK: Final = 8
"""Commands that wait for their answers at once."""
LONGEST_TEXT: Final = 4000
SECOND: Final = {"token", "accounts"}
USED: Final = f"expected the token of a first step of this login, good for {GOOD_S:g} s and once; begin again"


class CommandDoor:
    """One per page. `clock` is monotonic, in seconds."""

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        self._data_dir = data_dir
        self._firsts: Confirmations[Prepared] = Confirmations(clock)
        self._threads = ThreadPoolExecutor(MOST_AT_WORK, thread_name_prefix="page-command")
        self._at_work: dict[asyncio.Task[Any], None] = {}

    async def answer(self, request: web.Request, session: Session) -> web.Response:
        """What one POST leads to. It waits for what was asked for, a minute and more."""
        if request.content_type != "application/json":
            return words(415, "expected JSON")
        async with asyncio.timeout(READ_S):
            body = await request.read()
        try:
            document = read_json(body)
        except JsonMistake as mistake:
            return words(400, str(mistake))
        if len(self._at_work) >= MOST_AT_WORK:
            return words(503, f"{MOST_AT_WORK} commands are being carried out; again in a moment")
        task = background.awaited(self._answer(document, session), name="a command of the page")
        self._at_work[task] = None
        task.add_done_callback(self._at_work.pop)
        return await asyncio.shield(task)

    async def _answer(self, document: Any, session: Session) -> web.Response:
        who = f"web:{session.who or 'unknown'}"
        try:
            if isinstance(document, dict) and "token" in document:
                return await self._second(document, session, who)
            prepared = await self._in_thread(prepare, self._data_dir, document, who, _page_may)
        except NotAllowed:
            return words(403, _off(self._data_dir))
        except CommandMistake as mistake:
            return words(422, str(mistake))
        except ControlError as error:
            return words(503, str(error))
        if prepared.needs_second_step:
            token = self._firsts.give(session, prepared)
            return _json({"step": "confirm", "token": token, "good_for_s": GOOD_S, **prepared.shown})
        if prepared.is_dry:
            return _json({"step": "shown", **prepared.shown})
        return await self._carried_out(prepared, who)

    async def _second(self, document: dict[str, Any], session: Session, who: str) -> web.Response:
        token, accounts = document.get("token"), document.get("accounts")
        if document.keys() != SECOND or not isinstance(token, str) or type(accounts) is not int:
            raise CommandMistake("expected a second step with the texts `token` and the number `accounts` alone")
        await self._in_thread(require_allowed, self._data_dir, _page_may)
        prepared = self._firsts.take(session, token)
        if prepared is None:
            log.warning("a second step of a command came with a token that is good for nothing (%s)", who)
            return words(409, USED)
        wanted = len(prepared.accounts)
        if accounts != wanted:
            why = f"expected {counted(wanted, 'account')}, got {accounts} typed on the page; nothing was sent"
            targets = " ".join(map(str, prepared.targets))
            await self._in_thread(decline, self._data_dir, prepared.command, prepared.args, targets, why, who)
            return words(409, why)
        return await self._carried_out(prepared, who)

    async def _carried_out(self, prepared: Prepared, who: str) -> web.Response:
        log.info("%s by %s", prepared.command.name, who)
        return _json(await self._in_thread(carry_out, self._data_dir, prepared, who))

    async def _in_thread(self, work: Callable[..., T], *given: Any) -> T:
        """Not among the threads of the page: a command may wait for minutes."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    def close(self) -> None:
        """What was begun is carried out; nothing more begins."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _page_may(status: dict[str, Any]) -> bool:
    """The supervisor's own word."""
    return bool((status["supervisor"].get("configuration") or {}).get("page_commands"))


def _off(data_dir: Path) -> str:
    reload = pasteable("reload", data_dir=data_dir)
    return f"the page gives no commands: web.allow_commands is off; set it in the configuration, then `{reload}`"


def _json(document: dict[str, Any]) -> web.Response:
    return json_answer(for_people(document, LONGEST_TEXT))
