"""A command in a chat, before and after: what it would do, the words on its buttons, what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridbot.commands.wording import counted
from supervisor.remote.prepared_command import GOOD_S, Prepared
from supervisor.telegram.chat_text import bold, line

__all__ = ["buttons_for", "confirm_lines", "done_lines", "needs_button"]


def needs_button(prepared: Prepared) -> bool:
    """What is dangerous by the table, and what reaches into orders that are not ours."""
    return prepared.needs_second_step or bool(prepared.args.get("foreign"))


def confirm_lines(prepared: Prepared) -> Iterator[str]:
    """What pressing Yes would do, target by target."""
    yield bold(f"{prepared.command.name} {_whom(prepared)}?")
    yield line(prepared.command.help)
    for name, value in prepared.args.items():
        yield line(f"{name}: {value}")
    for row in prepared.shown["rows"]:
        of = f" {row['strategy']} {row['symbol']}" if row["strategy"] else ""
        yield line(f"{row['account']}{of}: {row['would']}")
    yield line(f"nothing was given yet; the buttons count once, for {GOOD_S:g} seconds, and for you alone")


def buttons_for(prepared: Prepared, token: str) -> list[tuple[str, str]]:
    """Text and data of each. Data has 64 bytes at most: the token has 43."""
    return [(f"Yes, {prepared.command.name} {_whom(prepared)}"[:60], f"yes:{token}"), ("No", f"no:{token}")]


def done_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Of the answer of `carry_out`: a line for each target, those that failed first."""
    word = f"{told['command']}: {told['done']} done" + (f", {told['not_done']} NOT done" if told["not_done"] else "")
    yield bold(word)
    for row in sorted(told["rows"], key=lambda each: bool(each["ok"])):
        name = f"{row['target']}: " if row["target"] else ""
        yield line(f"{'' if row['ok'] else 'NOT DONE: '}{name}{row['text']}")


def _whom(prepared: Prepared) -> str:
    if len(prepared.targets) == 1:
        return str(prepared.targets[0])
    return counted(len(prepared.accounts), "account")
