"""A fleet is asked and commanded by Telegram beside real trading; the token stays with its process."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from benchmarks.parts.own_supervisor import child_rows
from tests.supervisor.telegram.bot_server import BOT, TOKEN, bot_server

from .conftest import DEMO

pytestmark = pytest.mark.system

SEE, FLATTEN, NOBODY = 1001, 1003, 666
SECRET = TOKEN.partition(":")[2].encode()
TELEGRAM = """
telegram:
  enabled: true
  token: ${BOT_TOKEN}
  users: [{id: 1001}, {id: 1003, role: flatten}]
  api: http://127.0.0.1:%d
  poll: 2
"""


def test_it_is_asked_and_commanded_and_its_token_is_nowhere(gridbot, monkeypatch):
    with bot_server() as bot:
        session = gridbot.prepare(DEMO + TELEGRAM % bot.port)
        environment = {**session.environment(), "BOT_TOKEN": TOKEN}
        monkeypatch.setattr(session, "environment", lambda: environment)
        session.start()

        def told(user: int, text: str) -> str:
            before = len(bot.texts(user))
            bot.say(user, text)
            bot.until(lambda: len(bot.texts(user)) > before, text)
            return bot.texts(user)[before]

        status = session.wait(lambda status: (status["telegram"] or {}).get("bot") == BOT, "the bot")
        for text, words in {
            "/status": r"<b>alice</b> RUNNING",
            "/why alice": r"alice/alice-btc BTCUSDT",
            "/daily": r"paper: net|no execution",
            "/pnl": r"<b>alice</b> \(paper\) equity",
            "/logs alice 5": r"<b>alice</b>\n\d\d:\d\d",
            "/help": "your role: see",
            "/kill alice": "needs the role flatten, yours is see",
        }.items():
            assert re.search(words, told(SEE, text)), text
        assert "pause: 1 done" in told(FLATTEN, "/pause bob --reason by phone")
        session.wait(lambda status: "paused" in str(status["accounts"][1]["strategies"]), "bob pauses")

        listener = status["telegram"]["process"]["pid"]
        os.kill(listener, signal.SIGKILL)
        session.wait(lambda status: status["telegram"]["process"]["pid"] not in (None, listener), "the next process")
        bot.say(NOBODY, "/kill --all")
        assert "nothing was given yet" in told(FLATTEN, "/kill alice")
        said = len(bot.texts(FLATTEN))
        bot.press(FLATTEN, bot.buttons()[0])
        bot.until(lambda: len(bot.texts(FLATTEN)) > said, "the kill")
        assert bot.texts(FLATTEN)[-1].startswith("<b>kill: 1 done</b>"), bot.texts(FLATTEN)
        status = session.wait(lambda status: status["accounts"][0]["health"] == "circuit_open", "alice is latched")
        assert bot.texts(NOBODY) == []
        logged = session.run("logs", "telegram", "--grep", "not listed").stdout
        assert f"user {NOBODY}, who is not listed" in logged, "so the docs tell how to find a number"
        assert status["telegram"]["process"]["state"] == "RUNNING"

        pids = {name: row["pid"] for name, row in child_rows(status).items()} | {"it": status["supervisor"]["pid"]}
        known = [
            name for name, pid in pids.items() for what in ("environ", "cmdline")
            if name != "it" and SECRET in Path(f"/proc/{pid}/{what}").read_bytes()
        ]  # fmt: skip
        assert known == []
        assert SECRET.decode() not in str(status)
        bot.fails["getUpdates"] = [(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})]
        bot.say(SEE, "/help")
        session.wait(lambda status: "refuses the token" in (status["telegram"]["problem"] or ""), "what is wrong")
        assert "telegram: nobody is heard" in session.run("status").stdout
        without = session.config.read_text().replace("telegram:\n  enabled: true", "telegram:\n  enabled: false")
        session.config.write_text(without)
        assert "telegram.enabled True -> False: at once" in session.ask("reload").stdout
        session.wait(lambda status: status["telegram"] is None, "the end of the bot")
        session.config.write_text(without.replace("enabled: false", "enabled: true"))
        assert "telegram.enabled False -> True: at once" in session.ask("reload").stdout
        assert "your role: see" in told(SEE, "/help")
        session.stop()
        recorded = session.sql("SELECT DISTINCT name, who, ok FROM commands WHERE who LIKE 'telegram:%' ORDER BY ALL")
        assert [tuple(row.values()) for row in recorded] == [
            ("kill", f"telegram:{SEE}", False),
            ("kill", f"telegram:{FLATTEN}", True),
            ("pause", f"telegram:{FLATTEN}", True),
        ]
    files = [session.console, *(path for path in session.data_dir.rglob("*") if path.is_file())]
    assert [str(path) for path in files if SECRET in path.read_bytes()] == []
