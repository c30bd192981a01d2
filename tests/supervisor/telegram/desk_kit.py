"""The bot at work behind a real HTTP server of ours and a real control socket with a recorded status model.

async with DeskKit(tmp_path, server) as kit: ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gridbot import background
from supervisor.control.control_server import ControlServer
from supervisor.telegram.bot_answers import Waits
from supervisor.telegram.bot_api import BotApi
from supervisor.telegram.chat_desk import ChatDesk
from supervisor.telegram.telegram_spec import TelegramSpec
from tests.coroutine_tests import TIMEOUT_S
from tests.supervisor.metrics.metric_models import recorded

from .bot_server import TOKEN, BotServer

SEE, OPERATE, FLATTEN, NOBODY = 1, 2, 3, 666
ROLES = {SEE: "see", OPERATE: "operate", FLATTEN: "flatten"}
QUICK = Waits(token_s=0.05, conflict_s=0.05, first_s=0.02, most_s=0.1, longest_s=0.3)


class DeskKit:
    """`given` has all that the supervisor was asked but questions; `answers` its answers by "op" or command."""

    def __init__(
        self, data_dir: Path, server: BotServer, *, waits: Waits = QUICK, token: str = TOKEN, of_fleet: bool = False
    ) -> None:
        self.server = server
        self.model: dict[str, Any] | None = recorded()
        self.given: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.hold: dict[str, asyncio.Event] = {}
        self.late_s = 0.0
        """How much later it is for what is confirmed."""
        self._control = ControlServer(data_dir, self._answer)
        spec = TelegramSpec(data_dir, server.api, token, ROLES, poll_s=1.0, waits=waits, of_fleet=of_fleet)
        self._api = BotApi(spec.api, spec.token)
        self.desk = ChatDesk(spec, self._api, time.time, lambda: time.monotonic() + self.late_s)
        self._tasks: list[asyncio.Task[None]] = []
        self._is_control = True

    async def _answer(self, request: dict[str, Any], _: object) -> dict[str, Any]:
        if request["op"] == "status":
            return {"ok": True, "status": self.model} if self.model else {"ok": False, "error": "no room"}
        if request["op"] == "ping":  # a client whose command was refused asks which version that was
            return {"ok": True, **recorded()["supervisor"]}
        name = str(request.get("name") or request["op"])
        if name in self.hold:
            await self.hold[name].wait()
        if request["op"] != "why":
            self.given.append({key: value for key, value in request.items() if key not in ("until_s", "wait_s")})
        return self.answers.get(name, {"ok": True, "result": f"{name} done"})

    async def __aenter__(self) -> Self:
        await self._control.open()
        await self._api.__aenter__()
        await self.desk.open()
        works = (self.desk.run(), self.desk.outbox.run())
        self._tasks = [background.start(work, name="the bot") for work in works]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.desk.close(1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._api.__aexit__(None, None, None)
        await self._control.close()

    def of(self, name: str) -> list[dict[str, Any]]:
        """What was given of a command."""
        return [each for each in self.given if each.get("name", each["op"]) == name and each["op"] != "declined"]

    @property
    def declined(self) -> list[tuple[str, str, str]]:
        """Name, who, and why of each command that was recorded as not given."""
        return [(each["name"], each["who"], each["why"]) for each in self.given if each["op"] == "declined"]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def heard(self, user: int, count: int) -> None:
        """Until a user has so many messages: an answer that is still on its way is none to what is written next."""
        await self.until(lambda: len(self.server.texts(user)) == count)

    async def told(self, user: int, text: str, **changes: Any) -> str:
        """The next message to a user after writing this; nothing else may be on its way (`heard`)."""
        before = len(self.server.texts(user))
        self.server.say(user, text, **changes)
        await self.until(lambda: len(self.server.texts(user)) > before)
        return self.server.texts(user)[before]
