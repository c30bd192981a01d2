"""The requests to the Bot API, by HTTP. The token is in each address: no error that has one leaves this module."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson

from supervisor.telegram.bot_answers import LONGEST_ANSWER, Answered, Kind, Problem, away, read_answer

__all__ = ["BotApi"]

CONNECT_S: Final = 10.0


class BotApi:
    """One bot. `address` is that of the API, without the token."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token
        self._secrets = (token, token.partition(":")[2])
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"BotApi({self._address})"

    async def __aenter__(self) -> Self:
        # a proxy gets what is encrypted alone: without TLS, as to this machine, it would read the token
        self._session = aiohttp.ClientSession(trust_env=self._address.lower().startswith("https://"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, parameters: Mapping[str, Any], *, within_s: float) -> Answered | Problem:
        """One request, and what it led to. Raises nothing."""
        try:
            status, body = await self._post(method, parameters, within_s)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the texts of all of them may have the address, so none goes on
            failure = type(error).__name__
        else:
            if len(body) > LONGEST_ANSWER:
                return Problem(Kind.GARBAGE, f"the Bot API answered with more than {LONGEST_ANSWER:,} bytes")
            return read_answer(status, body, self._secrets)
        return away(failure)

    async def _post(self, method: str, parameters: Mapping[str, Any], within_s: float) -> tuple[int, bytes]:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=within_s, sock_connect=CONNECT_S)
        async with self._session.post(
            f"{self._address}/bot{self._token}/{method}",
            data=orjson.dumps(parameters),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
            timeout=timeout,
        ) as answer:
            body = bytearray()
            async for part in answer.content.iter_chunked(1 << 16):
                body += part
                if len(body) > LONGEST_ANSWER:
                    break
            return answer.status, bytes(body)
