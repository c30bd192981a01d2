"""Arguments and options that name accounts and strategies, the same for every command, and what they mean here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gridbot.commands.targets import Addressed, FleetMember, TargetWords, is_pattern, resolve
from gridbot.commands.wording import CommandMistake
from supervisor.cli.value_completion import complete_groups, complete_targets
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["acting_options", "addressed", "expect_option", "target_options", "target_words"]

Function = TypeVar("Function", bound=Callable[..., Any])
Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def target_options(
    name: str = "TARGET", complete: Complete = complete_targets
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """TARGET... as `targets`, --group as `groups`, --all as `everything`; `target_words` takes them.

    `name` is what the usage line calls a target.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        everything = click.option("--all", "everything", is_flag=True, help="Every account.")
        group = click.option(
            "--group",
            "groups",
            multiple=True,
            metavar="NAME",
            shell_complete=complete_groups,
            help="Every account with this label; may be repeated.",
        )
        words = click.argument("targets", nargs=-1, metavar=f"[{name}]...", shell_complete=complete)
        return words(group(everything(function)))

    return decorate


def acting_options() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--expect as `expect`, --dry-run as `dry_run`, --json as `as_json`: of a command that acts on its targets."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object with a row per target.")
        dry = click.option("--dry-run", is_flag=True, help="Show what it would do to whom; nothing is sent.")
        return expect_option()(dry(as_json(function)))

    return decorate


def expect_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--expect as `expect`."""
    return click.option(
        "--expect",
        type=click.IntRange(min=1),
        metavar="N",
        help="How many accounts it is for; with another number nothing is sent.",
    )


def target_words(
    targets: Sequence[str], groups: Sequence[str], everything: bool, strategy: str | None = None
) -> TargetWords:
    """What was typed."""
    return TargetWords(tuple(targets), tuple(groups), everything, strategy or "")


def addressed(written: TargetWords, fleet: Sequence[FleetMember], *, whole_for: str = "") -> tuple[Addressed, ...]:
    """What it means in this fleet. Raises CommandError (exit code 2), which says what there is."""
    try:
        return resolve(written, fleet, whole_for=whole_for)
    except CommandMistake as mistake:
        text = str(mistake)
        if any(not is_pattern(word) and os.path.lexists(word) for word in written.words):
            text += "; a shell puts the files that are here in the place of a pattern: write it in quotes"
        raise CommandError(text, ExitCode.USAGE) from None
