"""The bot at work: asks for updates, lets `bot_core` decide, and carries out what it says.

What was seen is written down before it is carried out. Commands of one user wait for each other, but for those that
take risk away for good: flatten and kill wait for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gridbot import background
from gridbot.commands.wording import CommandMistake
from supervisor.control.control_client import ControlError
from supervisor.remote.confirmations import Confirmations
from supervisor.remote.prepared_command import GOOD_S, Prepared
from supervisor.remote.remote_commands import carry_out, decline, prepare
from supervisor.telegram.bot_answers import Kind, Problem
from supervisor.telegram.bot_api import BotApi
from supervisor.telegram.bot_core import (
    Ask,
    BotState,
    Decline,
    Effect,
    Give,
    Log,
    Press,
    Say,
    Toast,
    ask_from,
    step,
    who_of,
)
from supervisor.telegram.chat_commands import verbs_of
from supervisor.telegram.chat_outbox import Outbox
from supervisor.telegram.chat_reader import NotRead, answer_lines, is_our_turn
from supervisor.telegram.chat_text import line
from supervisor.telegram.command_lines import buttons_for, confirm_lines, done_lines, needs_button
from supervisor.telegram.offset_file import OffsetFile
from supervisor.telegram.telegram_spec import TelegramSpec

__all__ = ["MOST_AT_WORK", "ChatDesk"]

T = TypeVar("T")
Json = dict[str, Any]
log = logging.getLogger("supervisor.telegram")

KINDS: Final = ("message", "edited_message", "callback_query")
MOST_UPDATES: Final = 100
MOST_AT_WORK: Final = 8
"""Questions and commands that wait for their answers at once."""
MOST_URGENT: Final = 8
EXTRA_S: Final = 15.0
"""How much longer than asked for a long poll may take."""
QUICK_S: Final = 15.0
LEAST_S: Final = 0.2
"""Between two questions for news of which the first brought none."""
URGENT: Final = ("flatten", "kill")
STOPS: Final = "nothing was done: the bot stops, or begins anew with other settings; send it again in a moment"
NOT_OURS: Final = "another host of the fleet listens to this bot by now"
LATE: Final = f"this button counts no more: it was good once, for {GOOD_S:g} seconds, and for whom it was shown to"


@dataclass(eq=False)
class _Chatter:
    """A listed user, as `Confirmations` knows one."""

    is_over: bool = False


class ChatDesk:
    """Owns the state of the bot. `wall_s` is Unix time, `clock` monotonic, both in seconds."""

    def __init__(
        self, spec: TelegramSpec, api: BotApi, wall_s: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        self.state = BotState()
        self.outbox = Outbox(api, spec.waits, clock)
        self.bot = ""
        self._spec = spec
        self._api = api
        self._wall_s = wall_s
        self._clock = clock
        self._file = OffsetFile(spec.data_dir, spec.bot_id)
        self._firsts: Confirmations[Prepared] = Confirmations(clock)
        self._chatters = {user: _Chatter() for user in spec.roles}
        self._turns = {user: asyncio.Lock() for user in spec.roles}
        self._threads = ThreadPoolExecutor(MOST_AT_WORK, thread_name_prefix="telegram")
        self._urgent = ThreadPoolExecutor(MOST_URGENT, thread_name_prefix="urgent")
        """For flatten and kill alone: questions that take long keep all the others."""
        self._closing = asyncio.Event()
        self._at_work: dict[asyncio.Task[None], None] = {}
        self._taking: dict[asyncio.Task[None], None] = {}
        self._commands = self._refused = 0
        self._problem = ""
        self._since_s = 0.0
        self._unsaved = ""

    async def open(self) -> None:
        """Take back what was seen before."""
        try:
            number, seen_s = await asyncio.to_thread(self._file.load)
        except OSError as error:
            log.warning("what was seen before cannot be read: %s", error)
            return
        self.state = BotState(next_id=number, seen_s=seen_s)

    def report(self) -> Json:
        """For `status`."""
        failing_s = round(self._clock() - self._since_s, 1) if self._problem else None
        counts = {"commands": self._commands, "refused": self._refused, "lost": self.outbox.lost}
        return {"bot": self.bot, "users": len(self._spec.roles), **counts} | {
            "problem": self._problem,
            "failing_s": failing_s,
        }

    async def run(self) -> None:
        """For ever. A problem is said once, and the next question waits as it demands."""
        in_a_row = 0
        while True:
            problem = await self.turn()
            self._note(problem)
            in_a_row = in_a_row + 1 if problem else 0
            if problem is not None:
                await asyncio.sleep(self._spec.waits.after(problem, in_a_row))

    async def turn(self) -> Problem | None:
        """One question for news, and what follows from its answer."""
        if not self.bot and (problem := await self._greet()) is not None:
            return problem
        asked: Json = {"timeout": int(self._spec.poll_s), "limit": MOST_UPDATES, "allowed_updates": KINDS}
        known = ask_from(self.state, self._wall_s())
        asked |= {} if known is None else {"offset": known}
        got = await self._api.call("getUpdates", asked, within_s=self._spec.poll_s + EXTRA_S)
        if isinstance(got, Problem):
            return got
        if not isinstance(got.result, list):
            return Problem(Kind.GARBAGE, "the Bot API answered with no list of updates")
        if got.result and self._spec.of_fleet and not await asyncio.to_thread(is_our_turn, self._spec.data_dir):
            return Problem(Kind.CONFLICT, NOT_OURS)
        before = self.state.next_id
        for update in got.result:
            # An end that is asked for cancels the questions for news, and no update in the midst of being seen.
            taking = background.start(self._take(update), name="an update")
            self._taking[taking] = None
            taking.add_done_callback(self._taking.pop)
            await asyncio.shield(taking)
        if not got.result:
            await asyncio.sleep(LEAST_S)
        elif self.state.next_id == before:
            return Problem(Kind.GARBAGE, "the Bot API sent only updates that were seen before, or without numbers")
        return None

    async def close(self, within_s: float) -> None:
        """What a thread has begun is carried out, else it is said that it is not; what there is to say is said, for so
        long."""
        self._closing.set()
        for threads in (self._threads, self._urgent):
            threads.shutdown(wait=False, cancel_futures=True)
        until_s = self._clock() + within_s
        await asyncio.sleep(0)
        while (self._taking or self._at_work or not self.outbox.is_empty) and self._clock() < until_s:
            await asyncio.sleep(0.02)

    async def _greet(self) -> Problem | None:
        """Who are we? Each listed user gets the menu of what the role allows; nobody else sees one."""
        got = await self._api.call("getMe", {}, within_s=QUICK_S)
        if isinstance(got, Problem):
            return got
        name = got.result.get("username") if isinstance(got.result, dict) else None
        if not isinstance(name, str) or not name:
            return Problem(Kind.GARBAGE, "the Bot API does not say which bot this is")
        self.bot = name
        for user, role in self._spec.roles.items():
            menu = [{"command": verb.name, "description": verb.help} for verb in verbs_of(role)]
            scope = {"type": "chat", "chat_id": user}
            # refused for whoever has never written to the bot
            await self._api.call("setMyCommands", {"commands": menu, "scope": scope}, within_s=QUICK_S)
        return None

    def _note(self, problem: Problem | None) -> None:
        text = "" if problem is None else problem.text
        if text and not self._problem:
            self._since_s = self._clock()
        if text and text != self._problem:
            log.warning("telegram: %s", text)
        elif self._problem and not text:
            log.info("telegram: the bot is heard again")
        self._problem = text

    async def _take(self, update: Any) -> None:
        before = self.state.next_id
        self.state, effects = step(self.state, update, self._wall_s(), self._spec.roles, self.bot)
        number = self.state.next_id
        if number is None or number == before:
            return
        if not await self._is_kept(number):
            effects = tuple(
                Say(each.chat, "nothing was done: it cannot be written down that this was seen; send it again")
                for each in effects
                if isinstance(each, Ask | Give | Press)
            )
        for effect in effects:
            try:
                self._do(effect)
            except Exception as error:  # noqa: BLE001 - reported with its traceback; the next update comes
                background.report("an update of Telegram", error)

    async def _is_kept(self, number: int) -> bool:
        """On the disk, or else, where it is full, at the Bot API; in a fleet there in any case, for the next host."""
        if self._spec.of_fleet and not await self._confirmed(number):
            return False
        try:
            await asyncio.to_thread(self._file.save, number, self.state.seen_s)
        except OSError as error:
            if str(error) != self._unsaved:
                log.warning("which updates were seen cannot be written: %s", error)
            self._unsaved = str(error)
            return self._spec.of_fleet or await self._confirmed(number)
        self._unsaved = ""
        return True

    async def _confirmed(self, number: int) -> bool:
        """Whether the Bot API gives nobody again what is before this number."""
        asked = {"offset": number, "timeout": 0, "limit": 1, "allowed_updates": KINDS}
        return not isinstance(await self._api.call("getUpdates", asked, within_s=QUICK_S), Problem)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Say(chat, text, refused):
                self._refused += refused
                self.outbox.say(chat, [line(text)])
            case Toast(callback, text):
                self._refused += 1
                self.outbox.toast(callback, text)
            case Log(text):
                self._refused += 1
                log.warning("telegram: %s", text)
            case Ask() | Give() | Press():
                if len(self._at_work) >= MOST_AT_WORK and not _is_urgent(effect):
                    self._do(
                        Say(effect.chat, f"nothing was done: {MOST_AT_WORK} others are under way; again in a moment")
                    )
                    return
                self._begin(effect)
            case Decline():
                self._begin(effect)

    def _begin(self, effect: Ask | Give | Press | Decline) -> None:
        match effect:
            case Ask():
                work = self._ask(effect)
            case Give():
                work = self._give(effect)
            case Press():
                work = self._press(effect)
            case Decline():
                work = self._decline(effect)
        task = background.start(work, name=f"an update of {who_of(effect.user)}")
        self._at_work[task] = None
        task.add_done_callback(self._at_work.pop)

    async def _ask(self, asked: Ask) -> None:
        role = self._spec.roles[asked.user]
        given = (self._spec.data_dir, asked.verb, asked.words, role, who_of(asked.user))
        lines = await self._tried(asked.chat, self._threads, answer_lines, *given)
        if lines is not None:
            self.outbox.say(asked.chat, lines)

    async def _give(self, given: Give) -> None:
        async with self._turn_of(given.user, str(given.document["command"])):
            await self._prepared(given)

    def _turn_of(self, user: int, command: str) -> contextlib.AbstractAsyncContextManager[None]:
        """The user's turn; what takes risk away for good waits for none."""
        return contextlib.nullcontext() if command in URGENT else self._turns[user]

    async def _prepared(self, given: Give) -> None:
        who = who_of(given.user)
        threads = self._threads_of(str(given.document["command"]))
        prepared = await self._tried(given.chat, threads, prepare, self._spec.data_dir, given.document, who, _always)
        if prepared is None:
            return
        if needs_button(prepared):
            token = self._firsts.give(self._chatters[given.user], prepared)
            self.outbox.say(given.chat, confirm_lines(prepared), buttons_for(prepared, token))
            return
        await self._carried_out(given.chat, prepared, who)

    async def _press(self, pressed: Press) -> None:
        prepared = self._firsts.take(self._chatters[pressed.user], pressed.token)
        who = who_of(pressed.user)
        self.outbox.take_buttons(pressed.chat, pressed.message)
        if prepared is None:
            self._refused += 1
            log.warning("telegram: %s pressed a button that counts no more", who)
            self.outbox.toast(pressed.callback, LATE)
            return
        if pressed.yes:
            self.outbox.toast(pressed.callback, f"{prepared.command.name}: under way")
            async with self._turn_of(pressed.user, prepared.command.name):
                await self._carried_out(pressed.chat, prepared, who)
            return
        self.outbox.toast(pressed.callback, "nothing was given")
        targets = " ".join(map(str, prepared.targets))
        why = "the answer to its question was no"
        threads, command = self._threads_of(prepared.command.name), prepared.command
        await _in_thread(threads, decline, self._spec.data_dir, command, prepared.args, targets, why, who)
        self.outbox.say(pressed.chat, [line(f"{prepared.command.name} was not given")])

    async def _decline(self, declined: Decline) -> None:
        who, nothing = who_of(declined.user), dict[str, Any]()
        given = (declined.command, nothing, declined.words, declined.why, who)
        await _in_thread(self._threads, decline, self._spec.data_dir, *given)

    async def _carried_out(self, chat: int, prepared: Prepared, who: str) -> None:
        log.info("%s by %s", prepared.command.name, who)
        self._commands += 1
        threads = self._threads_of(prepared.command.name)
        told = await self._tried(chat, threads, self._carry_out, prepared, who)
        if told is not None:
            self.outbox.say(chat, done_lines(told))

    def _carry_out(self, prepared: Prepared, who: str) -> Json:
        """In a thread. A machine that stood still since it heard of this asks again: the next host may have carried it
        out by now, and what was said since then."""
        if self._spec.of_fleet and not is_our_turn(self._spec.data_dir):
            raise NotRead(NOT_OURS)
        return carry_out(self._spec.data_dir, prepared, who)

    def _threads_of(self, command: str) -> ThreadPoolExecutor:
        return self._urgent if command in URGENT else self._threads

    async def _tried(self, chat: int, threads: ThreadPoolExecutor, work: Callable[..., T], *given: Any) -> T | None:
        """What the thread returns; None when somebody was told why not."""
        if self._closing.is_set():
            self._do(Say(chat, STOPS))
            return None
        try:
            return await _in_thread(threads, work, *given)
        except asyncio.CancelledError:
            if not self._closing.is_set():
                raise
            self._do(Say(chat, STOPS))  # no thread had begun it
        except (CommandMistake, ControlError, NotRead) as why:
            self._do(Say(chat, f"nothing was done: {why}"))
        except Exception as error:  # noqa: BLE001 - whoever asked has to hear of it; the log has the traceback
            background.report("an update of Telegram", error)
            self._do(Say(chat, f"it failed ({type(error).__name__}); how much was done is not known, see /logs"))
        return None


async def _in_thread(threads: ThreadPoolExecutor, work: Callable[..., T], *given: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *given)


def _always(_: Json) -> bool:
    """Who may what is decided by the roles, before."""
    return True


def _is_urgent(effect: Ask | Give | Press) -> bool:
    """What takes risk away for good, and all buttons."""
    return effect.document["command"] in URGENT if isinstance(effect, Give) else isinstance(effect, Press)
