"""What the data directory has of accounts and strategies that the configuration does not name, before a start.

A name is all that ties a configuration to its records, its state and the ids of its resting orders. So whoever renames
an account or a strategy begins a new one, and the old one is left behind: that is never silent, and nothing of it is
taken over. Read from the files of the data directory alone; nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from gridbot.command_line import pasteable
from gridbot.config.models import GridbotConfig
from gridbot.doors.pseudo_account import SUPERVISOR
from gridbot.records.journal_reader import journal_directory

__all__ = ["left_behind"]


def left_behind(config: GridbotConfig) -> Iterator[str]:
    """A sentence or two for each account and strategy with files that has no entry in the configuration any more.

    On a host of a fleet accounts come and go: there it says nothing.
    """
    if config.fleet.is_host:
        return
    data_dir = config.storage.data_dir
    names = {account.name for account in config.accounts}
    for name in sorted((_folders(data_dir / "state") | _folders(data_dir / "journal")) - names - {SUPERVISOR}):
        yield _of_account(data_dir, name)
    for account in config.accounts:
        known = {strategy.strat_id for strategy in config.strategies_of(account.name)}
        folder = data_dir / "state" / account.name
        orders, holds, files = _orders(folder), _holds(folder), dict(_saved_by(folder))
        for strat_id in sorted((files.keys() | orders.keys() | holds.keys()) - known):
            held, file = holds.get(strat_id, ""), files.get(strat_id)
            yield _of_strategy(data_dir, account.name, strat_id, orders[strat_id], held, file)


def _of_account(data_dir: Path, name: str) -> str:
    folder = data_dir / "state" / name
    held = [f"{strat_id} is {words}" for strat_id, words in sorted(_holds(folder).items())]
    if _document(folder / "latch.json").get("latched"):
        held.append("the loss limit has latched it")
    return (
        f"account {name}: there are records and state of it in {data_dir}, and no account of that name in the "
        f"configuration. A renamed account is a new one: grid, ledger, pauses, halts and loss limit begin anew"
        f"{_and(held)}, and {_resting(sum(_orders(folder).values()))}. What is recorded stays under {name}. "
        f"Give it its name back; or, under that name, `{_withdraw(data_dir)}`. When it is gone for good, "
        f"move {folder} and {journal_directory(data_dir, name)} away"
    )


def _of_strategy(data_dir: Path, account: str, strat_id: str, orders: int, held: str, file: Path | None) -> str:
    where = "when it is gone for good, move {} away".format(file or "its state") if file else "it ends by itself"
    return (
        f"strategy {strat_id}: account {account} has state of it, and no strategy of that strat_id in the "
        f"configuration. A renamed strategy is a new one: its grid, pauses and halts begin anew"
        f"{_and([f'it is {held}'] if held else [])}, and {_resting(orders)}. What is recorded stays under {strat_id}. "
        f"Give it its strat_id back; or, under that, `{_withdraw(data_dir)}`; {where}"
    )


def _withdraw(data_dir: Path) -> str:
    return pasteable("stop --orders cancel", data_dir=data_dir)


def _and(held: list[str]) -> str:
    return f" ({'; '.join(held)}: that ends with the name)" if held else ""


def _resting(orders: int) -> str:
    if not orders:
        return "by its records no order of it rests"
    count = f"{orders} orders of it rest" if orders > 1 else "1 order of it rests"
    return f"by its records {count}: foreign to every other name, so nobody follows or cancels them"


def _folders(place: Path) -> set[str]:
    try:
        return {each.name for each in place.iterdir() if each.is_dir()}
    except OSError:
        return set()


def _orders(folder: Path) -> Counter[str]:
    """How many orders rest by the last checkpoint, by strategy."""
    rows = _document(folder / "ledger.json").get("orders")
    found = (row for row in rows if isinstance(row, dict) and not row.get("shadow")) if isinstance(rows, list) else ()
    return Counter(str(row.get("strategy", "")) for row in found if row.get("strategy"))


def _holds(folder: Path) -> dict[str, str]:
    """What holds strategies, in words, by strategy."""
    rows = _document(folder / "holds.json").get("strategies")
    if not isinstance(rows, dict):
        return {}
    return {name: " and ".join(held) for name, held in rows.items() if isinstance(held, dict) and held}


def _saved_by(folder: Path) -> Iterator[tuple[str, Path]]:
    """The strategies that have saved something, and where."""
    for path in sorted(folder.glob("*/*.json")):
        strat_id = _document(path).get("strat_id")
        if isinstance(strat_id, str) and strat_id:
            yield strat_id, path


def _document(path: Path) -> dict[str, Any]:
    """A JSON object; empty when there is none that can be read: the account's worker will tell of that."""
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
