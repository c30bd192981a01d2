"""Arguments that came from outside: what is taken, and in which words the rest is refused."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gridbot.commands.arguments import (
    Arguments,
    NoArguments,
    PauseArguments,
    RestartArguments,
    StopArguments,
    choices,
    read_arguments,
)
from gridbot.commands.command_table import COMMANDS, find_command
from gridbot.commands.wording import CommandMistake
from gridbot.config.models import OnStop
from tests.case_table import case_table


def read(name: str, raw: object) -> Any:
    return read_arguments(find_command(name), raw)


@case_table(
    ("name", "raw", "expected"),
    [
        ("pause", None, PauseArguments()),
        ("pause", {}, PauseArguments(strategy=None, cancel=False)),
        ("pause", {"strategy": None, "cancel": None}, PauseArguments()),
        ("pause", {"strategy": "btc", "cancel": True}, PauseArguments(strategy="btc", cancel=True)),
        ("pause", {"cancel": 1}, PauseArguments(cancel=True)),
        ("reconcile", {}, NoArguments()),
        ("stop", {"mode": None, "force": False}, StopArguments()),
        ("stop", {"mode": "flatten", "force": True}, StopArguments(mode="flatten", force=True)),
        ("restart", {"child": "writer"}, RestartArguments(child="writer")),
    ],
)
def test_arguments_that_are_taken(name: str, raw: object, expected: object) -> None:
    assert read(name, raw) == expected


@case_table(
    ("name", "raw", "text"),
    [
        ("pause", [], "expected the arguments of pause as an object, got []"),
        ("pause", {"strategy": 3}, "expected text for strategy of pause, got 3"),
        ("pause", {"cancel": "maybe"}, "expected true or false for cancel of pause, got 'maybe'"),
        (
            "pause",
            {"strategie": "btc"},
            "expected strategy, reason or cancel as an argument of pause, got 'strategie'; did you mean strategy?",
        ),
        ("reconcile", {"strategy": "btc"}, "expected no arguments for reconcile, got 'strategy'"),
        ("stop", {"mode": "sell"}, "expected a mode of keep, cancel, flatten, got 'sell'"),
        ("stop", {"mode": "flaten"}, "expected a mode of keep, cancel, flatten, got 'flaten'; did you mean flatten?"),
        ("stop", {"mods": "cancel"}, "expected force or mode as an argument of stop, got 'mods'; did you mean mode?"),
        ("restart", {}, "expected child as an argument of restart, got none"),
        ("restart", {"child": None}, "expected child as an argument of restart, got none"),
        (
            "pause",
            {"strategy": 3, "x": 1},
            "expected text for strategy of pause, got 3; "
            "expected strategy, reason or cancel as an argument of pause, got 'x'",
        ),
    ],
)
def test_arguments_that_are_refused(name: str, raw: object, text: str) -> None:
    with pytest.raises(CommandMistake) as caught:
        read(name, raw)
    assert str(caught.value) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
argument_names = st.sampled_from(["strategy", "cancel", "mode", "force", "child", ""]) | st.text(max_size=8)


@given(command=st.sampled_from(COMMANDS), raw=json_values | st.dictionaries(argument_names, json_values, max_size=4))
def test_whatever_comes_is_taken_or_refused_in_words(command: Any, raw: object) -> None:
    text = ""
    try:
        assert isinstance(read_arguments(command, raw), Arguments)
    except CommandMistake as mistake:
        text = str(mistake)
    assert not text or (text.startswith("expected ") and (command.name in text or "a mode of" in text))


def test_arguments_do_not_change_afterwards() -> None:
    with pytest.raises(ValidationError):
        PauseArguments().cancel = True  # type: ignore[misc]


def test_the_words_of_a_choice() -> None:
    assert choices(Literal["a", "b"] | None) == ("a", "b")
    assert choices(str | None) == choices(bool) == ()


def test_the_modes_of_a_stop_are_those_of_the_configuration() -> None:
    assert choices(StopArguments.model_fields["mode"].annotation) == tuple(mode.value for mode in OnStop)
