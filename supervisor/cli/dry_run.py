"""What a command would do, and to whom, shown as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridbot.commands.command import Command
from gridbot.commands.targets import Addressed, accounts_of
from supervisor.cli.answer_output import rendered
from supervisor.status.screen_width import UNBOUNDED, screen_width

__all__ = ["dry_text"]

COLUMNS: Final = ("account", "strategy", "symbol", "state", "orders", "long", "short", "would")


def dry_text(command: Command, addressed: Sequence[Addressed], rows: Sequence[Mapping[str, Any]]) -> str:
    """For people: how many accounts and strategies, what the command does, and the table."""
    accounts, strategies = len(accounts_of(addressed)), sum(bool(row["strategy"]) for row in rows)
    whom = f"{accounts} account{'' if accounts == 1 else 's'}, {strategies} strateg{'y' if strategies == 1 else 'ies'}"
    if others := sum(not each.is_account for each in addressed):
        whom += f", {others} other process{'' if others == 1 else 'es'}"
    confirm = f"; it asks for that number, or --expect {accounts}" if command.dangerous and accounts > 1 else ""
    cells = [[row[name] for name in COLUMNS] for row in rows]
    table = rendered(COLUMNS, [cells], "table", screen_width(UNBOUNDED))
    head = f"{command.name} would be sent for {whom}{confirm}. Nothing was sent.\n{command.help}\n\n"
    return "".join((head, *table)).rstrip("\n")
