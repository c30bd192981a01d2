"""What a command would do, and to whom: a row for each strategy that it is for, from the status model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridbot.commands.command import Command
from gridbot.commands.effects import effect, held
from gridbot.commands.targets import Addressed

__all__ = ["DIRECT", "dry_rows"]

DIRECT: Final = "DIRECT"
"""The state of the process where the command is carried out without one."""


def dry_rows(
    command: Command, args: Mapping[str, Any], addressed: Sequence[Addressed], status: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A row for each strategy that is addressed, in their order; an account without any has one, too."""
    accounts = {row["account"]: row for row in (*status.get("elsewhere", ()), *status["accounts"])}
    rows = []
    for target in addressed:
        account = accounts.get(target.account) or _as_account(status, target.account)
        mine = [s for s in account["strategies"] if target.strategy in ("", s["strat_id"])]
        rows += [_row(command, args, target, account, strategy) for strategy in mine or [{}]]
    return rows


def _as_account(status: Mapping[str, Any], process: str) -> dict[str, Any]:
    """A process that is no worker, in the form of an account without strategies."""
    rows = [row["process"] for row in (status.get("writer"), status.get("paper")) if row]
    return {"strategies": [], "process": next(row for row in rows if row["name"] == process)}


def _row(
    command: Command,
    args: Mapping[str, Any],
    target: Addressed,
    account: Mapping[str, Any],
    strategy: Mapping[str, Any],
) -> dict[str, Any]:
    process, legs = (account["process"] or {"state": "unknown"})["state"], held(strategy)
    return {
        "target": str(target),
        "account": target.account,
        "process": process,
        "strategy": strategy.get("strat_id", ""),
        "symbol": strategy.get("symbol", ""),
        "state": strategy.get("state"),
        "orders": strategy.get("open_orders"),
        "long": legs.get("long", "0"),
        "short": legs.get("short", "0"),
        "would": _would(command, process, effect(command, args, strategy)),
    }


def _would(command: Command, process: str, done: str) -> str:
    """Also where the worker cannot take a command: what becomes of it then."""
    if not command.needs_trading or process in ("RUNNING", DIRECT):
        return done
    if command.rescued:
        return f"{done} (by a rescue process: its worker is {process})"
    if command.kept:
        return f"{done} (kept for its next worker: this one is {process})"
    return f"nothing: its worker is {process}"
