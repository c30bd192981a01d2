"""What the Bot API sends, read into values: messages, presses of buttons, and what is neither. Pure.

Everything of it is a stranger's word. What has not the form that core.telegram.org/bots/api describes is `Other`, never
an error; `why_not` says what makes a message one that is not obeyed, whoever has written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["LONGEST_TEXT", "Incoming", "Other", "Pressed", "Said", "read_update", "update_id_of"]

LONGEST_TEXT: Final = 4096
"""Characters of a message, by Telegram's own limit."""
_KINDS: Final = ("message", "edited_message", "channel_post", "edited_channel_post")
_FORWARDED: Final = ("forward_origin", "forward_date", "forward_from", "forward_from_chat", "forward_sender_name")


@dataclass(frozen=True, slots=True)
class Said:
    """A message. `sent_s` is Telegram's time (Unix, seconds); `why_not` is empty for a plain one in a private chat.

    `private` is whether an answer reaches its writer and nobody else.
    """

    user: int
    chat: int
    text: str
    sent_s: int
    why_not: str = ""
    private: bool = True


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press of a button below one of our messages. `chat` and `message` are 0 where Telegram does not say."""

    user: int
    callback: str
    data: str
    chat: int = 0
    message: int = 0
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else; `what` says in words what it is, without a word of its own."""

    what: str


Incoming = Said | Pressed | Other


def update_id_of(update: Any) -> int | None:
    """Its number; None where it has none, and so is no update."""
    number = update.get("update_id") if isinstance(update, Mapping) else None
    return number if type(number) is int and 0 <= number < 1 << 53 else None


def read_update(update: Mapping[str, Any]) -> Incoming:
    """The value of one update."""
    query = update.get("callback_query")
    if isinstance(query, Mapping):
        return _pressed(query)
    for kind in _KINDS:
        message = update.get(kind)
        if isinstance(message, Mapping):
            return _said(kind, message)
    return Other("an update of a kind that is not used")


def _pressed(query: Mapping[str, Any]) -> Incoming:
    user, data, callback = _mapping(query, "from"), query.get("data"), query.get("id")
    if not (_is_id(user.get("id")) and isinstance(data, str) and isinstance(callback, str)):
        return Other("a press of a button without its user or its data")
    message = _mapping(query, "message")
    chat = _mapping(message, "chat")
    why_not = "a bot has pressed it" if user.get("is_bot") is not False else ""
    if message and chat.get("type") != "private":
        why_not = "it is not in a private chat"
    return Pressed(user["id"], callback, data, _number(chat.get("id")), _number(message.get("message_id")), why_not)


def _said(kind: str, message: Mapping[str, Any]) -> Incoming:
    user, chat = _mapping(message, "from"), _mapping(message, "chat")
    if kind.endswith("channel_post"):
        return Other("a post of a channel")
    if not (_is_id(user.get("id")) and _is_id(chat.get("id")) and _is_id(message.get("date"))):
        return Other("a message without its writer, chat or time")
    text = message.get("text")
    is_private = chat.get("type") == "private" and chat["id"] == user["id"]
    why_not = ""
    if not is_private:
        why_not = "expected a private chat with the bot, got one of a group or channel"
    elif user.get("is_bot") is not False or message.get("via_bot") or message.get("sender_chat"):
        why_not = "expected a message of a person, got one by a bot or in the name of a chat"
    elif kind == "edited_message":
        why_not = "expected a new message, got an edited one; send it again"
    elif any(name in message for name in _FORWARDED):
        why_not = "expected a message of your own, got a forwarded one; write it yourself"
    elif message.get("is_from_offline"):
        why_not = "expected a message that you send yourself, got one that Telegram sent at a time set before"
    elif not isinstance(text, str):
        why_not = "expected a text, got something else"
    elif len(text) > LONGEST_TEXT:
        why_not = f"expected at most {LONGEST_TEXT} characters, got {len(text)}"
    said = text[:LONGEST_TEXT] if isinstance(text, str) else ""
    return Said(user["id"], chat["id"], said, message["date"], why_not, is_private)


def _mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _is_id(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 53


def _number(value: Any) -> int:
    return value if _is_id(value) else 0
