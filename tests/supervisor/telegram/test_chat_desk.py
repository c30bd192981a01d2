"""The bot at work: real HTTP, a real control socket; each command, buttons, restarts, and a Bot API that fails."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import LoggingConfig
from gridbot.logging_setup import log_path, setup_logging, stop_logging
from supervisor.remote import remote_commands
from supervisor.telegram import chat_desk
from supervisor.telegram.bot_answers import Waits
from supervisor.telegram.bot_api import BotApi
from supervisor.telegram.chat_desk import LATE
from supervisor.telegram.fleet_lines import daily_lines
from tests.supervisor.metrics.metric_models import of_fleet

from .bot_server import TOKEN, BotServer
from .desk_kit import FLATTEN, NOBODY, OPERATE, SEE, DeskKit

INCIDENT = {
    "account": "", "strategy": "", "child": "writer", "key": "down", "cause": "", "level": "ERROR", "id": "abc123",
    "since": "2026-11-30T01:10:00.000Z", "count": 1, "text": "it is away", "acked": None, "muted_until": None,
}  # fmt: skip
SECRET = TOKEN.partition(":")[2]
CONFLICT = (409, {"ok": False, "error_code": 409, "description": "Conflict: another"})
UNAUTHORIZED = (401, {"ok": False, "error_code": 401, "description": f"Unauthorized {TOKEN}"})
SLOW = (429, {"ok": False, "error_code": 429, "description": "Too Many", "parameters": {"retry_after": 0.1}})
BROKEN = (502, b"<html>bad gateway</html>")
GARBAGE = [(200, b"\xff{"), (200, {"ok": True, "result": {}}), (200, {"ok": True, "result": [7, {"update_id": "x"}]})]


@pytest.fixture
def our_log(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """All that the process would log, at DEBUG, without anything hidden that it was not told of: reads it once."""
    setup_logging("telegram", LoggingConfig(level="DEBUG"), tmp_path, console=False)
    for name in ("aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)

    def read() -> str:
        stop_logging()
        return log_path("telegram", tmp_path).read_text()

    yield read
    stop_logging()


async def test_what_is_asked_is_answered_with_every_name_escaped(
    tmp_path: Path, server: BotServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # it would get the token: not asked for this machine
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with DeskKit(tmp_path, server) as kit:
        assert kit.model is not None
        kit.model["reasons"] = ["<script> & co"]
        answers = {
            "/status": r"<b>healthy.*2 accounts.*<b>alice</b> RUNNING",
            "/status alice": r"alice-btc BTCUSDT 60370.4: active, 15 orders, long 0.002, short 0.006",
            "/health": r"&lt;script&gt; &amp; co.*<code>nsdmjs</code> ERROR worker-alice: killed by SIGKILL",
            "/positions": r"<b>alice/alice-btc</b> BTCUSDT long 0.002 @ 60069.75, \+0.19",
            "/pnl": r"<b>alice</b> \(paper\) equity 10,011.10, net \+.*<b>paper, 2 accounts: equity",
            "/pnl nobody": r"expected an account \(alice, bob\), got 'nobody'",
            "/help": r"/status \[TARGET...\].*your role: see",
            "/logs nobody": r"expected supervisor, .*got 'nobody'",
            "/logs 41": "1 to 40 lines",
            "/daily x": "expected /daily alone",
            "/why": "expected ACCOUNT or ACCOUNT/STRATEGY, got none",
            "/frobnicate": "expected /status",
        }
        for asked, words in answers.items():
            told = await kit.told(SEE, asked)
            assert re.search(words, told, re.DOTALL), (asked, told)
        assert "/kill" not in await kit.told(SEE, "/help")
        told = await kit.told(SEE, "/help Flatten")
        assert re.search(r"/flatten TARGET.*--market-after: Seconds.*role flatten.*your role: see", told, re.DOTALL)
        assert "/kill" in await kit.told(FLATTEN, "/start")
        assert {each["parse_mode"] for each in server.messages()} == {"HTML"}
        assert kit.given == []
        menus = [each for method, each in server.asked if method == "setMyCommands"]
        assert [each["scope"]["chat_id"] for each in menus] == [SEE, OPERATE, FLATTEN]


async def test_why_and_logs_are_read_from_worker_and_file(tmp_path: Path, server: BotServer) -> None:
    (tmp_path / "logs").mkdir()
    rows = [{"time": f"2026-11-30T04:00:{n:02}Z", "level": "INFO", "message": f"line {n} <&>"} for n in range(20)]
    lines = ["no json", *map(json.dumps, rows)]
    (tmp_path / "logs" / "worker-alice.jsonl").write_text("\n".join(lines) + "\n")
    async with DeskKit(tmp_path, server) as kit:
        told = await kit.told(SEE, "/logs alice 3")
        assert told.splitlines() == ["<b>alice</b>", *(f"04:00:{n} INFO line {n} &lt;&amp;&gt;" for n in (17, 18, 19))]
        assert "cannot be read: No such file" in await kit.told(SEE, "/logs")
        kit.answers["why"] = {"ok": False, "error": "<the worker> hangs", "unanswered": True}
        told = await kit.told(SEE, "/why alice/alice-btc")
        assert "alice: &lt;the worker&gt; hangs" in told
        assert "its process is RUNNING" in told


async def test_each_command_is_given_once_with_who_and_its_answer_is_told(tmp_path: Path, server: BotServer) -> None:
    async with DeskKit(tmp_path, server) as kit:
        who = f"telegram:{OPERATE}"
        for text, args in {
            "/pause alice --cancel --reason the news": {"cancel": True, "reason": "the news"},
            "/reduce alice": {},
            "/cancel alice --leave-running": {"leave_running": True},
        }.items():
            name = text[1:].split()[0]
            told = await kit.told(OPERATE, text)
            assert told == f"<b>{name}: 1 done</b>\nalice: {name} done"
            assert kit.of(name) == [{"op": "worker", "account": "alice", "name": name, "args": args, "who": who}]
        kit.answers["mute"] = {"ok": False, "error": "expected an <open> alert"}
        told = await kit.told(OPERATE, "/mute nsdmjs --for 2h")
        assert told == "<b>mute: 0 done, 1 NOT done</b>\nNOT DONE: expected an &lt;open&gt; alert"
        assert kit.of("mute") == [{"op": "mute", "what": "nsdmjs", "period": "2h", "who": who}]
        kit.given.clear()
        assert "got 'nobody'" in await kit.told(OPERATE, "/pause nobody")
        assert [(name, by) for name, by, _ in kit.declined] == [("pause", who)]
        assert "needs the role flatten, yours is operate" in await kit.told(OPERATE, "/kill alice")
        await kit.until(lambda: len(kit.declined) == 2)
        assert kit.declined[1] == ("kill", who, "it needs the role flatten, yours is operate")
        assert kit.desk.report()["commands"] == 4
        kit.model = None
        assert "nothing was done: no room" in await kit.told(OPERATE, "/pause alice")
        await kit._control.close()
        assert "nothing was done: no supervisor runs in" in await kit.told(OPERATE, "/pause alice")


@pytest.mark.parametrize("text", ["/flatten alice", "/kill --all", "/resume alice", "/cancel alice --foreign"])
async def test_what_is_dangerous_needs_a_button_once_in_time_by_the_same_user(
    tmp_path: Path, server: BotServer, text: str
) -> None:
    name = text[1:].split()[0]
    async with DeskKit(tmp_path, server) as kit:
        shown = await kit.told(FLATTEN, text)
        assert "nothing was given yet" in shown
        yes, no = server.buttons()
        assert max(len(yes), len(no)) <= 64

        async def pressed(user: int, data: str, **changes: Any) -> str:
            before = len(server.toasts())
            server.press(user, data, **changes)
            await kit.until(lambda: len(server.toasts()) > before)
            return server.toasts()[before]

        assert await pressed(OPERATE, yes) == LATE
        assert "below a message to somebody else" in await pressed(OPERATE, yes, of=FLATTEN)
        assert await pressed(FLATTEN, "yes:" + "x" * 43) == LATE
        assert kit.of(name) == [], "nobody could press it but who was asked"
        said = len(server.texts(FLATTEN))
        assert await pressed(FLATTEN, yes) == f"{name}: under way"
        await kit.until(lambda: len(server.texts(FLATTEN)) > said)
        assert server.texts(FLATTEN)[-1].startswith(f"<b>{name}: {2 if '--all' in text else 1} done</b>")
        assert {each["who"] for each in kit.of(name)} == {f"telegram:{FLATTEN}"}
        count = len(kit.of(name))
        assert await pressed(FLATTEN, yes) == LATE, "pressed twice"
        assert await pressed(FLATTEN, no) == LATE

        await kit.told(FLATTEN, text)
        [yes, no] = server.buttons()
        said = len(server.texts(FLATTEN))
        assert await pressed(FLATTEN, no) == "nothing was given"
        await kit.heard(FLATTEN, said + 1)
        await kit.until(lambda: kit.declined)
        assert kit.declined == [(name, f"telegram:{FLATTEN}", "the answer to its question was no")]
        await kit.told(FLATTEN, text)
        [yes, _] = server.buttons()
        kit.late_s = 61.0
        assert await pressed(FLATTEN, yes) == LATE, "older than a minute"
        assert len(kit.of(name)) == count
        assert any(method == "editMessageReplyMarkup" for method, _ in server.sent)


async def test_no_update_is_carried_out_twice_also_over_a_restart(tmp_path: Path, server: BotServer) -> None:
    async with DeskKit(tmp_path, server) as kit:
        await kit.told(OPERATE, "/pause alice")
        number = server.say(OPERATE, "/reduce alice")
        await kit.until(lambda: kit.of("reduce"))
        await kit.heard(OPERATE, 2)
    kept = (tmp_path / "telegram" / "telegram.json").read_text()
    assert json.loads(kept)["next"] == number + 1
    assert SECRET not in kept
    server.again({"update_id": number, "message": {}})  # the Bot API has lost what we have confirmed
    async with DeskKit(tmp_path, server) as kit:
        told = await kit.told(OPERATE, "/pause bob")
        assert "pause: 1 done" in told
        assert [each["account"] for each in kit.given] == ["bob"]
    (tmp_path / "telegram" / "telegram.json").write_bytes(b'{"next": "no')
    async with DeskKit(tmp_path, server) as kit:
        assert "pause: 1 done" in await kit.told(OPERATE, "/pause bob")


async def test_an_update_that_is_being_written_down_at_the_end_is_carried_out_or_refused_in_words(
    tmp_path: Path, server: BotServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DeskKit(tmp_path, server) as kit:
        await kit.told(SEE, "/help")
        entered, goes_on, save = threading.Event(), threading.Event(), kit.desk._file.save

        def slow(*given: Any) -> None:
            entered.set()
            goes_on.wait(60)
            save(*given)

        monkeypatch.setattr(kit.desk._file, "save", slow)
        number = server.say(OPERATE, "/pause alice")
        server.say(OPERATE, "/reduce alice")
        await asyncio.to_thread(entered.wait, 60)
        kit._tasks[0].cancel()  # as the process does when it is asked to end
        goes_on.set()
        await kit.until(lambda: kit.of("pause"))
        await kit.heard(OPERATE, 1)
    assert json.loads((tmp_path / "telegram" / "telegram.json").read_text())["next"] == number + 1
    assert kit.of("reduce") == [], "it is for the next process"


async def test_with_a_full_disk_the_bot_api_keeps_what_was_seen_or_nothing_is_done(
    tmp_path: Path, server: BotServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DeskKit(tmp_path, server) as kit:
        await kit.told(SEE, "/help")

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(kit.desk._file, "save", full)
        number = server.say(OPERATE, "/pause alice")
        await kit.until(lambda: kit.of("pause"))
        await kit.heard(OPERATE, 1)
        confirmed = [each.get("offset") for method, each in server.asked if method == "getUpdates"]
        assert number + 1 in confirmed
        server.fails["getUpdates"] = []
        answer = server.answer

        def away(token: str, method: str, asked: dict[str, Any]) -> tuple[int, Any]:
            return BROKEN if method == "getUpdates" and asked["timeout"] == 0 else answer(token, method, asked)

        monkeypatch.setattr(server, "answer", away)
        told = await kit.told(OPERATE, "/reduce alice")
        assert "cannot be written down that this was seen" in told
        assert kit.of("reduce") == []


async def test_of_the_hosts_of_a_fleet_the_one_whose_turn_it_is_listens_and_the_next_goes_on_after_it(
    tmp_path: Path, server: BotServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was frozen while it asked gets news that another host has carried out by then."""
    first, second = tmp_path / "h1", tmp_path / "h2"
    for place in (first, second):
        place.mkdir()
    async with DeskKit(first, server, of_fleet=True) as kit:
        assert kit.model is not None
        kit.model |= {"fleet": of_fleet(), "elsewhere": [], "incidents_elsewhere": []}
        turn = {"service": "telegram", "here": False, "host": "h2", "epoch": 4}
        kit.model["fleet"]["services"] = [turn]
        server.say(OPERATE, "/pause alice")
        await kit.until(lambda: kit.desk.report()["problem"] == chat_desk.NOT_OURS)
        assert (kit.given, server.texts(OPERATE)) == ([], [])
        turn["here"] = True
        await kit.heard(OPERATE, 1)
        assert [each["account"] for each in kit.of("pause")] == ["alice"]

        # It stands still after it has heard of a command, and before it carries it out.
        def stands_still(*given: Any) -> Any:
            turn["here"] = False
            return remote_commands.prepare(*given)

        with monkeypatch.context() as patch:
            patch.setattr(chat_desk, "prepare", stands_still)
            server.say(OPERATE, "/pause alice")
            await kit.heard(OPERATE, 2)
        assert (len(kit.of("pause")), server.texts(OPERATE)[1]) == (1, f"nothing was done: {chat_desk.NOT_OURS}")
        turn["here"] = True
        answer = await kit.told(SEE, "/status")
        assert "2 accounts, 3 hosts" in answer
        elsewhere = {**copy.deepcopy(kit.model["accounts"][0]), "account": "zoe", "host": "h2", "age_s": 1.0}
        kit.model["elsewhere"] = [{**elsewhere, "host_alive": True}]
        kit.model["incidents_elsewhere"] = [{**INCIDENT, "host": "h2"}]
        assert "<b>zoe</b> RUNNING, healthy" in (answer := await kit.told(SEE, "/status"))
        assert "on h2" in answer
        assert "host h2: dead" in (answer := await kit.told(SEE, "/health"))
        assert "writer on h2: it is away" in answer
        kit.model["elsewhere"][0]["age_s"] = 40.0
        assert "host h2 is dead or silent; what is shown was told 40 s ago" in await kit.told(SEE, "/status zoe")
    async with DeskKit(second, server, of_fleet=True) as kit:
        assert kit.model is not None
        kit.model |= {"fleet": {**of_fleet(), "services": [{**turn, "here": True}]}, "elsewhere": []}
        await kit.told(SEE, "/status")
        assert kit.given == [], "nothing that the first one has carried out"


