"""What is obeyed and what is refused: each command and each refusal, as (state, update, time) to effects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.commands.command_table import COMMANDS
from gridbot.config.telegram import ROLES
from supervisor.telegram import bot_core
from supervisor.telegram.bot_core import (
    ASKED,
    FORGOTTEN_S,
    LOGGED,
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
from supervisor.telegram.chat_commands import GIVEN, READ, Verb

from .bot_server import message, press

NOW = 1_800_000_000.0
SEE, OPERATE, FLATTEN, NOBODY = 1, 2, 3, 666
WHO = {SEE: "see", OPERATE: "operate", FLATTEN: "flatten"}
VERBS = (*READ, *GIVEN)


def said(
    user: int, text: str | None, *, age_s: float = 0.0, kind: str = "message", by: Any = None, **changes: Any
) -> dict[str, Any]:
    person = {} if by is None else {"from": by}
    return {"update_id": 10, kind: {**message(user, text), "date": int(NOW - age_s), **changes, **person}}


def pressed(
    user: int, data: str = "yes:token", chat: int | None = None, by: Any = None, **changes: Any
) -> dict[str, Any]:
    where = {"id": user if chat is None else chat, "type": "private"}
    person = {} if by is None else {"from": by}
    return {"update_id": 10, "callback_query": {**press(user, data, where, **changes), **person}}


def effects(update: Any, state: BotState | None = None) -> tuple[Effect, ...]:
    return step(state or BotState(), update, NOW, WHO, "our_bot")[1]


def test_the_commands_of_the_issue_are_there_with_their_roles() -> None:
    wanted = "status why pnl daily positions pause resume reduce cancel flatten kill mute logs health help"
    assert {*wanted.split()} <= {verb.name for verb in VERBS}
    assert {verb.name for verb in GIVEN} <= {command.name for command in COMMANDS}
    assert {verb.role for verb in READ} == {"see"}
    assert {verb.name for verb in VERBS if verb.role == "flatten"} == {"flatten", "kill"}
    dangerous = {verb.name for verb in GIVEN if verb.command and verb.command.dangerous}
    assert dangerous == {"flatten", "kill", "resume"}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_command_is_for_its_role_and_above_and_refused_below(verb: Verb) -> None:
    for user, role in WHO.items():
        found = effects(said(user, f"/{verb.name} alice"))
        if ROLES.index(role) >= ROLES.index(verb.role):
            [done] = found
            if verb.command is None:
                assert done == Ask(user, user, verb.name, ("alice",))
            else:
                assert isinstance(done, Give)
                assert done.document["command"] == verb.name
        else:
            [told, declined] = found
            assert isinstance(told, Say)
            assert f"needs the role {verb.role}, yours is {role}" in told.text
            assert verb.command is not None
            assert declined == Decline(user, verb.command, "alice", f"it needs the role {verb.role}, yours is {role}")


def test_a_command_is_read_as_the_command_line_reads_it() -> None:
    text = "/cancel alice/alice-btc 'b*' --group night —reason too “fast for” me --leave-running"
    [done] = effects(said(OPERATE, text))
    assert isinstance(done, Give)
    assert done.document == {
        "command": "cancel",
        "targets": ["alice/alice-btc", "b*"],
        "groups": ["night"],
        "args": {"reason": "too fast for me", "leave_running": True},
    }
    [done] = effects(said(FLATTEN, "/flatten@Our_Bot --all --band=0.7 --market-after 3"))
    assert isinstance(done, Give)
    assert (done.document["everything"], done.document["args"]) == (True, {"band": "0.7", "market_after": "3"})
    [done] = effects(said(OPERATE, "/mute stale_price --for 2h --account alice"))
    assert isinstance(done, Give)
    assert done.document["args"] == {"what": "stale_price", "period": "2h", "of_account": "alice"}
    assert effects(said(SEE, "/start")) == (Ask(SEE, SEE, "help"),)


REFUSED = {
    "an edited message": (said(SEE, "/status", kind="edited_message"), "got an edited one"),
    "a forwarded one": (said(SEE, "/status", forward_origin={"type": "user"}), "got a forwarded one"),
    "an old forward": (said(SEE, "/status", forward_date=1), "got a forwarded one"),
    "by way of a bot": (said(SEE, "/status", via_bot={"id": 9}), "by a bot"),
    "in the name of a chat": (said(SEE, "/status", sender_chat={"id": -9}), "by a bot"),
    "a bot": (said(SEE, "/status", by={"id": SEE, "is_bot": True}), "by a bot"),
    "one that Telegram sends later": (said(SEE, "/status", is_from_offline=True), "at a time set before"),
    "no text": (said(SEE, None), "expected a text"),
    "too long a text": (said(SEE, "/" + "x" * 4096), "at most 4096 characters, got 4097"),
    "too old": (said(SEE, "/status", age_s=61), "it is 61 s old"),
    "from tomorrow": (said(SEE, "/status", age_s=-61), "61 s from now"),
    "no command": (said(SEE, "hello <b>"), "expected a command such as /status"),
    "a slash alone": (said(SEE, "/"), "expected a command"),
    "an unknown one": (said(SEE, "/statsu"), "did you mean /status?"),
    "an open quote": (said(SEE, "/why 'alice"), "quote"),
    "too many words": (said(SEE, "/why " + "a " * 101), "at most 100 words"),
}
DECLINED = {
    "an old one": (said(FLATTEN, "/kill alice", age_s=3600), "it is 3600 s old"),
    "an unknown option": (
        said(OPERATE, "/pause alice --burn"),
        "--cancel, --group, --all or TARGET",
    ),
    "no value": (said(OPERATE, "/pause alice --reason"), "expected a value after --reason"),
    "too many": (said(OPERATE, "/mute a b"), "got 'b'"),
    "what others own": (said(OPERATE, "/cancel alice --foreign"), "needs the role flatten, yours is operate"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_obeyed_is_answered_with_one_line(name: str) -> None:
    update, words = REFUSED[name]
    [told] = effects(update)
    assert isinstance(told, Say)
    assert words in told.text
    assert told.chat == SEE


@pytest.mark.parametrize("name", DECLINED)
def test_a_command_that_is_not_given_is_answered_and_recorded(name: str) -> None:
    update, words = DECLINED[name]
    told, declined = effects(update)
    assert isinstance(told, Say)
    assert isinstance(declined, Decline)
    assert words in told.text
    assert words in declined.why


SILENT = {
    "somebody unknown": said(NOBODY, "/kill --all"),
    "an unknown bot": said(NOBODY, "/kill", by={"id": NOBODY, "is_bot": True}),
    "a group": said(FLATTEN, "/kill", chat={"id": -100, "type": "group"}),
    "a supergroup": said(FLATTEN, "/kill", chat={"id": -100, "type": "supergroup"}),
    "a private chat of somebody else": said(FLATTEN, "/kill", chat={"id": NOBODY, "type": "private"}),
    "a channel": {"update_id": 10, "channel_post": message(FLATTEN, "/kill")},
    "an edited post": {"update_id": 10, "edited_channel_post": message(FLATTEN, "/kill")},
    "a press by somebody unknown": pressed(NOBODY),
    "no writer": {"update_id": 10, "message": {"text": "/kill"}},
    "a writer without a number": said(FLATTEN, "/kill", by={"id": True, "is_bot": False}),
    "no time": said(FLATTEN, "/kill", date="now"),
    "something new": {"update_id": 10, "poll": {}},
    "a press of nobody": {"update_id": 10, "callback_query": {"id": "x", "data": "yes:t"}},
    "a message that is none": {"update_id": 10, "message": "kill"},
}


@pytest.mark.parametrize("name", SILENT)
def test_strangers_and_what_is_not_private_get_no_answer_and_are_logged(name: str) -> None:
    [logged] = effects(SILENT[name])
    assert isinstance(logged, Log)
    if "message" in SILENT[name] and "unknown" in name:
        assert str(NOBODY) in logged.text


def test_many_strangers_are_a_few_lines() -> None:
    state, lines = BotState(), []
    for number in range(100):
        update = {**said(NOBODY, "/status"), "update_id": number}
        state, found = step(state, update, NOW + number * 0.1, WHO)
        lines += found
    assert len(lines) == LOGGED[0]
    state, [last] = step(state, {**said(NOBODY, "x"), "update_id": 500}, NOW + 100, WHO)
    assert isinstance(last, Log)
    assert f"{100 - LOGGED[0]} more were not logged" in last.text


def test_one_user_is_not_answered_without_end_and_others_are() -> None:
    state = BotState()
    for number in range(ASKED[0]):
        state, [found] = step(state, {**said(SEE, "/status"), "update_id": number}, NOW, WHO)
        assert isinstance(found, Ask)
    state, [found] = step(state, {**said(SEE, "/status"), "update_id": 100}, NOW, WHO)
    assert isinstance(found, Log)
    state, [found] = step(state, {**said(FLATTEN, "/status"), "update_id": 101}, NOW, WHO)
    assert isinstance(found, Ask)
    later = NOW + ASKED[1]
    assert isinstance(step(state, {**said(SEE, "/status", age_s=-60), "update_id": 102}, later, WHO)[1][0], Ask)


@pytest.mark.parametrize(
    ("update", "wanted"),
    [
        (pressed(FLATTEN), Press(FLATTEN, FLATTEN, "callback-3", 9, "token", True)),
        (pressed(FLATTEN, "no:token"), Press(FLATTEN, FLATTEN, "callback-3", 9, "token", False)),
        (pressed(FLATTEN, message=None), Press(FLATTEN, FLATTEN, "callback-3", 0, "token", True)),
        (pressed(OPERATE, chat=FLATTEN), "below a message to somebody else"),
        (pressed(FLATTEN, message={"message_id": 1, "chat": {"id": -1, "type": "group"}}), "not in a private chat"),
        (pressed(FLATTEN, by={"id": FLATTEN, "is_bot": True}), "a bot has pressed it"),
        (pressed(FLATTEN, "maybe:token"), "none of ours"),
        (pressed(FLATTEN, "yes:"), "none of ours"),
    ],
)
def test_a_press_counts_below_a_message_to_whoever_presses(update: dict[str, Any], wanted: Press | str) -> None:
    [found] = effects(update)
    if isinstance(wanted, str):
        assert isinstance(found, Toast)
        assert wanted in found.text
    else:
        assert found == wanted


def test_a_command_for_another_bot_is_no_business_of_ours() -> None:
    assert effects(said(FLATTEN, "/kill@other_bot alice")) == ()
    assert who_of(7) == "telegram:7"


def test_no_update_is_taken_twice_and_numbers_begin_anew_after_a_week() -> None:
    state, found = step(BotState(), said(SEE, "/status"), NOW, WHO)
    assert (state.next_id, state.seen_s, len(found)) == (11, NOW, 1)
    assert step(state, said(SEE, "/status"), NOW, WHO) == (state, ())
    assert (ask_from(state, NOW), ask_from(state, NOW + FORGOTTEN_S + 1)) == (11, None)
    assert ask_from(state, NOW - FORGOTTEN_S - 1) is None, "its clock was ahead, so nobody knows how long it was silent"
    much_later = NOW + FORGOTTEN_S + 1
    fresh = {**said(SEE, "/status", age_s=-(FORGOTTEN_S + 1)), "update_id": 3}
    state, found = step(state, fresh, much_later, WHO)
    assert (state.next_id, len(found)) == (4, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(["from", "chat", "date", "text", "id", "data", "message", "update_id", "forward_origin"])


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["message", "edited_message", "channel_post", "callback_query"]),
    user=st.sampled_from([SEE, OPERATE, FLATTEN, NOBODY]),
    text=st.sampled_from(["/kill alice", "/status", "/cancel --all", "/mute"]) | st.text(max_size=30),
    changes=st.dictionaries(FIELDS, JSON, max_size=2),
    age_s=st.integers(-200, 200),
    number=st.integers(0, 50),
    known=st.none() | st.integers(0, 50),
)
def test_whatever_comes_nothing_is_given_but_a_young_command_of_a_listed_user_once(
    kind: str, user: int, text: str, changes: dict[str, Any], age_s: int, number: int, known: int | None
) -> None:
    inner: dict[str, Any] = {**message(user, text), "date": int(NOW - age_s), **changes}
    update = {"update_id": number, kind: inner}
    before = BotState(next_id=known, seen_s=NOW)
    state, found = step(before, update, NOW, WHO)
    assert state.next_id is not None
    assert state.next_id >= (known or 0)
    for effect in found:
        if isinstance(effect, Give | Ask | Decline | Press):
            assert effect.user in WHO
            assert known is None or number >= known
        if isinstance(effect, Give):
            assert kind == "message"
            assert "forward_origin" not in changes
            assert abs(NOW - inner["date"]) <= bot_core.OLDEST_S
            assert effect.chat == effect.user
    assert step(state, update, NOW, WHO)[1] == ()


@pytest.mark.parametrize("update", [None, 7, [], {}, {"update_id": "1"}, {"update_id": -1}, {"update_id": True}])
def test_what_is_no_update_changes_nothing(update: Any) -> None:
    assert step(BotState(), update, NOW, WHO) == (BotState(), ())
