"""The chat in a terminal that docs/telegram.md offers: what is typed reaches a bot, and what that says is shown."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]


def test_lines_and_buttons_reach_the_bot_and_its_words_the_terminal() -> None:
    command = [sys.executable, "-m", "tests.supervisor.telegram.chat_here", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        shown = iter(chat.stdout.readline, "")
        said = next(shown) + next(shown)
        assert "restart the supervisor" in said
        section = yaml.safe_load("".join(next(shown) for _ in range(5)))["telegram"]
        assert section["users"] == [{"id": 1, "role": "flatten"}]

        def ask(method: str, **asked: Any) -> Any:
            url = f"{section['api']}/bot{section['token']}/{method}"
            request = urllib.request.Request(url, json.dumps(asked).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["result"]

        chat.stdin.write("/kill alice\n")
        (update,) = ask("getUpdates", timeout=60)
        assert update["message"]["text"] == "/kill alice"
        keys = [[{"text": "Yes", "callback_data": "yes:x"}, {"text": "No", "callback_data": "no:x"}]]
        ask("sendMessage", chat_id=1, text="kill alice?", reply_markup={"inline_keyboard": keys})
        assert [next(each for each in shown if each.strip()) for _ in range(3)] == [
            "kill alice?\n",
            "  [1] Yes\n",
            "  [2] No\n",
        ]
        chat.stdin.write("2\n")
        (update,) = ask("getUpdates", timeout=60, offset=update["update_id"] + 1)
        assert update["callback_query"]["data"] == "no:x"
        chat.stdin.close()
    assert chat.returncode == 0
