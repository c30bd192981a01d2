"""What is to be done about each update: (state, update, time) to (state, effects). Pure; the shell carries them out.

An update is obeyed once, by a listed user, in a private chat, while it is young. Whoever is not listed gets no answer
at all, so nobody learns by trying whether a bot trades; the log has the number, a few times a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gridbot.commands.command import Command
from gridbot.commands.wording import CommandMistake
from gridbot.doors.plain_text import one_line
from supervisor.telegram.bot_updates import Other, Pressed, Said, read_update, update_id_of
from supervisor.telegram.chat_commands import document_of, may, read_text, verb_of

__all__ = [
    "OLDEST_S",
    "Ask",
    "BotState",
    "Decline",
    "Effect",
    "Give",
    "Log",
    "Press",
    "Say",
    "Toast",
    "ask_from",
    "step",
    "who_of",
]

OLDEST_S: Final = 60.0
"""Older updates are dropped: whoever wrote them looks at another market by now."""
AHEAD_S: Final = 60.0
"""How far the clocks of Telegram and this machine may differ."""
LOGGED: Final = (5, 60.0)
"""Lines about strangers in so many seconds; the others are counted in the next one."""
ASKED: Final = (30, 60.0)
"""Messages of one user that are answered in so many seconds."""
FORGOTTEN_S: Final = 6 * 86_400.0
"""After a week without an update their numbers begin anew somewhere else, says the Bot API."""


@dataclass(frozen=True, slots=True)
class BotState:
    """`next_id`: the number from which updates are new, None for any; `seen_s`: when the last one came (Unix).

    `logged_s`: when lines about strangers were written, `unlogged` how many were not since; `asked_s`: when each user
    wrote.
    """

    next_id: int | None = None
    seen_s: float = 0.0
    logged_s: tuple[float, ...] = ()
    unlogged: int = 0
    asked_s: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Say:
    """A sentence for a chat. `refused`: it says why something was not done."""

    chat: int
    text: str
    refused: bool = True


@dataclass(frozen=True, slots=True)
class Toast:
    """A few words for whoever pressed a button."""

    callback: str
    text: str


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to be read and answered."""

    user: int
    chat: int
    verb: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Give:
    """A command, as `remote_commands.prepare` reads it."""

    user: int
    chat: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decline:
    """To be recorded: the command was not given."""

    user: int
    command: Command
    words: str
    why: str


@dataclass(frozen=True, slots=True)
class Press:
    """The button of a first step, whose token the shell knows: `yes`, or no."""

    user: int
    chat: int
    callback: str
    message: int
    token: str
    yes: bool


Effect = Say | Toast | Log | Ask | Give | Decline | Press


def who_of(user: int) -> str:
    """What a user is called in records."""
    return f"telegram:{user}"


def ask_from(state: BotState, now_s: float) -> int | None:
    """The number to ask from; None after a week of silence, as numbers begin anew then.

    Also where the last one came a week from now: that clock was wrong, so nobody knows how long it was silent.
    """
    return None if abs(now_s - state.seen_s) > FORGOTTEN_S else state.next_id


def step(
    state: BotState, update: Any, now_s: float, roles: Mapping[int, str], bot: str = ""
) -> tuple[BotState, tuple[Effect, ...]]:
    """One update at `now_s` (Unix, seconds). `roles` are those of the listed users, `bot` is our name, if known."""
    number = update_id_of(update)
    if number is None:
        return state, ()
    known = ask_from(state, now_s)
    if known is not None and number < known:
        return state, ()
    state = replace(state, next_id=number + 1, seen_s=now_s)
    match read_update(update):
        case Said() as said:
            return _said(state, said, now_s, roles, bot)
        case Pressed() as pressed:
            return _pressed(state, pressed, now_s, roles)
        case Other(what):
            return _stranger(state, f"{what} was dropped", now_s)


