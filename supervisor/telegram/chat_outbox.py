"""What the bot says: one request after another, and again while the Bot API is away or asks to slow down."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from supervisor.telegram.bot_answers import Answered, Kind, Waits
from supervisor.telegram.bot_api import BotApi
from supervisor.telegram.chat_text import pieces

__all__ = ["Outbox"]

log = logging.getLogger("supervisor.telegram")

Json = dict[str, Any]
SEND_S: Final = 20.0
GOOD_S: Final = 300.0
"""An answer that could not be sent for so long is of no use any more."""
TOAST_GOOD_S: Final = 20.0
MOST_WAITING: Final = 200


@dataclass(frozen=True, slots=True)
class _Letter:
    method: str
    parameters: Mapping[str, Any]
    until_s: float


class Outbox:
    """Owns what waits to be sent. `clock` is monotonic, in seconds."""

    def __init__(self, api: BotApi, waits: Waits, clock: Callable[[], float]) -> None:
        self._api = api
        self._waits = waits
        self._clock = clock
        self._waiting: deque[_Letter] = deque()
        self._there = asyncio.Event()
        self.lost = 0
        """Messages that could not be sent."""

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def say(self, chat: int, lines: Iterable[str], buttons: Sequence[tuple[str, str]] = ()) -> None:
        """A message of these lines of markup; below its last piece the buttons, each a text and its data."""
        texts = pieces(lines)
        for text in texts:
            shown: Json = {"chat_id": chat, "text": text, "parse_mode": "HTML"}
            shown["link_preview_options"] = {"is_disabled": True}
            if buttons and text is texts[-1]:
                keys = [{"text": name, "callback_data": data} for name, data in buttons]
                shown["reply_markup"] = {"inline_keyboard": [keys]}
            self._put("sendMessage", shown, GOOD_S)

    def toast(self, callback: str, text: str) -> None:
        """A few words for whoever has pressed a button."""
        self._put("answerCallbackQuery", {"callback_query_id": callback, "text": text[:200]}, TOAST_GOOD_S)

    def take_buttons(self, chat: int, message: int) -> None:
        """Those of a message, which were pressed."""
        if message:
            self._put("editMessageReplyMarkup", {"chat_id": chat, "message_id": message}, GOOD_S)

    def _put(self, method: str, parameters: Json, good_s: float) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(_Letter(method, parameters, self._clock() + good_s))
        self._there.set()

    async def run(self) -> None:
        """For ever: send what there is."""
        in_a_row = 0
        while True:
            if not self._waiting:
                self._there.clear()
                await self._there.wait()
            letter = self._waiting[0]
            if self._clock() > letter.until_s:
                self._leave(letter)
                self.lost += 1
                continue
            got = await self._api.call(letter.method, letter.parameters, within_s=SEND_S)
            if isinstance(got, Answered):
                in_a_row = 0
                self._leave(letter)
            elif got.kind in (Kind.REFUSED, Kind.TOKEN):
                log.warning("an answer could not be sent: %s", got.text)
                self.lost += letter.method == "sendMessage"
                self._leave(letter)
            else:
                in_a_row += 1
                log.debug("an answer waits: %s", got.text)
                await asyncio.sleep(self._waits.after(got, in_a_row))

    def _leave(self, letter: _Letter) -> None:
        """Unless it had to make way already."""
        if self._waiting and self._waiting[0] is letter:
            self._waiting.popleft()
