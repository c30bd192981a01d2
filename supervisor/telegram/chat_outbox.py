"""What the bot says: one request after another, and again while the Bot API is away or asks to slow down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
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
"""When there are more, the oldest of whoever has most makes way."""
LEAST_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Letter:
    method: str
    parameters: Mapping[str, Any]
    until_s: float

    @property
    def chat(self) -> int:
        """0 for what goes to none."""
        return int(self.parameters.get("chat_id", 0))


class Outbox:
    """Owns what waits to be sent. `clock` is monotonic, in seconds."""

    def __init__(self, api: BotApi, waits: Waits, clock: Callable[[], float]) -> None:
        self._api = api
        self._waits = waits
        self._clock = clock
        self._waiting: deque[_Letter] = deque()
        self._there = asyncio.Event()
        self._slow: dict[int, float] = {}
        """By chat: until when the Bot API wants no message to it."""
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
            busiest, _ = Counter(letter.chat for letter in self._waiting).most_common(1)[0]
            self._leave(next(letter for letter in self._waiting if letter.chat == busiest))
            self.lost += 1
        self._waiting.append(_Letter(method, parameters, self._clock() + good_s))
        self._there.set()

    async def run(self) -> None:
        """For ever: send what there is. A chat that is asked to slow down holds up no other one."""
        in_a_row = 0
        while True:
            letter = self._first()
            if letter is None:
                await self._until_there()
                continue
            got = await self._api.call(letter.method, letter.parameters, within_s=SEND_S)
            if isinstance(got, Answered):
                in_a_row = 0
                self._leave(letter)
            elif got.kind in (Kind.REFUSED, Kind.TOKEN):
                log.warning("an answer could not be sent: %s", got.text)
                self.lost += letter.method == "sendMessage"
                self._leave(letter)
            elif got.kind is Kind.SLOW_DOWN and letter.chat:
                log.debug("an answer waits: %s", got.text)
                self._slow[letter.chat] = self._clock() + self._waits.after(got, 1)
            else:
                in_a_row += 1
                log.debug("an answer waits: %s", got.text)
                await asyncio.sleep(self._waits.after(got, in_a_row))

    def _first(self) -> _Letter | None:
        """The oldest that may be sent now; what is of no use any more goes."""
        now_s = self._clock()
        for letter in [letter for letter in self._waiting if now_s > letter.until_s]:
            self._leave(letter)
            self.lost += 1
        self._slow = {chat: until_s for chat, until_s in self._slow.items() if until_s > now_s}
        return next((letter for letter in self._waiting if letter.chat not in self._slow), None)

    async def _until_there(self) -> None:
        """Until a message comes, or the first of the slow chats may have one again."""
        self._there.clear()
        wait_s = min(self._slow.values(), default=0.0) - self._clock() if self._waiting else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._there.wait(), None if wait_s is None else max(LEAST_S, wait_s))

    def _leave(self, letter: _Letter) -> None:
        """Unless it had to make way already."""
        place = next((place for place, each in enumerate(self._waiting) if each is letter), None)
        if place is not None:
            del self._waiting[place]
