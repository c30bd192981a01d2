"""The bot with much to do: what takes long holds up nothing else, and one chat costs no other its answers."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from supervisor.telegram import chat_desk, chat_outbox
from supervisor.telegram.chat_desk import MOST_AT_WORK, STOPS

from .bot_server import BOT, TOKEN, BotServer
from .desk_kit import FLATTEN, OPERATE, SEE, DeskKit

SECRET = TOKEN.partition(":")[2]
CONFLICT = (409, {"ok": False, "error_code": 409, "description": "Conflict: another"})
UNAUTHORIZED = (401, {"ok": False, "error_code": 401, "description": f"Unauthorized {TOKEN}"})
SLOW = (429, {"ok": False, "error_code": 429, "description": "Too Many", "parameters": {"retry_after": 0.1}})
BROKEN = (502, b"<html>bad gateway</html>")
GARBAGE = [(200, b"\xff{"), (200, {"ok": True, "result": {}}), (200, {"ok": True, "result": [7, {"update_id": "x"}]})]


async def test_a_command_that_takes_long_holds_up_no_question_and_no_kill(tmp_path: Path, server: BotServer) -> None:
    async with DeskKit(tmp_path, server) as kit:
        kit.hold["cancel"] = asyncio.Event()
        server.say(FLATTEN, "/cancel alice")
        server.say(FLATTEN, "/pause bob")
        assert "healthy" in await kit.told(FLATTEN, "/status")
        await kit.told(FLATTEN, "/kill alice")
        server.press(FLATTEN, server.buttons()[0])
        await kit.until(lambda: kit.of("kill"))
        assert kit.of("pause") == [], "commands of one user come one after another"
        kit.hold["cancel"].set()
        await kit.until(lambda: kit.of("pause"))
        assert kit.desk.bot == BOT


async def test_questions_that_take_long_hold_up_no_kill_and_what_no_thread_has_begun_is_not_done_at_the_end(
    tmp_path: Path, server: BotServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    def slow(*_: Any) -> list[str]:
        begun.release()
        goes_on.wait(60)
        return ["late"]

    monkeypatch.setattr(chat_desk, "answer_lines", slow)
    try:
        async with DeskKit(tmp_path, server) as kit:
            await kit.told(OPERATE, "/resume alice")
            yes, _ = server.buttons()
            for _ in range(MOST_AT_WORK):
                server.say(SEE, "/daily")
            for _ in range(MOST_AT_WORK):
                await asyncio.to_thread(begun.acquire)
            assert f"{MOST_AT_WORK} others are under way" in await kit.told(SEE, "/status")
            await kit.told(FLATTEN, "/kill alice")
            server.press(FLATTEN, server.buttons()[0])
            await kit.until(lambda: kit.of("kill"))
            server.press(OPERATE, yes)
            await kit.until(lambda: "resume: under way" in server.toasts())
        assert server.texts(OPERATE)[-1] == STOPS
        assert kit.of("resume") == []
    finally:
        goes_on.set()


async def test_a_chat_that_has_to_slow_down_holds_up_no_other_and_one_that_asks_much_costs_no_other_an_answer(
    tmp_path: Path, server: BotServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, answer = threading.Event(), server.answer

    def slow(token: str, method: str, asked: dict[str, Any]) -> tuple[int, Any]:
        is_slow = method == "sendMessage" and asked["chat_id"] == SEE and not goes_on.is_set()
        return SLOW if is_slow else answer(token, method, asked)

    monkeypatch.setattr(server, "answer", slow)
    monkeypatch.setattr(chat_outbox, "MOST_WAITING", 6)
    async with DeskKit(tmp_path, server) as kit:
        for text in ("/help", "/status", "/health", "/pnl"):
            server.say(SEE, text)
        await kit.until(lambda: len(kit.desk.outbox._waiting) == 4)
        assert "pause: 1 done" in await kit.told(OPERATE, "/pause alice")
        await kit.until(lambda: len(kit.desk.outbox._waiting) == 4)
        for number in range(4):
            kit.desk.outbox.say(SEE, [f"more {number}"])
        kit.desk.outbox.say(OPERATE, ["of no slow chat"])
        await kit.heard(OPERATE, 2)
        goes_on.set()
        await kit.heard(SEE, 5)
        assert kit.desk.outbox.lost == 3
        assert server.texts(SEE)[1:] == [f"more {number}" for number in range(4)], "in their order, the newest"
