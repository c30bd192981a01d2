"""What a stream's connection is told: answers to what it sent, and messages of topics."""

from __future__ import annotations

import random
from typing import Any

from gridbot.bybit.connection_life import Life, Manners
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.private_frames import UNREADABLE
from gridbot.exchange.stream_news import ConnectionState
from tests.bybit.support import order_row, private_frame
from tests.fuzz.mutations import bytes_of, changed

__all__ = ["conversation", "told"]

SECRET = "a-secret-that-nobody-may-see"
ANSWERS: tuple[Any, ...] = (
    {"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"},
    {"success": False, "ret_msg": f"error api_key[{SECRET}]", "op": "auth", "conn_id": "c"},
    {"success": True, "ret_msg": "", "op": "subscribe", "req_id": "order", "conn_id": "c"},
    {"success": False, "ret_msg": "no such topic", "op": "subscribe", "req_id": "order"},
    {"req_id": "", "op": "pong", "args": ["1"], "conn_id": "c"},
    private_frame("order", order_row()),
)


def conversation(rng: random.Random) -> list[bytes]:
    return [bytes_of(rng, changed(rng, rng.choice(ANSWERS))) for _ in range(3)]


class _Line:
    """Sends nowhere."""

    has_more = is_open = is_over = False

    def send(self, text: str) -> None: ...
    def leave(self) -> None: ...
    def abandon(self) -> None: ...


def told(messages: list[bytes]) -> str:
    delivered: list[str] = []
    manners = Manners("private", {"order": ["order"]}, Credentials("k", SECRET), 10, lambda: 0)
    life = Life(manners, lambda topic, *_: delivered.append(topic), lambda: None, 0.0)
    life.line = _Line()
    life.on_open()
    for message in messages:
        life.on_message(message, 1)
    if life.error is not None:
        assert life.state is ConnectionState.LOST
        assert SECRET not in str(life.error)
        assert str(life.error).isprintable()
        return "refused"
    return "unreadable" if UNREADABLE in delivered else "heard"
