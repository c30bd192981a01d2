"""Commands from afar, from what was sent to what came of them. Blocks: for threads.

The same table, targets, checks and socket as the command line's, and a word on the status whether they may be given at
all, asked anew each time. Whatever was asked for by the name of a command is recorded, also when it was not given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gridbot.commands.arguments import StopArguments
from gridbot.commands.command import Command
from gridbot.commands.command_table import ADOPT, RELOAD, RESTART, STOP, find_command
from gridbot.commands.targets import Addressed, TargetWords, accounts_of, fleet_of, listed
from gridbot.commands.wording import CommandMistake, shown
from gridbot.doors.plain_text import for_people
from supervisor.control.command_targets import command_targets, named_processes
from supervisor.control.control_client import AFAR_S, ControlClient, ControlError, answered_by
from supervisor.control.dry_rows import dry_rows
from supervisor.control.target_outcomes import Outcome, outcomes
from supervisor.remote.adoption_words import COLUMNS, document_of, parts_of
from supervisor.remote.command_forms import arguments_of, known_arguments, takes_targets
from supervisor.remote.prepared_command import Prepared

__all__ = ["NotAllowed", "carry_out", "decline", "prepare", "require_allowed"]

Json = dict[str, Any]
May = Callable[[Json], bool]
"""Whether commands may be given, by the status model."""
ASK_S: Final = 5.0
LOOK_S: Final = 60.0
APPLY_S: Final = 400.0
"""For the two steps of a reload, as the command line waits."""
LONGEST_TEXT: Final = 4000
KEYS: Final = {"command", "targets", "groups", "everything", "args", "dry_run"}
FORMAT: Final = {
    "command": (str, "text"),
    "targets": (list, "a list of texts"),
    "groups": (list, "a list of texts"),
    "everything": (bool, "true or false"),
    "dry_run": (bool, "true or false"),
}


class NotAllowed(Exception):
    """The configuration in force does not let them be given in this way."""


def prepare(data_dir: Path, document: Any, who: str, may: May) -> Prepared:
    """Read it and look whom it is for. Raises NotAllowed, CommandMistake and ControlError: nothing was given then."""
    with ControlClient(data_dir, timeout=ASK_S, who=who) as client:
        status = _if_allowed(client, may)
        command = _command(document)
        try:
            return _prepared(client, command, document, status)
        except (CommandMistake, ControlError) as why:
            decline(
                data_dir, command, known_arguments(command, document.get("args")), _written(document), str(why), who
            )
            raise


def decline(data_dir: Path, command: Command, args: Json, targets: str, why: str, who: str) -> None:
    """Record that a command was not given, and why."""
    told = {**args, **({"targets": targets} if targets else {})}
    with contextlib.suppress(ControlError), ControlClient(data_dir, timeout=ASK_S, who=who) as client:
        client.request("declined", name=command.name, args=for_people(told), why=why)


def require_allowed(data_dir: Path, may: May) -> None:
    """Raises NotAllowed and ControlError."""
    with ControlClient(data_dir, timeout=ASK_S) as client:
        _if_allowed(client, may)


def _if_allowed(client: ControlClient, may: May) -> Json:
    """The status, by which `may` says so."""
    status = client.status()
    if not may(status):
        raise NotAllowed
    return status


def carry_out(data_dir: Path, prepared: Prepared, who: str) -> Json:
    """Give it, and wait for what came of it: a row for each target, of which `ok` says whether it was done.

    A row of `adopt` has `columns` and `parts` as well: what it has found at each strategy."""
    by_name = {str(target): target for target in prepared.targets}

    def one(name: str) -> str:
        with ControlClient(
            data_dir, timeout=ASK_S, who=who
        ) as client:  # a connection each: answers come when they come
            return _give(client, prepared, by_name.get(name))

    found = {outcome.target: outcome for outcome in outcomes(list(by_name) or [""], one)}
    rows = [_row(prepared.command, found[name]) for name in by_name or [""]]
    done = sum(row["ok"] for row in rows)
    return {"step": "done", "command": prepared.command.name, "rows": rows, "done": done, "not_done": len(rows) - done}


def _command(document: Any) -> Command:
    if not isinstance(document, dict):
        raise CommandMistake(f"expected an object with the name of a command, got {shown(document)}")
    return find_command(document.get("command"))


def _prepared(client: ControlClient, command: Command, document: Json, status: Json) -> Prepared:
    words = _words(document)
    args = arguments_of(command, document.get("args", {}))
    is_dry = bool(document.get("dry_run"))
    if command is RELOAD:
        return _reload(client, args, is_dry=is_dry)
    fleet = fleet_of(status)
    if takes_targets(command):
        processes = named_processes(status) if command is RESTART else {}
        targets = command_targets(command, words, fleet, processes)
        accounts = tuple(accounts_of(targets))
    else:
        if not words.are_none:
            raise CommandMistake(f"expected no targets for {command.name}, which is for all of the fleet")
        targets, accounts = (), tuple(member.account for member in fleet) if command is STOP else ()
    rows = dry_rows(command, args, targets, status)
    return Prepared(command, args, targets, accounts, _shown(command, args, targets, accounts, rows), is_dry)


def _reload(client: ControlClient, args: Json, *, is_dry: bool) -> Prepared:
    """The supervisor says what would change; what is confirmed is what it has shown."""
    told = client.request(RELOAD.name, timeout=LOOK_S, dry_run=True, **args)
    accounts = tuple(map(str, told["asks"]))
    shown_all = _shown(RELOAD, args, (), accounts, []) | {"lines": told["lines"], "left_open": told["left_open"]}
    return Prepared(RELOAD, args, (), accounts, shown_all, is_dry, str(told["plan"]))


def _shown(
    command: Command, args: Json, targets: tuple[Addressed, ...], accounts: tuple[str, ...], rows: list[Json]
) -> Json:
    return {
        "command": command.name,
        "args": args,
        "help": command.help,
        "accounts": len(accounts),
        "names": listed(accounts),
        "targets": list(map(str, targets)),
        "rows": rows,
    }


def _words(document: Json) -> TargetWords:
    for name in document:
        if name not in KEYS:
            raise CommandMistake(f"expected {', '.join(sorted(KEYS))} in a command, got {shown(name)}")
    for name, (kind, words) in FORMAT.items():
        value = document.get(name)
        parts = value if isinstance(value, list) else []
        if value is not None and (type(value) is not kind or not all(isinstance(part, str) for part in parts)):
            raise CommandMistake(f"expected {words} in {name}, got {shown(value)}")
    named, groups = (tuple(document.get(name) or ()) for name in ("targets", "groups"))
    return TargetWords(named, groups, everything=bool(document.get("everything")))


def _written(document: Json) -> str:
    """The targets as they came, for the record of what was not given."""
    parts = [document.get("targets"), document.get("groups")]
    words = [str(word) for part in parts if isinstance(part, list) for word in part]
    return " ".join(words)[:LONGEST_TEXT]


def _give(client: ControlClient, prepared: Prepared, target: Addressed | None) -> str:
    command, args = prepared.command, prepared.args
    if command is STOP:
        asked = StopArguments.model_validate(args)
        client.stop(mode=asked.mode, force=asked.force)
        return "the supervisor stops; what you read this with goes with it"
    if command is RELOAD:
        return str(client.request(RELOAD.name, timeout=APPLY_S, plan=prepared.plan, **args)["result"])
    if target is None:
        return str(client.request(command.name, timeout=AFAR_S, **args).get("result"))
    if command is RESTART:
        restarted = client.request(RESTART.name, timeout=AFAR_S, child=target.account)
        return f"{restarted['child']} restarts{answered_by(restarted)}"
    of_target = {**args, **({"strategy": target.strategy} if target.strategy else {})}
    answer = client.worker(target.account, command.name, of_target, takes_s=command.takes_s)
    return f"{answer.get('result')}{answered_by(answer)}"


def _row(command: Command, outcome: Outcome) -> Json:
    text, more = str(outcome.result if outcome.done else outcome.failure), {}
    if command is ADOPT and outcome.done:
        document = document_of(text)
        parts = [{"head": part.head, "rows": part.rows, "lines": part.lines} for part in parts_of(document)]
        text, more = str(document["said"]), {"columns": COLUMNS, "parts": parts}
    return {
        "target": outcome.target,
        "ok": outcome.done,
        "text": str(for_people(text, LONGEST_TEXT)),
        **more,
        "unanswered": outcome.unanswered,
        "took_s": round(outcome.took_s, 3),
    }
