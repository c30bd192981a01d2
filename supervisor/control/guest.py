"""The part of the address's requests for a command that asks an exchange, beside the workers of a supervisor or alone.

Bybit counts all HTTP requests of an address, and bans it for ten minutes when they are too many. So every command
that asks an exchange does it as a guest, with its `budget` in the `BybitRest`, whose queries then wait for their turn::

    limits = settings.supervisor
    async with Guest(data_dir, "bybit", limits.share_of_others(limits.requests_per_5s)) as guest:
        rest = BybitRest(endpoints, credentials, budget=guest.budget, on_ban=guest.banned)

::

    ┌──► no supervisor: `spare` requests in 5 s ──one is there──► wait until no request is young ──┐
    │                                                                                              ▼
    └── wait until no request is young ◄──it is gone──  a guest: what the supervisor lends (`supervisor.leases`)

What is lent changes with what the accounts need: on an idle address up to half of all, on a busy one the `spare` ones,
which workers leave to others. When supervisors come or go, nothing is sent until all that was is beyond the exchange's
window: nobody else knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from gridbot import background
from gridbot.budget.address_budget import AddressBudget
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.exchange.bans import Ban, ban_of
from gridbot.ports import Clock
from gridbot.system_ports import SystemClock
from supervisor.control.socket_protocol import Json, encode, kernel_path, socket_path

__all__ = ["Guest"]

SOON_S: Final = 0.05
"""Between two questions while something is wanted."""
SELDOM_S: Final = 1.0
"""Between two questions while nothing is: whoever says nothing for five seconds is gone."""
LOOK_S: Final = 2.0
"""Between two looks for a supervisor."""
ANSWER_S: Final = 10.0
SAME_S: Final = 1.0
"""Two ends of a ban that are closer are those of one ban."""


class _Refusal(Exception):
    """The supervisor lends us nothing, as one of an earlier version."""


class Guest:
    """One per exchange ("bybit" or "paper") and command. Its `budget` is usable inside `async with`.

    `spare` is how many requests in 5 s we may send beside workers (None: the exchange limits nothing). `on_ban` hears
    of each ban that others were told of.
    """

    def __init__(
        self,
        data_dir: Path,
        exchange: str,
        spare: int | None,
        *,
        on_ban: Callable[[Ban], object] = lambda ban: None,
        clock: Clock | None = None,
    ) -> None:
        self._path = socket_path(data_dir)
        self._exchange = exchange
        self._spare = spare
        self._on_ban = on_ban
        self._clock = clock or SystemClock()
        self._asked = asyncio.Event()
        self._ban_until_s = 0.0
        self._tell_ban: Ban | None = None
        self._base = 0
        """What the budget had been lent, and had given back, when it began with the present lender."""
        self._task: asyncio.Task[None] | None = None
        self.budget = AddressBudget(self._clock, lambda message: self._asked.set())

    async def __aenter__(self) -> Self:
        self.budget.open()
        self._task = background.start(self._run(), name=f"the permits of {self._exchange}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.budget.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def banned(self, ban: Ban) -> None:
        """The exchange has told us that it bans this address: so are the workers."""
        self._ban_until_s = max(self._ban_until_s, ban.until_s)
        self._tell_ban = ban
        self._asked.set()

    # ------------------------------------------------------------------ who lends

    async def _run(self) -> None:
        while True:
            connection = await self._reach()
            if connection is None:
                self._lend(self._spare)
                while (connection := await self._reach()) is None:
                    await asyncio.sleep(LOOK_S)
                await self._forget()
            try:
                await self._be_guest(*connection)
            except _Refusal:
                return self._lend(self._spare)
            except (OSError, EOFError, TimeoutError):
                await self._forget()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            with kernel_path(self._path) as path:
                return await asyncio.open_unix_connection(path)
        except OSError:
            return None

    async def _be_guest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the supervisor is gone (OSError, EOFError, TimeoutError) or refuses us."""
        name = ""
        try:
            while True:
                self._asked.clear()
                answer = await self._say(reader, writer, guest=name, wants=self._wants())
                name = str(answer["guest"])
                self._hear(answer.get("ban"))
                self._lend(answer["lent"], answer["keep"])
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SOON_S if any(self._wants()) else SELDOM_S):
                        await self._asked.wait()
        finally:
            with contextlib.suppress(OSError):
                if name and not self.budget.permits.under_way:
                    writer.write(encode(self._message(guest=name, wants=(), over=True)))
            writer.close()

    def _wants(self) -> tuple[int, ...]:
        return self.budget.permits.wants(self._clock.monotonic_s())

    async def _say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **fields: Any) -> Json:
        told, self._tell_ban = self._tell_ban, None
        if told is not None:
            error = told.error
            fields["banned"] = {
                "until_s": told.until_s,
                "ret_code": error.ret_code,
                "http_status": error.http_status,
            }
        writer.write(encode(self._message(**fields)))
        async with asyncio.timeout(ANSWER_S):
            line = await reader.readline()
        if not line:
            raise EOFError("the supervisor is gone")
        try:
            answer = read_json(line)
        except JsonMistake as mistake:
            raise _Refusal(str(mistake)) from None
        if not isinstance(answer, dict) or not answer.get("ok") or "lent" not in answer:
            raise _Refusal(str(answer))
        return answer

    def _message(self, **fields: Any) -> Json:
        permits = self.budget.permits
        counts = {"seen": permits.lent - self._base, "back": permits.returned - self._base}
        return {"op": "permits", "exchange": self._exchange, **counts, **fields}

    def _lend(self, lent: int | None, keep: int | None = None) -> None:
        in_all = None if lent is None else self._base + lent
        self.budget.lease({"lent": in_all, "keep": keep, "floor": 0, "ahead": 0})

    async def _forget(self) -> None:
        """Send nothing until all permits have rested and are given back; then begin with another lender."""
        permits = self.budget.permits
        self.budget.lease({"lent": permits.lent, "keep": 0, "floor": 0, "ahead": 0})
        while permits.held:
            await asyncio.sleep(SOON_S)
            permits.give_back(self._clock.monotonic_s())
        self._base = permits.returned

    def _hear(self, told: Json | None) -> None:
        if not told or told["until_s"] <= self._ban_until_s + SAME_S:
            return
        self._ban_until_s = told["until_s"]
        self._on_ban(ban_of(self._ban_until_s, self._clock.monotonic_s(), told["ret_code"], told["http_status"]))
