"""The real server of the page behind a real control socket, which answers with a recorded status model.

async with PageKit(tmp_path) as kit:         # in this loop
with served(tmp_path) as kit:                # in a thread of its own, for a browser
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from supervisor.control.control_server import ControlServer
from supervisor.status.program_revision import REVISION
from supervisor.web.logins import make_code
from supervisor.web.web_server import PAGE_KEY, WebServer
from supervisor.web.web_spec import WebSpec

RECORDED = json.loads(Path(__file__).with_name("recorded_status.json").read_text(encoding="utf-8"))
RECORDED_WHY = json.loads(Path(__file__).with_name("recorded_why.json").read_text(encoding="utf-8"))


def recorded(accounts: int = 2) -> dict[str, Any]:
    """The status of two accounts on paper, or as if it were of so many."""
    model: dict[str, Any] = copy.deepcopy(RECORDED)
    model["supervisor"]["revision"] = REVISION  # as one of this version
    if accounts != 2:
        model["accounts"] = [copy.deepcopy(model["accounts"][number % 2]) for number in range(accounts)]
        for number, account in enumerate(model["accounts"]):
            account["account"] = f"account-{number:03}"
            account["groups"] = ["night"] if number % 3 else ["day"]
    return model


def recorded_why() -> dict[str, Any]:
    """What the worker of alice said of alice-btc a minute after the demo began."""
    return copy.deepcopy(RECORDED_WHY)


class PageKit:
    """`model` is what the supervisor would answer, `why` of each strategy; None: it has nothing to say, and refuses."""

    def __init__(self, data_dir: Path, **spec: Any) -> None:
        self.data_dir = data_dir
        self.model: dict[str, Any] | None = recorded()
        self.why: dict[str, dict[str, Any]] = {"alice-btc": recorded_why()}
        self.asked = 0
        self.given: list[dict[str, Any]] = []
        """What it was asked beside the status."""
        self.answers: dict[str, dict[str, Any]] = {}
        """By `op`, what it answers; else that it was done."""
        self.server = WebServer(WebSpec(data_dir, **spec))
        self._control = ControlServer(data_dir, self._answer)
        self._client: aiohttp.ClientSession | None = None

    async def _answer(self, request: dict[str, Any], _: object) -> dict[str, Any]:
        if request["op"] == "why":
            return self._why(request)
        if request["op"] == "ping":  # a client whose command was refused asks which version that was
            return {"ok": True, **recorded()["supervisor"]}
        self.asked += 1
        if request["op"] != "status":
            self.given.append(request)
            return self.answers.get(request["op"], {"ok": True, "result": f"{request['op']} done", "child": "x"})
        return {"ok": True, "status": self.model} if self.model else {"ok": False, "error": "no room"}

    def _why(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.why.get(request["strategy"])
        if self.model is None or found is None:
            return {"ok": False, "error": f"expected a strategy of {request['account']}, got {request['strategy']!r}"}
        return {"ok": True, "why": {"account": request["account"], "time_ms": 0, "strategies": [found]}}

    async def __aenter__(self) -> Self:
        await self._control.open()
        await self.server.__aenter__()
        self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        await self._client.close()
        await self.server.__aexit__(None, None, None)
        await self._control.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @contextlib.asynccontextmanager
    async def request(
        self, verb: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._client is not None
        async with self._client.request(
            verb, f"{self.server.url}{path}", headers=headers, allow_redirects=False, **more
        ) as answer:
            yield answer

    async def status(self, verb: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> int:
        """The code of an answer."""
        async with self.request(verb, path, headers, **more) as answer:
            return answer.status

    async def login(self, who: str = "") -> dict[str, str]:
        """The headers of one who has logged in: cookie and page key."""
        async with self.request("POST", "/login", data={"code": make_code(self.data_dir, who)}) as answer:
            assert answer.status == 200, await answer.text()
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
            key = (await answer.text()).partition('name="page-key" content="')[2].partition('"')[0]
        return {"Cookie": cookie, PAGE_KEY: key}

    def allow_commands(self, *, allowed: bool = True) -> None:
        """As `web.allow_commands` would have it."""
        assert self.model is not None
        self.model["supervisor"]["configuration"] |= {"page_commands": allowed}

    async def command(self, login: dict[str, str], **document: Any) -> tuple[int, Any]:
        """Code and answer of a POST to /api/command; words where it is no JSON."""
        async with self.request("POST", "/api/command", login, json=document) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.text())

    async def raw(self, *parts: bytes) -> bytes:
        """What comes back for these bytes until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@contextlib.contextmanager
def served(data_dir: Path, **spec: Any) -> Iterator[PageKit]:
    """A kit in a loop and a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    kit = PageKit(data_dir, **spec)
    try:
        do(kit.__aenter__())
        yield kit
        do(kit.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
