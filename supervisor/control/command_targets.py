"""Whom a command is for, in a running fleet: accounts, strategies, and of `restart` the other processes too. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gridbot.commands.command import Command, Target
from gridbot.commands.targets import Addressed, FleetMember, TargetWords, is_pattern, listed, resolve
from gridbot.commands.wording import CommandMistake

__all__ = ["command_targets", "named_processes"]

Resolve = Callable[..., tuple[Addressed, ...]]


def command_targets(
    command: Command,
    written: TargetWords,
    fleet: Sequence[FleetMember],
    processes: Mapping[str, str],
    resolve: Resolve = resolve,
) -> tuple[Addressed, ...]:
    """Each once; processes are named one by one: no pattern, group or --all means them.

    `processes` has what may be named beside accounts, and what it is called in the request. Raises CommandMistake, and
    what `resolve` raises.
    """
    whole_for = "" if command.target is Target.STRATEGY else command.name
    named = () if written.everything else tuple(word for word in written.words if processes and not is_pattern(word))
    rest = replace(written, words=tuple(word for word in written.words if word not in named))
    found: tuple[Addressed, ...] = ()
    if named:
        members = [*fleet, *map(FleetMember, processes)]
        asked = resolve(TargetWords(named), members, whole_for=whole_for)
        names = [processes.get(each.account, each.account) for each in asked]
        accounts = {member.account for member in fleet}
        found = tuple(Addressed(name, is_account=name in accounts) for name in names)
    if not (named and rest.are_none):
        found += resolve(rest, fleet, whole_for=whole_for)
    found = tuple(dict.fromkeys(found))
    if command.one_at_a_time and len(found) > 1:
        text = f"{command.name} is for one account at a time, got {len(found)}: {listed([str(each) for each in found])}"
        raise CommandMistake(text)
    return found


def named_processes(status: Mapping[str, Any]) -> dict[str, str]:
    """What `restart` may name beside accounts: the other processes, and a worker by the name of its process."""
    others = [row["process"]["name"] for row in (status.get("writer"), status.get("paper")) if row]
    workers = {row["process"]["name"]: row["account"] for row in status["accounts"]}
    return {name: name for name in others} | workers
