"""The values that a fleet has in force and where each comes from, by section: the file, an account, a strategy. Pure.

`sections` is what the file says, `as_it_runs` marks what the supervisor runs with where the file says something else by
now, and adds what runs and is in the file no more. Secrets are "set" or "not set", as `value_sources` has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gridbot.commands.targets import Addressed
    from gridbot.config.loading import LoadedFile
    from gridbot.config.value_sources import Sourced

__all__ = ["Section", "as_it_runs", "file_value", "sections", "sections_document"]

Section = tuple[str, str, list["Sourced"]]
"""What it is (file, account or strategy), its name, its values."""
SWITCHED_OFF: Final = frozenset({"max_notional", "max_drawdown", "session_loss_limit"})
"""Keys of caps: the file writes `off` where they have no value."""
Snapshots = Mapping[str, Mapping[str, Any]]
"""By account what it runs with (`gridbot.config.snapshots.account_snapshot`)."""


def sections(
    file: LoadedFile, environ: Mapping[str, str], chosen: Sequence[Addressed] | None = None, data_dir: str | None = None
) -> Iterator[Section]:
    """All of them, or of those that are chosen. `data_dir`: what overrides the file's own, in words."""
    from gridbot.config.value_sources import account_values, root_values, strategy_values  # not earlier: a quick start

    if chosen is None:
        yield "file", "", list(root_values(file, environ, data_dir))
    for account in file.config.accounts:
        mine = [each for each in chosen or () if each.account == account.name]
        if chosen is not None and not mine:
            continue
        named = {each.strategy for each in mine}
        if chosen is None or "" in named:
            yield "account", account.name, list(account_values(file, account.name, environ))
        for strategy in file.config.strategies_of(account.name):
            if chosen is None or "" in named or strategy.strat_id in named:
                name = f"{account.name}/{strategy.strat_id}"
                yield "strategy", name, list(strategy_values(file, strategy.strat_id, environ))


def as_it_runs(
    found: Sequence[Section], file: LoadedFile, snapshots: Snapshots, chosen: Sequence[Addressed] | None = None
) -> Iterator[Section]:
    """The sections as the supervisor runs them; a value that the file has otherwise says so in its source."""
    yield from _running(found, file, snapshots)
    yield from _gone(file, snapshots, None if chosen is None else list(map(str, chosen)))


def sections_document(found: Sequence[Section]) -> list[dict[str, Any]]:
    """As JSON has them."""
    return [
        {"section": kind, "name": name, "values": [each.as_json() for each in values]} for kind, name, values in found
    ]


def file_value(value: Sourced) -> str:
    """As the file would write it."""
    is_off = value.value is None and value.key.rpartition(".")[2] in SWITCHED_OFF
    return "off" if is_off else _text(value.value)


def _running(found: Sequence[Section], file: LoadedFile, snapshots: Snapshots) -> Iterator[Section]:
    from gridbot.config.value_sources import hidden, leaves

    for kind, name, values in found:
        account, _, strategy = name.partition("/")
        snapshot: Mapping[str, Any] | None
        if kind == "file":
            snapshot = next(iter(snapshots.values()), None)
        elif kind == "account":
            snapshot = snapshots.get(account, {}).get("account")
        else:
            known = snapshots.get(account, {}).get("strategies") or ()
            snapshot = next((each for each in known if each["strat_id"] == strategy), None)
        if snapshot is None:
            yield kind, f"{name} (does not run: only the file has it)", values
            continue
        runs = {".".join(place): hidden(file, place, value) for place, value in leaves(snapshot)}
        yield kind, name, [_marked(each, runs) for each in values]


def _gone(file: LoadedFile, snapshots: Snapshots, wanted: Collection[str] | None) -> Iterator[Section]:
    """What runs, and the file has no more."""
    there = [account.name for account in file.config.accounts]
    kept = [f"{strategy.account}/{strategy.strat_id}" for strategy in file.config.strategies]
    for account, snapshot in snapshots.items():
        whole = wanted is None or account in wanted
        if whole and account not in there:
            yield "account", account, _of_snapshot(file, snapshot.get("account") or {})
        for strategy in snapshot.get("strategies") or ():
            name = f"{account}/{strategy['strat_id']}"
            if name not in kept and (whole or name in (wanted or ())):
                yield "strategy", name, _of_snapshot(file, strategy)


def _of_snapshot(file: LoadedFile, values: Mapping[str, Any]) -> list[Sourced]:
    from gridbot.config.value_sources import Sourced, hidden, leaves

    source = "as it runs; the file has none"
    return [Sourced(".".join(place), hidden(file, place, value), "running", source) for place, value in leaves(values)]


def _marked(value: Sourced, runs: Mapping[str, Any]) -> Sourced:
    if value.key not in runs or runs[value.key] == value.value:
        return value
    line = "" if value.line is None else f", line {value.line}"
    source = f"as it runs; the file has {file_value(value)} now ({value.source or 'own key'}{line})"
    return replace(value, value=runs[value.key], kind="running", source=source, line=None, origins=())


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return "{}" if value == {} else str(value)
