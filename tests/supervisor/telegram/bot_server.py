"""A Bot API on loopback, as core.telegram.org/bots/api has it: updates with numbers, confirmed by the next offset.

Tests say what users write and press, and how it fails; `sent` has what the bot has sent, `asked` all requests.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "123456789:AAF-token-of-nobody-but-of-tests"
BOT = "grid_test_bot"
WAIT_S = 60.0
FIRST = 700
"""Number of the first update."""


class BotServer:
    """`fails` has answers for the next requests of a method: HTTP status and document, or bytes that are none."""

    def __init__(
        self, port: int, told: Callable[[str, dict[str, Any]], None] | None = None, first: int = FIRST
    ) -> None:
        self.port = port
        self._told = told
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fails: dict[str, list[tuple[int, Any]]] = {}
        self._waiting: list[dict[str, Any]] = []
        self._next = first
        self._messages = 0
        self._polls = 0
        self._changed = threading.Condition()

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, **update: Any) -> int:
        """An update as it is; its number."""
        with self._changed:
            number = self._next
            self._next += 1
            self._waiting.append({"update_id": number, **update})
            self._changed.notify_all()
            return number

    def again(self, update: dict[str, Any]) -> None:
        """An update with its number, although it was confirmed."""
        with self._changed:
            self._waiting.append(update)
            self._changed.notify_all()

    def say(self, user: int, text: str, *, age_s: float = 0.0, kind: str = "message", **changes: Any) -> int:
        return self.add(**{kind: message(user, text, age_s=age_s, **changes)})

    def press(self, user: int, data: str, *, of: int | None = None, **changes: Any) -> int:
        chat = {"id": user if of is None else of, "type": "private"}
        return self.add(callback_query=press(user, data, chat, **changes))

    def texts(self, chat: int | None = None) -> list[str]:
        """Of the messages of the bot."""
        return [each["text"] for each in self.messages(chat)]

    def messages(self, chat: int | None = None) -> list[dict[str, Any]]:
        return [each for method, each in self.sent if method == "sendMessage" and chat in (None, each["chat_id"])]

    def toasts(self) -> list[str]:
        return [each["text"] for method, each in self.sent if method == "answerCallbackQuery"]

    def buttons(self) -> list[str]:
        """The data of those below the newest message that has any."""
        found = [each["reply_markup"] for each in self.messages() if "reply_markup" in each]
        return [key["callback_data"] for row in found[-1]["inline_keyboard"] for key in row]

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait, a minute at most, until it is so; for tests outside of a loop."""
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, (what, self.sent[-5:], self.asked[-5:])
            time.sleep(0.02)

    def answer(self, token: str, method: str, asked: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append((method, asked))
        if self.fails.get(method):
            return self.fails[method].pop(0)
        if token != TOKEN:
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        if method == "getMe":
            return 200, {"ok": True, "result": {"id": 123456789, "is_bot": True, "username": BOT}}
        if method == "getUpdates":
            return self._updates(asked)
        self.sent.append((method, asked))
        self._messages += 1
        if self._told is not None:
            self._told(method, asked)
        return 200, {"ok": True, "result": {"message_id": self._messages} if method == "sendMessage" else True}

    def _updates(self, asked: dict[str, Any]) -> tuple[int, Any]:
        with self._changed:
            self._polls += 1
            mine = self._polls
            offset = asked.get("offset")
            if offset is not None:
                self._waiting = [each for each in self._waiting if each.get("update_id", offset) >= offset]
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or mine != self._polls, asked.get("timeout", 0))
            if mine != self._polls:
                return 409, {"ok": False, "error_code": 409, "description": "Conflict: terminated by other getUpdates"}
            return 200, {"ok": True, "result": self._waiting[: asked.get("limit", 100)]}

    def close(self) -> None:
        """End the polls that wait."""
        with self._changed:
            self._polls += 1
            self._changed.notify_all()


def message(user: int, text: str | None, *, age_s: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A message as the Bot API has it, in a private chat."""
    person = {"id": user, "is_bot": False, "first_name": "<b>Eve & Co</b>"}
    chat = {"id": user, "type": "private", "first_name": "Eve"}
    said = {"message_id": 5, "from": person, "chat": chat, "date": int(time.time() - age_s), "text": text}
    return {**{name: value for name, value in said.items() if value is not None}, **changes}


def press(user: int, data: str, chat: dict[str, Any], **changes: Any) -> dict[str, Any]:
    person = {"id": user, "is_bot": False, "first_name": "Eve"}
    below = {"message_id": 9, "chat": chat, "date": int(time.time()), "text": "?"}
    return {"id": f"callback-{user}", "from": person, "message": below, "data": data, **changes}


@contextmanager
def bot_server(
    port: int = 0, told: Callable[[str, dict[str, Any]], None] | None = None, first: int = FIRST
) -> Iterator[BotServer]:
    """`told` hears what the bot sends, on the thread of its request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            _, bot, method = self.path.split("/")
            status, document = made.answer(bot.removeprefix("bot"), method, json.loads(body))
            raw = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever has asked went away."""

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    made = BotServer(server.server_address[1], told, first)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        server.shutdown()
        server.server_close()
        thread.join()
