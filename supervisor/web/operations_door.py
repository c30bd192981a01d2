"""What the Operations view asks for beside status and records: what is in force, backtests, reports.

`GET /api/operations` names what there is, `GET /api/settings?of=NAME` has the values of one section, and
`POST /api/report` sends a report. The settings come from the supervisor, without secrets, and are asked for again only
when its configuration or the file is another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from gridbot.doors.plain_text import for_people
from supervisor.control.control_client import ControlError
from supervisor.web.page_answers import json_answer, words
from supervisor.web.report_shelf import REPORT_HEADERS, read_report, shelf

__all__ = ["OperationsDoor"]

Json = dict[str, Any]
AGAIN_S: Final = 10.0
LONGEST: Final = 2000
"""Characters of a value."""


class OperationsDoor:
    """Owns what was told of the settings. `ask` gets them, in a thread; `state` says which ones are in force."""

    def __init__(
        self, data_dir: Path, ask: Callable[[], Json], state: Callable[[], Any], clock: Callable[[], float]
    ) -> None:
        self._data_dir = data_dir
        self._ask = ask
        self._state = state
        self._clock = clock
        self._turn = asyncio.Lock()
        self._sections: dict[str, bytes] = {}
        self._kinds: dict[str, str] = {}
        self._file = ""
        self._problem = ""
        self._of: Any = None
        self._asked_s = float("-inf")

    async def operations(self, _: web.Request) -> web.StreamResponse:
        """All names: sections of the settings, backtests, reports."""
        await self._look()
        found = await asyncio.to_thread(shelf, self._data_dir)
        names = [{"name": name, "section": kind} for name, kind in self._kinds.items()]
        return json_answer({**found, "settings": names, "file": self._file, "problem": self._problem})

    async def settings(self, request: web.Request) -> web.StreamResponse:
        """The values of one section, each with where it comes from."""
        await self._look()
        found = self._sections.get(request.query.get("of", ""))
        if found is None:
            return words(404, self._problem or "there is no such section")
        return web.Response(body=found, content_type="application/json")

    async def report(self, name: str) -> web.StreamResponse:
        """A report, shut in so that its scripts can do nothing as the page."""
        body = await asyncio.to_thread(read_report, self._data_dir, name)
        if body is None:
            return words(404, "there is no such report")
        return web.Response(body=body, headers=REPORT_HEADERS)

    async def _look(self) -> None:
        """Ask where the configuration is another one, or was not to be had a while ago."""
        async with self._turn:
            state, now_s = self._state(), self._clock()
            if self._sections and state == self._of and not self._problem:
                return
            if now_s - self._asked_s < (AGAIN_S if state == self._of else 1.0):
                return
            self._of, self._asked_s = state, now_s
            try:
                self._take(await asyncio.to_thread(self._ask))
            except (ControlError, OSError) as error:
                self._problem = str(error)

    def _take(self, told: Json) -> None:
        self._problem, self._file = "", str(told["file"])
        self._kinds = {each["name"]: each["section"] for each in told["sections"]}
        self._sections = {each["name"]: orjson.dumps(for_people(each["values"], LONGEST)) for each in told["sections"]}
