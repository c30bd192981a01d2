"""Facts of the market that another account of this supervisor may just have read (`supervisor/leases/fact_board.py`).

Whoever wants one says how old it may be. Nobody answers within `PATIENCE_S` (within `COMING_S` when it is said that
another one reads it), or there is no supervisor: then it is read here, as if there were no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from gridbot.ports import Clock, Timer

__all__ = ["COMING_S", "PATIENCE_S", "FactShare"]

T = TypeVar("T")
Message = dict[str, Any]

PATIENCE_S: Final = 3.0
COMING_S: Final = 20.0
"""A reader is replaced after 15 s, and most facts are here in less than one."""


class FactShare:
    """One per process. `send` passes a message to the supervisor; without one nothing is shared.

    `scope` is where the facts are true, such as "testnet".
    """

    def __init__(self, clock: Clock, scope: str = "", send: Callable[[Message], None] | None = None) -> None:
        self._clock = clock
        self._scope = scope
        self._send = send
        self._asked: dict[str, asyncio.Future[Message | None]] = {}
        self._timers: dict[str, Timer] = {}

    async def get(self, key: str, max_age_s: float, read: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The fact of that name, and whether it was read here now. Raises what `read` raises.

        `read` is called at most once, and must not return None.
        """
        send, name = self._send, f"{self._scope}/{key}"
        if send is None or name in self._asked:
            return await read(), True
        answer = self._asked[name] = asyncio.get_running_loop().create_future()
        send({"type": "fact_wanted", "key": name, "since_s": self._clock.monotonic_s() - max_age_s})
        self._wait(name, PATIENCE_S)
        try:
            told = await answer
        finally:
            self._timers.pop(name).cancel()
            del self._asked[name]
        if told is not None and told["type"] == "fact":
            value: T = told["value"]
            return value, False
        return await self._read_for_all(name, read, send) if told is not None else (await read(), True)

    def on_message(self, message: Message) -> None:
        """Of the supervisor: `fact` (here it is), `read_fact` (read it, tell) or `fact_coming` (another one reads)."""
        name = str(message["key"])
        answer = self._asked.get(name)
        if message["type"] == "fact_coming":
            if answer is not None:
                self._timers[name].cancel()
                self._wait(name, COMING_S)
        elif answer is not None and not answer.done():
            answer.set_result(message)
        elif message["type"] == "read_fact" and self._send is not None:
            self._send({"type": "fact_read", "key": message["key"], "value": None})

    def _wait(self, name: str, seconds: float) -> None:
        answer = self._asked[name]
        self._timers[name] = self._clock.call_later(seconds, lambda: _settle(answer, None))

    async def _read_for_all(
        self, name: str, read: Callable[[], Awaitable[T]], send: Callable[[Message], None]
    ) -> tuple[T, bool]:
        value: T | None = None
        try:
            value = await read()
            return value, True
        finally:
            send({"type": "fact_read", "key": name, "value": value})


def _settle(answer: asyncio.Future[Message | None], with_what: Message | None) -> None:
    if not answer.done():
        answer.set_result(with_what)
