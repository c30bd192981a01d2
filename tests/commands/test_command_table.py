"""The table of operator commands: what is declared fits together, and a name that is not there is answered with those
that are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gridbot.commands.arguments import Arguments, arguments_model
from gridbot.commands.command import Command, Target
from gridbot.commands.command_table import COMMANDS, FLEET_COMMANDS, WORKER_COMMANDS, find_command
from gridbot.commands.wording import CommandMistake, closest, did_you_mean, one_of, shown
from gridbot.records.record_types import CommandRecord

every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def test_names_are_unique_and_each_command_is_for_one_side() -> None:
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)
    assert sorted(names) == sorted(command.name for command in (*WORKER_COMMANDS, *FLEET_COMMANDS))
    assert {command.target for command in FLEET_COMMANDS} == {Target.FLEET}
    assert Target.FLEET not in {command.target for command in WORKER_COMMANDS}


@every_command
def test_the_arguments_fit_the_target(command: Command) -> None:
    fields = arguments_model(command).model_fields
    assert issubclass(arguments_model(command), Arguments)
    assert ("strategy" in fields) == (command.target is Target.STRATEGY)
    assert all(field.description for field in fields.values()), "every argument is explained"
    assert not {"op", "account", "name", "args", "wait_s"} & set(fields), "words of the control socket itself"


@every_command
def test_a_command_is_explained(command: Command) -> None:
    assert command.summary.endswith(".")
    assert command.help.endswith(".")
    assert command.example.split()[: 2 if command.below else 1] == [*filter(None, [command.below]), command.name]


@every_command
def test_only_a_worker_can_be_needed_to_trade(command: Command) -> None:
    assert command.for_worker or not command.needs_trading


def test_what_can_cost_money_when_given_by_mistake() -> None:
    dangerous = {command.name for command in COMMANDS if command.dangerous}
    assert dangerous == {"flatten", "kill", "resume", "correct", "adopt", "stop", "reload"}


def test_the_records_page_names_every_command() -> None:
    described = CommandRecord.__dataclass_fields__["name"].metadata["doc"]
    assert (
        described
        == "pause, reduce, cancel, flatten, kill, resume, reconcile, correct, adopt, stop, reload, restart, ack, mute, "
        "unmute."
    )


@pytest.mark.parametrize(
    ("name", "among", "text"),
    [
        (
            "puase",
            COMMANDS,
            "expected pause, reduce, cancel, flatten, kill, resume, reconcile, correct, adopt, "
            "stop, reload, restart, ack, mute or unmute, got 'puase'; did you mean pause?",
        ),
        (
            "stop",
            WORKER_COMMANDS,
            "expected pause, reduce, cancel, flatten, kill, resume, reconcile, correct or adopt, got 'stop'",
        ),
        (None, FLEET_COMMANDS, "expected stop, reload, restart, ack, mute or unmute, got None"),
    ],
)
def test_an_unknown_name_is_answered_with_those_there_are(name: object, among: tuple[Command, ...], text: str) -> None:
    with pytest.raises(CommandMistake) as caught:
        find_command(name, among)
    assert str(caught.value) == text


def test_a_known_name_is_found() -> None:
    assert [find_command(command.name) for command in COMMANDS] == list(COMMANDS)


def test_words_of_a_choice() -> None:
    assert [one_of(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a or b", "a, b or c"]


def test_the_closest_word() -> None:
    assert closest("cancle", ["strategy", "cancel"]) == "cancel"
    assert closest(7, ["strategy"]) is None
    assert did_you_mean("x", []) == ""


def test_a_long_value_is_cut() -> None:
    assert shown("x") == "'x'"
    assert shown("x" * 1000) == "'" + "x" * 79 + "..."


def test_the_table_is_quick_to_import() -> None:
    program = "import gridbot.commands.command_table, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not {"pydantic", "difflib", "asyncio"} & set(done.stdout.split())
