"""What a reload does, in lines for people and as JSON: the difference, orders, accounts, what waits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from gridbot.config.reload_keys import Applies
from gridbot.config.reload_plan import AccountChange, KeyChange, ReloadPlan, StrategyChange, Word

__all__ = ["document_of", "left_open", "lines_of", "never", "waiting"]

Row = Mapping[str, Any]
Rows = Mapping[str, Mapping[str, Row]]
"""By account and strategy: what a worker says of its orders."""


def lines_of(plan: ReloadPlan, rows: Rows, notes: Sequence[str] = (), command: Callable[[str], str] = str) -> list[str]:
    """One line a change, in the order: accounts, strategies, what all share, remarks.

    `command` makes a command line that can be pasted.
    """
    if plan.is_empty:
        return ["nothing differs from the configuration in force"]
    lines = [line for change in plan.accounts for line in _of_account(change, plan, command)]
    for change in plan.strategies:
        lines += _of_strategy(change, rows.get(change.account, {}).get(change.strategy), plan)
    lines += [
        f"{_of_key(key)}: NOT applied, {key.rule.applies}, because {key.rule.why}" for key in plan.fleet if _waits(key)
    ]
    lines += [f"{_of_key(key)}: {key.rule.applies}" for key in plan.fleet if not _waits(key)]
    return [*lines, *notes]


def waiting(plan: ReloadPlan) -> list[str]:
    """What of the file counts only after a restart: "alice: accounts.api_key"."""
    return _left(plan, (Applies.ACCOUNT, Applies.SUPERVISOR))


def never(plan: ReloadPlan) -> list[str]:
    """What of the file does not count for what exists already, whatever is restarted."""
    return _left(plan, (Applies.NEVER,))


def _left(plan: ReloadPlan, of: Collection[Applies]) -> list[str]:
    found = [f"{c.account}: {key.key}" for c in plan.accounts for key in c.keys if key.rule.applies in of]
    return found + [key.key for key in plan.fleet if key.rule.applies in of]


def left_open(plan: ReloadPlan, rows: Rows) -> list[str]:
    """The positions that nobody looks after when what holds them is removed."""
    gone = set(plan.names(Word.REMOVED))
    found = []
    for account, of_account in rows.items():
        for name, row in of_account.items():
            words = {change.word for change in plan.strategies if (change.account, change.strategy) == (account, name)}
            if account not in gone and not words & {Word.REMOVED, Word.REPLACED}:
                continue
            legs = [f"{leg} {row[leg]}" for leg in ("long", "short") if row.get("mode") == "live" and _size(row, leg)]
            if legs:
                found.append(f"{account}/{name} {row['symbol']} {' and '.join(legs)}")
    return found


def document_of(plan: ReloadPlan, rows: Rows) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "accounts": [
            {"account": c.account, "change": c.word.value, "environment": c.environment, "keys": _keys(c.keys)}
            for c in plan.accounts
        ],
        "strategies": [
            {
                "account": c.account,
                "strategy": c.strategy,
                "symbol": c.symbol,
                "change": c.word.value,
                "keys": _keys(c.keys),
                "orders": dict(rows.get(c.account, {}).get(c.strategy, {})),
            }
            for c in plan.strategies
        ],
        "fleet": _keys(plan.fleet),
        "waiting": waiting(plan),
    }


def _of_account(change: AccountChange, plan: ReloadPlan, command: Callable[[str], str]) -> Iterator[str]:
    name = change.account
    match change.word:
        case Word.ADDED:
            count = len(plan.in_force.strategies_of(name))
            yield f"account {name} ({change.environment}) is added: its worker starts, with {_many(count)}"
        case Word.REMOVED:
            yield (
                f"account {name} ({change.environment}) is removed: its orders are cancelled, its worker stops, "
                "its positions stay"
            )
        case _:
            for key in change.keys:
                then = f": {key.rule.applies}"
                if key.rule.applies is Applies.ACCOUNT:
                    how = f"needs restart of {name} (`{command(f'restart {name}')}`)"
                    then = f": NOT applied, {how}, because {key.rule.why}"
                elif _waits(key):
                    then = f": NOT applied, {key.rule.applies}, because {key.rule.why}"
                yield f"account {name}: {_of_key(key)}{then}"


def _of_strategy(change: StrategyChange, row: Row | None, plan: ReloadPlan) -> list[str]:
    place = f"{change.account}/{change.strategy} ({change.symbol})"
    keys = "; ".join(map(_of_key, change.keys))
    match change.word:
        case Word.ADDED:
            if change.account in plan.names(Word.ADDED):
                return []
            most = "" if row is None else f"; it places up to {2 * int(row['place'] or 0)} orders, two a level"
            return [f"{place} is added{most}"]
        case Word.REMOVED:
            if change.account in plan.names(Word.REMOVED) and row is None:
                return []
            return [f"{place} is removed: {_gone(row)}"]
        case Word.REPLACED:
            return [f"{place} is replaced ({keys}): {_gone(row)}; it begins anew"]
        case _:
            return [f"{place} changes: {keys}{_effect(change, row)}"]


def _effect(change: StrategyChange, row: Row | None) -> str:
    if row is None:
        return ""
    if row.get("held") == "it could not start":
        return "; it could not start so far, and tries with this"
    held = f" (it is held: {row['held']})" if row.get("held") else ""
    if row["keep"] is None:
        return f"; no price is known, so its orders cannot be counted{held}"
    kept, gone, new = row["keep"], row["cancel"], row["place"]
    if not (gone or new):
        return f"; its {kept} resting orders stay as they are{held}"
    why = ""
    if gone and not kept and any(key.key.startswith("strategies.grid_") for key in change.keys):
        why = " (all of the old ladder)"
    then = " when it trades again" if held else ""
    return f"; of its resting orders {kept} stay, {gone} are cancelled{why}; about {new} are placed{then}{held}"


def _gone(row: Row | None) -> str:
    """What becomes of the orders and legs of a strategy that goes; `row` is None where its worker was not asked."""
    if row is None:
        return "its orders are cancelled, its position stays"
    legs = [f"{leg} {row[leg]}" for leg in ("long", "short") if _size(row, leg)]
    orders = f"{_orders(row['cancel'])} cancelled" if row["cancel"] else "no order of it rests"
    return f"{orders}, " + (f"its position stays ({' and '.join(legs)})" if legs else "it has no position")


def _size(row: Row, leg: str) -> bool:
    return bool(str(row.get(leg) or "0").strip("0."))


def _orders(count: int) -> str:
    return f"its {count} resting order{' is' if count == 1 else 's are'}"


def _many(count: int) -> str:
    return f"{count} strateg{'y' if count == 1 else 'ies'}"


def _of_key(key: KeyChange) -> str:
    if key.before == key.after:
        return f"{key.key} is another one"
    return f"{key.key} {key.before} -> {key.after}"


def _waits(key: KeyChange) -> bool:
    return key.rule.applies in (Applies.ACCOUNT, Applies.SUPERVISOR, Applies.NEVER)


def _keys(keys: Sequence[KeyChange]) -> list[dict[str, str]]:
    return [
        {
            "key": key.key,
            "before": key.before,
            "after": key.after,
            "applies": str(key.rule.applies),
            "why": key.rule.why,
        }
        for key in keys
    ]
