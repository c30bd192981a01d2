"""The command line of declared commands: made from the table, completed from the running supervisor."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from gridbot.commands.arguments import arguments_model
from gridbot.commands.command import Command
from gridbot.commands.command_table import COMMANDS, RELOAD, RESTART, STOP
from supervisor.cli import fleet_command, value_completion
from supervisor.cli.main import SUMMARIES, cli
from supervisor.cli.options import Seconds
from supervisor.control.control_client import NotRunning
from tests.case_table import case_table

ROOT = Path(__file__).resolve().parents[3]
STATUS = {
    "accounts": [
        {
            "account": "alice",
            "groups": ["night", "vip"],
            "process": {"name": "worker-alice"},
            "strategies": [{"strat_id": "alice-btc"}, {"strat_id": "alice-eth"}],
        },
        {"account": "bob", "process": {"name": "worker-bob"}, "strategies": [{"strat_id": "bob-sol"}]},
    ],
    "writer": {"process": {"name": "writer"}},
    "paper": None,
}
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


class Client:
    """As much of a `ControlClient` as the commands need."""

    asked: list[tuple[Any, ...]]
    runs = True

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def worker(self, *words: Any, takes_s: float = 0.0) -> dict[str, Any]:
        self.asked.append(words)
        return {"ok": True, "result": "done"}

    def status(self) -> dict[str, Any]:
        if not self.runs:
            raise NotRunning("nobody")
        return STATUS


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    monkeypatch.setattr(Client, "asked", [], raising=False)
    monkeypatch.setattr(Client, "runs", True)
    monkeypatch.setattr(fleet_command, "PatientClient", Client)
    monkeypatch.setattr(value_completion, "ControlClient", Client)
    return Client


def clicked(name: str) -> click.Command:
    below = next((command.below for command in COMMANDS if command.name == name), "")
    group = cli.get_command(click.Context(cli), below) if below else cli
    assert isinstance(group, click.Group)
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


BY_COMMAND = {RESTART: {"child"}, RELOAD: {"plan", "variables"}}
"""Arguments that no option gives: targets do, or the command itself."""


@every_command
def test_every_command_has_its_command_line_with_its_words_and_arguments(command: Command) -> None:
    made = clicked(command.name)
    assert made.name == command.name
    assert made.help == command.help
    fields = set(arguments_model(command).model_fields) - BY_COMMAND.get(command, set())
    parameters = {parameter.name for parameter in made.params}
    assert fields <= parameters
    named = {"targets", "groups", "everything", "expect", "dry_run", "as_json"}
    own = {STOP: {"expect", "as_json"}, RELOAD: {"expect", "dry_run", "as_json"}}
    assert named & parameters == own.get(command, set() if command.below else named)
    shown = CliRunner().invoke(cli, [*filter(None, [command.below]), "--help"]).output
    assert f"  {command.name} " in shown
    assert command.below or command.summary in shown


@every_command
def test_every_example_is_a_command_line_that_works(command: Command) -> None:
    made = clicked(command.name)
    path = [*filter(None, [command.below]), command.name]
    assert command.example.split()[: len(path)] == path
    assert made.make_context(command.name, command.example.split()[len(path) :]).params
    assert command.example in CliRunner().invoke(cli, [*path, "--help"]).output


def all_commands() -> dict[str, click.Command]:
    """Each command that can be typed, also those below a group, however deep."""
    found: dict[str, click.Command] = {}
    waiting = {name: clicked(name) for name in SUMMARIES}
    while waiting:
        name, command = waiting.popitem()
        if not isinstance(command, click.Group):
            found[name] = command
            continue
        context = click.Context(command)
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            assert inner is not None
            waiting[f"{name} {word}"] = inner
    return dict(sorted(found.items()))


@case_table("name", all_commands())
def test_the_help_of_every_command_has_an_example_that_can_be_typed(name: str) -> None:
    command = all_commands()[name]
    program, *words = shlex.split(str(command.epilog).removeprefix("Example: "))
    assert program == "gridbot-supervisor"
    path = name.split()
    assert words[: len(path)] == path
    assert command.make_context(path[-1], words[len(path) :]).params
    assert " ".join(str(command.epilog).split()) in " ".join(CliRunner().invoke(cli, [*path, "--help"]).output.split())


@case_table("name", all_commands())
def test_every_command_names_an_instance_in_the_same_way(name: str) -> None:
    options = {option.name: option for option in all_commands()[name].params}
    assert (options["config"].opts, options["config"].envvar) == (["-c", "--config"], "GRIDBOT_CONFIG_PATH")
    assert (options["data_dir"].opts, options["data_dir"].envvar) == (["--data-dir"], "GRIDBOT_DATA_DIR")


def test_numbers_of_options_have_bounds() -> None:
    """`stop --timeout nan` and `sql --timeout 1e400` were unexpected errors, and `start --timeout -1` started."""
    options = [(name, option) for name, command in all_commands().items() for option in command.params]
    numbers = [(name, option) for name, option in options if isinstance(option.type, click.types.FloatParamType)]
    assert [name for name, option in numbers if not isinstance(option.type, Seconds)] == []
    assert len(numbers) == 20
    whole = [option for _, option in options if isinstance(option.type, click.types.IntParamType)]
    assert [option.name for option in whole if not isinstance(option.type, click.IntRange)] == []
    for name, option in numbers:
        for wrong in ("nan", "inf", "1e400", "-1", "soon"):
            result = CliRunner().invoke(cli, [*name.split(), option.opts[0], wrong])
            assert (result.exit_code, f"Invalid value for '{option.opts[0]}'" in result.output) == (2, True), (
                result.output
            )


def test_an_option_before_the_command_is_told_its_place() -> None:
    result = CliRunner().invoke(cli, ["--data-dir", "x", "status"])
    assert (result.exit_code, "Expected --data-dir after the command" in result.output) == (2, True)
    assert "No such option '--loud'" in CliRunner().invoke(cli, ["--loud", "status"]).output


def test_only_what_was_given_is_sent(client: type[Client]) -> None:
    runner = CliRunner()
    for line, told in {
        "pause alice": "alice",
        "pause alice --strategy alice-btc --cancel": "alice/alice-btc",
        "resume bob/bob-sol": "bob/bob-sol",
        "reconcile alice": "alice",
    }.items():
        assert runner.invoke(cli, line.split()).output == f"{told}: done\n"
    assert client.asked == [
        ("alice", "pause", {}),
        ("alice", "pause", {"strategy": "alice-btc", "cancel": True}),
        ("bob", "resume", {"strategy": "bob-sol"}),
        ("alice", "reconcile", {}),
    ]


def test_an_unknown_command_is_answered_with_the_one_that_was_meant() -> None:
    runner = CliRunner()
    assert "No such command 'reconsile'. Did you mean 'reconcile'?" in runner.invoke(cli, ["reconsile"]).output
    nothing_close = runner.invoke(cli, ["zzzz"])
    assert nothing_close.exit_code == 2
    assert nothing_close.output.endswith("Error: No such command 'zzzz'.\n")


@pytest.mark.parametrize(
    ("line", "begun", "expected"),
    [
        ("", "re", ["rebuild", "reconcile", "reduce", "reload", "report", "restart", "resume"]),
        ("pause", "", ["alice", "bob"]),
        ("pause alice", "", ["bob", "bob/bob-sol"]),
        ("pause", "al", ["alice", "alice/alice-btc", "alice/alice-eth"]),
        ("pause", "alice", ["alice", "alice/alice-btc", "alice/alice-eth"]),
        ("pause bob alice/alice-btc", "alice/", ["alice/alice-eth"]),
        ("pause --group", "", ["night", "vip"]),
        ("resume --group night --group", "v", ["vip"]),
        ("completion", "", ["bash", "zsh", "fish"]),
        ("status", "b", ["bob", "bob/bob-sol"]),
        ("pause alice --strategy", "", ["alice-btc", "alice-eth"]),
        ("pause bob --strategy", "", ["bob-sol"]),
        ("resume --strategy", "a", ["alice-btc", "alice-eth"]),
        ("restart", "", ["alice", "bob", "writer"]),
        ("restart writer", "", ["alice", "bob"]),
        ("stop --orders", "", ["keep", "cancel", "flatten"]),
        ("pause alice", "--c", ["--config", "--cancel"]),
    ],
)
def test_a_shell_completes(client: type[Client], line: str, begun: str, expected: list[str]) -> None:
    completion = ShellComplete(cli, {}, "gridbot-supervisor", "_GRIDBOT_SUPERVISOR_COMPLETE")
    assert [item.value for item in completion.get_completions(line.split(), begun)] == expected


def test_without_a_supervisor_the_configuration_is_completed_whatever_is_wrong_with_it(
    client: type[Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.runs = False
    path = tmp_path / "g.yaml"
    monkeypatch.setenv("GRIDBOT_CONFIG_PATH", str(path))
    completion = ShellComplete(cli, {}, "gridbot-supervisor", "_GRIDBOT_SUPERVISOR_COMPLETE")

    def completed(line: str, begun: str = "") -> list[str]:
        return [item.value for item in completion.get_completions(line.split(), begun)]

    path.write_text(
        "accounts:\n- {name: carl, groups: [east, 7], api_key: '${NOT_SET}'}\n- {name: dora, groups: west}\n- 3\n"
        "strategies:\n- {strat_id: c-btc, account: carl, grid_step: wrong}\n- {account: carl}\n- {strat_id: x}\n"
    )
    assert completed("pause") == ["carl", "dora"]
    assert completed("pause", "carl/") == ["carl/c-btc"]
    assert completed("pause --group") == ["east", "7"]
    assert completed("pause carl --strategy") == ["c-btc"]
    assert completed("restart") == ["carl", "dora", "writer", "paper"]
    for text in ("accounts: 5\n", "[1, 2", "", "- x\n"):
        path.write_text(text)
        assert completed("pause") == completed("restart") == completed("pause --group") == []
    path.unlink()
    assert completed("pause") == []


def test_commands_that_are_quick_load_no_models(tmp_path: Path) -> None:
    file = tmp_path / "gridbot.yaml"
    file.write_text("storage: {data_dir: none}\n")
    lines = [["--help"], ["--version"], ["status", "--help"], ["status", "-c", str(file)]]
    lines += [["sql", "SELECT 1", "-c", str(file)], ["sql", "SELECT 1", "--data-dir", str(tmp_path)]]
    program = (
        "import sys\nfrom supervisor.cli.main import cli\n"
        f"for line in {lines!r}:\n"
        "    try:\n        cli.main(line, prog_name='x')\n"
        "    except BaseException:\n        pass\n"
        "    print('loaded:', *(name for name in ('pydantic_core', 'asyncio', 'psutil') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert [line for line in done.stdout.splitlines() if line.startswith("loaded:")] == ["loaded:"] * len(lines)
    assert done.stderr.count("there is no database") == 2  # so far it came
