"""A fact of the market: read by another account, read here for all, or read here because nobody answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gridbot.budget.fact_share import COMING_S, PATIENCE_S, FactShare
from tests.execution.support import ManualClock, settle


class Reader:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.said: list[dict[str, Any]] = []
        self.share = FactShare(self.clock, "testnet", self.said.append)
        self.reads = 0
        self.error: Exception | None = None

    async def read(self) -> str:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return "ours"

    def get(self, key: str = "clock") -> asyncio.Task[tuple[str, bool]]:
        return asyncio.ensure_future(self.share.get(key, 60.0, self.read))

    def told(self, kind: str, **fields: Any) -> None:
        self.share.on_message({"type": kind, "key": "testnet/clock", **fields})


def test_without_a_supervisor_it_is_read_here() -> None:
    async def scene() -> None:
        reader = Reader()
        assert await FactShare(reader.clock).get("clock", 60.0, reader.read) == ("ours", True)

    asyncio.run(scene())


def test_what_another_account_has_read_is_not_read_again() -> None:
    async def scene() -> None:
        reader = Reader()
        task = reader.get()
        await settle()
        since_s = reader.clock.now_s - 60.0
        assert reader.said == [{"type": "fact_wanted", "key": "testnet/clock", "since_s": since_s}]
        reader.told("fact", value="theirs")
        assert await task == ("theirs", False)
        assert reader.reads == 0

    asyncio.run(scene())


def test_what_is_read_for_all_is_told_also_that_it_failed() -> None:
    async def scene() -> None:
        reader = Reader()
        task = reader.get()
        await settle()
        reader.told("read_fact")
        assert await task == ("ours", True)
        assert reader.said[-1] == {"type": "fact_read", "key": "testnet/clock", "value": "ours"}
        reader.error = ValueError("no")
        task = reader.get()
        await settle()
        reader.told("read_fact")
        with pytest.raises(ValueError, match="no"):
            await task
        assert reader.said[-1]["value"] is None

    asyncio.run(scene())


def test_when_nobody_answers_it_is_read_here_and_a_late_wish_is_refused() -> None:
    async def scene() -> None:
        reader = Reader()
        task = reader.get()
        await settle()
        await reader.clock.advance(PATIENCE_S)
        assert await task == ("ours", True)
        assert len(reader.said) == 1
        reader.told("read_fact")
        assert reader.said[-1] == {"type": "fact_read", "key": "testnet/clock", "value": None}
        reader.told("fact", value="late")
        assert reader.reads == 1

    asyncio.run(scene())


def test_while_another_one_reads_it_nobody_else_does_however_slow_that_is() -> None:
    """At a start that waited for permits every account lost its patience, and read all by itself."""

    async def scene() -> None:
        reader = Reader()
        reader.told("fact_coming")  # nobody asked
        task, other = reader.get(), reader.get("notices")
        await settle()
        reader.told("fact_coming")
        await reader.clock.advance(PATIENCE_S)
        assert (await other, task.done()) == (("ours", True), False)
        await reader.clock.advance(COMING_S - PATIENCE_S - 1)
        reader.told("fact", value="theirs")
        assert await task == ("theirs", False)
        task = reader.get()
        await settle()
        reader.told("fact_coming")
        await reader.clock.advance(COMING_S)
        assert await task == ("ours", True), "but not for ever"

    asyncio.run(scene())


def test_who_asks_while_it_is_asked_for_reads_it_itself() -> None:
    async def scene() -> None:
        reader = Reader()
        first, second = reader.get(), reader.get()
        await settle()
        assert second.done()
        reader.told("fact", value="theirs")
        assert (await first, await second) == (("theirs", False), ("ours", True))

    asyncio.run(scene())
