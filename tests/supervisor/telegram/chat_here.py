"""A chat with the bot in this terminal, by a Bot API on loopback: to see `docs/telegram.md` at work without Telegram.

    python -m tests.supervisor.telegram.chat_here [PORT]

Each line is written to the bot; a number presses that button of the newest message that has some.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.supervisor.telegram.bot_server import TOKEN, BotServer, bot_server

USER = 1
PORT = 8799
SECTION = """telegram:
  enabled: true
  token: "{token}"
  users: [{{id: {user}, role: flatten}}]
  api: {api}
"""


def _show(method: str, asked: dict[str, Any]) -> None:
    if method == "sendMessage":
        print(asked["text"])
        keys = [key for row in asked.get("reply_markup", {}).get("inline_keyboard", []) for key in row]
        print(*(f"  [{number}] {key['text']}" for number, key in enumerate(keys, 1)), sep="\n", flush=True)
    elif method == "answerCallbackQuery":
        print(f"({asked['text']})", flush=True)


def _write(server: BotServer, line: str) -> None:
    if not line.isdecimal():
        server.say(USER, line)
        return
    try:
        server.press(USER, server.buttons()[int(line) - 1])
    except IndexError:
        print(f"expected the number of a button, got {line}")


def main() -> None:
    # numbers go on from those of an earlier chat: the bot passes over what it has seen
    with bot_server(int(sys.argv[1]) if sys.argv[1:] else PORT, told=_show, first=int(time.time())) as server:
        print("Put this into the configuration, restart the supervisor, and write /help:\n")
        print(SECTION.format(token=TOKEN, user=USER, api=server.api), flush=True)
        for line in sys.stdin:
            if line.strip():
                _write(server, line.strip())


if __name__ == "__main__":
    main()
