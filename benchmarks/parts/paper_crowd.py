"""Many clients of a paper exchange at once: public and private WebSockets, and HTTP connections that stay open."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gridbot.paper.api.auth import sign
from gridbot.paper.server.paper_spec import PaperAccount

__all__ = ["Crowd", "HeardBy"]


@dataclass
class HeardBy:
    """One socket: what came on each topic since it was subscribed."""

    socket: aiohttp.ClientWebSocketResponse
    frames: dict[str, list[Any]] = field(default_factory=dict)

    async def read(self) -> None:
        async for message in self.socket:
            frame = json.loads(message.data)
            if "topic" in frame:
                self.frames.setdefault(frame["topic"], []).append(frame)

    async def ask(self, op: str, args: Sequence[Any]) -> None:
        """Before `read`. Raises ConnectionError when it is refused."""
        await self.socket.send_json({"op": op, "args": list(args)})
        while "success" not in (answer := await self.socket.receive_json()):
            pass  # a frame of a topic
        if not answer["success"]:
            raise ConnectionError(f"{op}: {answer}")


class Crowd:
    """Connections that are made together and stay open: `async with Crowd(url, accounts) as crowd`."""

    def __init__(self, url: str, accounts: Sequence[PaperAccount], *, public: int, private: int, http: int) -> None:
        self._url = url
        self._accounts = accounts
        self._counts = public, private
        self.public: list[HeardBy] = []
        self.private: list[HeardBy] = []
        self._web = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._clients = [aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) for _ in range(http)]
        self._readers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Crowd:
        public, private = self._counts
        everyone = [self._listener("public/linear", ["tickers.BTCUSDT"]) for _ in range(public)]
        for number in range(private):
            account = self._accounts[number % len(self._accounts)]
            everyone.append(self._listener("private", ["order"], account))
        heard = await asyncio.gather(*everyone)
        self.public, self.private = heard[:public], heard[public:]
        self._readers = [asyncio.create_task(each.read()) for each in heard]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for session in (self._web, *self._clients):
            await session.close()

    async def _listener(self, path: str, topics: Sequence[str], account: PaperAccount | None = None) -> HeardBy:
        heard = HeardBy(await self._web.ws_connect(f"{self._url.replace('http', 'ws', 1)}/v5/{path}"))
        if account is not None:
            expires = time.time_ns() // 1_000_000 + 10_000
            signature = sign(account.api_secret, f"GET/realtime{expires}".encode())
            await heard.ask("auth", [account.api_key, expires, signature])
        await heard.ask("subscribe", topics)
        return heard

    async def ask_all(self, path: str, query: str) -> list[dict[str, Any]]:
        """A signed query on each HTTP connection, all at the same time; the answers."""
        asked = [
            self._ask(client, path, query, self._accounts[number % len(self._accounts)])
            for number, client in enumerate(self._clients)
        ]
        return await asyncio.gather(*asked)

    async def _ask(self, client: aiohttp.ClientSession, path: str, query: str, account: PaperAccount) -> dict[str, Any]:
        stamp = str(time.time_ns() // 1_000_000)
        headers = {
            "X-BAPI-API-KEY": account.api_key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "20000",
            "X-BAPI-SIGN": sign(account.api_secret, f"{stamp}{account.api_key}20000{query}".encode()),
        }
        async with client.get(f"{self._url}{path}?{query}", headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            return answer