async def test_strangers_and_old_updates_of_an_outage_do_nothing(
    tmp_path: Path, server: BotServer, our_log: Callable[[], str]
) -> None:
    server.say(FLATTEN, "/kill --all", age_s=3600)
    for _ in range(20):
        server.say(NOBODY, "/kill --all")
    server.say(FLATTEN, "/kill --all", chat={"id": -5, "type": "group"})
    async with DeskKit(tmp_path, server) as kit:
        await kit.told(SEE, "/help")
        await kit.until(lambda: kit.declined)
        assert [name for name, _, _ in kit.declined] == ["kill"]
        assert "/kill was not carried out: it is 36" in server.texts(FLATTEN)[0]
        assert {each["chat_id"] for each in server.messages()} == {FLATTEN, SEE}
        assert {each["op"] for each in kit.given} == {"declined"}
    log = our_log()
    assert f"user {NOBODY}, who is not listed" in log
    assert log.count(f"user {NOBODY}") == 5


async def test_a_bot_api_that_fails_is_asked_again_and_its_token_is_nowhere(
    tmp_path: Path, server: BotServer, our_log: Callable[[], str]
) -> None:
    async with DeskKit(tmp_path, server) as kit:
        await kit.told(SEE, "/help")
        seen = set()
        for failures, words in (
            ([UNAUTHORIZED] * 3, "refuses the token"),
            ([CONFLICT] * 3, "another program"),
            ([SLOW] * 3, "slow down"),
            ([BROKEN] * 3, "answered HTTP 502"),
            ([*GARBAGE] * 2, "no Bot API"),
            ([(302, b"")] * 3, "no Bot API"),
        ):
            server.fails["getUpdates"] = list(failures)
            server.say(SEE, "/help")  # ends the poll that waits
            await kit.until(lambda words=words: words in kit.desk.report()["problem"])  # type: ignore[misc]
            seen.add(kit.desk.report()["problem"])
            assert kit.desk.report()["failing_s"] is not None
            server.say(SEE, "/help")
            await kit.until(lambda: not kit.desk.report()["problem"])
        await kit.heard(SEE, 1 + 2 * 6)
        server.fails["sendMessage"] = [SLOW, BROKEN, (200, b"no")]
        assert "healthy" in await kit.told(SEE, "/status"), "an answer is sent again"
        server.fails["sendMessage"] = [(403, {"ok": False, "error_code": 403, "description": "blocked"})]
        server.say(SEE, "/status")
        await kit.until(lambda: kit.desk.outbox.lost == 1)
        assert kit.desk.report()["lost"] == 1
        shown = str(seen) + str(kit.desk.report())
    log = our_log()
    assert "the bot is heard again" in log
    assert SECRET not in shown + log