def _said(
    state: BotState, said: Said, now_s: float, roles: Mapping[int, str], bot: str
) -> tuple[BotState, tuple[Effect, ...]]:
    if said.user not in roles:
        return _stranger(state, f"user {said.user}, who is not listed, wrote and got no answer", now_s)
    if not said.private:
        return _stranger(state, f"user {said.user} wrote in chat {said.chat}, which is not private: no answer", now_s)
    state, is_answered = _counted(state, said.user, now_s)
    if not is_answered:
        return _stranger(state, f"user {said.user} wrote more than {ASKED[0]} messages a minute", now_s)
    if said.why_not:
        return state, (Say(said.chat, f"nothing was done: {said.why_not}"),)
    role = roles[said.user]
    try:
        written = read_text(said.text)
        if written.bot and bot and written.bot.lower() != bot.lower():
            return state, ()
        verb = verb_of(written.verb, role)
    except CommandMistake as mistake:
        return state, (Say(said.chat, str(mistake)),)
    words = " ".join(written.words)
    why = _too_old(now_s - said.sent_s) or _too_small(verb.role, role)
    if why:
        declined = () if verb.command is None else (Decline(said.user, verb.command, words, why),)
        return state, (Say(said.chat, f"/{verb.name} was not carried out: {why}"), *declined)
    if verb.command is None:
        return state, (Ask(said.user, said.chat, verb.name, written.words),)
    try:
        document = document_of(verb.command, written.words)
    except CommandMistake as mistake:
        return state, (Say(said.chat, str(mistake)), Decline(said.user, verb.command, words, str(mistake)))
    if document["args"].get("foreign") and (why := _too_small("flatten", role)):
        return state, (
            Say(said.chat, f"/{verb.name} --foreign was not carried out: {why}"),
            Decline(said.user, verb.command, words, why),
        )
    return state, (Give(said.user, said.chat, document),)


def _pressed(
    state: BotState, pressed: Pressed, now_s: float, roles: Mapping[int, str]
) -> tuple[BotState, tuple[Effect, ...]]:
    """How old it is shows its token, which is good for a minute: Telegram does not say when a button was pressed."""
    if pressed.user not in roles:
        return _stranger(state, f"user {pressed.user}, who is not listed, pressed a button", now_s)
    if pressed.why_not or pressed.chat not in (0, pressed.user):
        why = pressed.why_not or "it is below a message to somebody else"
        return state, (Toast(pressed.callback, f"nothing was done: {why}"),)
    answer, _, token = pressed.data.partition(":")
    if answer not in ("yes", "no") or not token:
        return state, (Toast(pressed.callback, "nothing was done: this button is none of ours"),)
    return state, (Press(pressed.user, pressed.user, pressed.callback, pressed.message, token, answer == "yes"),)


def _too_old(age_s: float) -> str:
    if age_s > OLDEST_S:
        return f"it is {age_s:.0f} s old, and older than {OLDEST_S:.0f} s is dropped; send it again"
    if age_s < -AHEAD_S:
        return f"it was sent {-age_s:.0f} s from now, by this machine's clock; set the clock"
    return ""


def _too_small(needed: str, role: str) -> str:
    return "" if may(role, needed) else f"it needs the role {needed}, yours is {role}"


def _counted(state: BotState, user: int, now_s: float) -> tuple[BotState, bool]:
    """Whether one more message of the user is answered."""
    most, window_s = ASKED
    recent = tuple(at_s for at_s in state.asked_s.get(user, ()) if 0 <= now_s - at_s < window_s)
    if len(recent) >= most:
        return state, False
    return replace(state, asked_s={**state.asked_s, user: (*recent, now_s)}), True


def _stranger(state: BotState, text: str, now_s: float) -> tuple[BotState, tuple[Effect, ...]]:
    """A line for the log, unless there were many."""
    most, window_s = LOGGED
    recent = tuple(at_s for at_s in state.logged_s if 0 <= now_s - at_s < window_s)
    if len(recent) >= most:
        return replace(state, logged_s=recent, unlogged=state.unlogged + 1), ()
    more = f" (and {state.unlogged} more were not logged)" if state.unlogged else ""
    return replace(state, logged_s=(*recent, now_s), unlogged=0), (Log(one_line(text + more)),)