@pytest.mark.parametrize("problem", ["closed port", "no such host", "silence"])
async def test_no_error_of_the_library_shows_the_address_with_the_token(
    tmp_path: Path, server: BotServer, our_log: Callable[[], str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = {"closed port": "http://127.0.0.1:9", "no such host": "http://nowhere.invalid:1", "silence": server.api}
    if problem == "silence":
        heard = threading.Event()

        def silent(*_: Any) -> tuple[int, bytes]:
            heard.wait(0.5)
            return 200, b"late"

        monkeypatch.setattr(chat_desk, "QUICK_S", 0.05)
        monkeypatch.setattr(server, "answer", silent)
    monkeypatch.setattr(BotServer, "api", addresses[problem])
    asyncio.get_running_loop().set_debug(True)
    async with DeskKit(tmp_path, server) as kit:
        await kit.until(lambda: kit.desk.report()["problem"])
        shown = f"{kit.desk.report()} {kit._api!r} {kit.desk._spec!r}"
        assert kit.desk.report()["problem"].startswith("the Bot API")  # a proxy may answer for a host that is none
    async with BotApi("http://127.0.0.1:bad", TOKEN) as api:
        shown += repr(await api.call("getMe", {}, within_s=1.0))
    shown += repr(await BotApi(server.api, TOKEN).call("getMe", {}, within_s=1.0))
    assert SECRET not in shown + our_log()


async def test_a_wrong_token_is_not_asked_again_and_again(tmp_path: Path, server: BotServer) -> None:
    async with DeskKit(tmp_path, server, waits=Waits(), token="123456789:wrong-wrong-wrong") as kit:
        await kit.until(lambda: kit.desk.report()["problem"])
        assert "refuses the token (HTTP 401)" in kit.desk.report()["problem"]
        assert kit.desk.report()["bot"] == ""
        await asyncio.sleep(0)
        assert len(server.asked) == 1


def test_days_are_lines() -> None:
    rows = [{"day": f"2026-11-{n}", "money": "paper", "net": "1.234", "fills": n} for n in (28, 29)]
    first, second, note = daily_lines([*rows])
    assert first == "<b>2026-11-29</b> paper: net +1.23, fees -, funding -, 29 fills"
    assert second.startswith("<b>2026-11-28")
    assert "UTC days" in note
    assert "no execution" in next(daily_lines([]))
